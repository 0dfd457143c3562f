/* SPDX-License-Identifier: Apache-2.0 */
/* Strings: comparison, strict number parsing, encodings, random names and UUIDs. */
#ifndef PROA_BASE_STR_H
#define PROA_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf;

/* NULL equals only NULL. */
static inline bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}
static inline bool str_empty(const char *s)
{
	return !s || !*s;
}
static inline const char *str_or(const char *s, const char *fallback)
{
	return s ? s : fallback;
}
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);
/* After a prefix, or NULL when s does not start with it. */
const char *str_after(const char *s, const char *prefix);
bool str_in(const char *s, const char *const *set); /* set ends with NULL */

/* Whole string, decimal, no space, no '+', within range; 0 or -EINVAL/-ERANGE. */
int parse_i64(const char *s, int64_t *ret);
int parse_u64(const char *s, uint64_t *ret);
int parse_int_range(const char *s, int64_t min, int64_t max, int64_t *ret);

bool utf8_valid(const char *s, size_t len);

void base64_encode(struct buf *out, const void *p, size_t len);
void base64url_encode(struct buf *out, const void *p, size_t len); /* no padding (RFC 7515) */
int base64_decode(struct buf *out, const char *s, size_t len);	   /* strict, padded; -EINVAL */
int base64url_decode(struct buf *out, const char *s, size_t len);  /* padding optional; -EINVAL */
void hex_encode(struct buf *out, const void *p, size_t len);
/* Decodes %XX (and '+' as space when plus) in place; returns the new length or -EINVAL. NUL bytes are refused. */
int percent_decode(char *s, bool plus);
void percent_encode(struct buf *out, const char *s); /* everything but RFC 3986 unreserved characters */

/* SHA-free 32-bit FNV-1a, for stable (not secret) hashes such as template hashes. */
uint32_t fnv32a(const void *p, size_t len);
uint64_t fnv64a(const void *p, size_t len);

#endif
