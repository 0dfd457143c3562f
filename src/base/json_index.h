/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking up many members of one object: by hash when it has many, so that an object whose size a client chose costs
 * linear time. The object must not change meanwhile, except for members appended, which are not found.
 */
#ifndef PROA_BASE_JSON_INDEX_H
#define PROA_BASE_JSON_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct json;

#define JSON_LINEAR_MAX 24 /* members up to which looking at each is faster than hashing */

struct json_index {
	const struct json *object;
	struct json **slots; /* NULL: few members, or not needed yet */
	size_t mask;
};

/* object may be NULL or of another type: nothing is found in it then. Costs nothing before the first lookup. */
static inline struct json_index json_index_of(const struct json *object)
{
	return (struct json_index){.object = object};
}
void json_index_release(struct json_index *ix);
struct json *json_index_get(struct json_index *ix, const char *key, size_t key_len);

#define _cleanup_json_index_ _cleanup_(json_index_release)

#endif
