/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces shared by the files of defaults. Each sets a member only when it is absent; o NULL or no object: nothing. */
#ifndef PROA_API_DEFAULT_INTERNAL_H
#define PROA_API_DEFAULT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct json;

void default_str(struct arena *a, struct json *o, const char *key, const char *value); /* also in place of "" */
/* Where a pointer is: "" was meant. */
void default_pointed(struct arena *a, struct json *o, const char *key, const char *value);
void default_int(struct arena *a, struct json *o, const char *key, int64_t value);
void default_bool(struct arena *a, struct json *o, const char *key, bool value);
struct json *default_member(struct arena *a, struct json *o,
			    const char *key); /* an object; returns it, NULL if o is none */

/*
 * A member of old and the list that came after it, of which it is the first: each is filled from the other, and where
 * they differ the old one counts. member: of the list's objects; NULL: it has strings.
 */
void default_first(struct arena *a, struct json *o, const char *single, const char *list, const char *member);

/* What a Pod and every pod template share. */
void default_pod_spec(struct arena *a, struct json *spec);
void default_pod(struct arena *a, struct json *tree); /* the spec of a Pod itself: more than a template gets */
void default_claim_spec(struct arena *a, struct json *spec);
/* Quantities finer than a milli are rounded up. */
void default_resource_list(struct arena *a, struct json *list);

#endif
