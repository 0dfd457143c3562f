/* SPDX-License-Identifier: Apache-2.0 */
/* What finding (query.c) and removing (remove.c) share. Everything under the store's lock but names_*. */
#ifndef PROA_IMAGE_QUERY_H
#define PROA_IMAGE_QUERY_H

#include "image/image_internal.h"

struct names {
	char **at;
	size_t n, cap;
};
void names_release(struct names *v);
void names_read(const char *path, struct names *out); /* in a directory, in order; empty when it isn't there */

/* Locks, reads the references. *ret_lock is the caller's to close, also on failure (-1 then). */
int query_begin(const struct image_store *s, bool exclusive, struct arena *a, struct json **ret_refs, int *ret_lock,
		char *err, size_t err_len);
/* *ret_name: the reference that led there, NULL when it was an id. The strings are in a. platform NULL: any. */
int query_find(const struct image_store *s, const struct json *refs, const char *ref, const char *platform,
	       struct arena *a, const char **ret_id, const char **ret_name, char *err, size_t err_len);
int query_load(const struct image_store *s, const struct json *refs, const char *id, struct image **ret);
/* Tags of an image, or names with digests; NULL-terminated. */
const char *const *query_names(struct arena *a, const struct json *refs, const char *id, bool digests);
struct json *query_image_in(const struct json *entry, const char *id); /* of a name's list, or NULL */
bool query_used(const struct image_store *s, const char *id);

#endif
