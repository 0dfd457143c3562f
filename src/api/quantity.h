/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource.Quantity: fixed-point numbers with a suffix (500m, 1Gi, 1e3). Held as an exact count of nanos, which covers
 * everything upstream accepts: finer parts are rounded up to a nano, and beyond ±(2^63 - 1) values are capped.
 */
#ifndef PROA_API_QUANTITY_H
#define PROA_API_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct json;

enum quantity_format { QUANTITY_DECIMAL_SI, QUANTITY_BINARY_SI, QUANTITY_DECIMAL_EXPONENT };

struct quantity {
	__int128 nano;
	enum quantity_format format;
};

#define QUANTITY_ZERO ((struct quantity){0, QUANTITY_DECIMAL_SI})
#define QUANTITY_TEXT_MAX 48 /* canonical text and NUL */

/* 0 or -EINVAL. Surrounding space is not accepted. */
int quantity_parse(const char *s, struct quantity *ret);
/* From a JSON string or number; absent or null gives zero. 0 or -EINVAL. */
int quantity_from_json(const struct json *v, struct quantity *ret);
/* The canonical form: no fraction, largest suffix. Returns out. */
char *quantity_format(const struct quantity *q, char out[QUANTITY_TEXT_MAX]);
struct json *quantity_to_json(struct arena *a, const struct quantity *q);
struct quantity quantity_of_int(int64_t value, enum quantity_format format);
struct quantity quantity_of_milli(int64_t milli, enum quantity_format format);

int quantity_compare(const struct quantity *a, const struct quantity *b); /* -1, 0, 1 */
/* a keeps its format, or takes b's when it is zero. */
void quantity_add(struct quantity *a, const struct quantity *b);
void quantity_sub(struct quantity *a, const struct quantity *b);
/* Rounded up (away from zero), capped to int64. */
int64_t quantity_value(const struct quantity *q);
int64_t quantity_milli(const struct quantity *q);

#endif
