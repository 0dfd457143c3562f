/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing, at most half full, hashed with the process's key (base/map.h). */
#include "base/json_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"

/* Where key is, or the empty slot where it belongs. */
static struct json **find(const struct json_index *ix, const char *key, size_t len)
{
	for (size_t i = hash_bytes(key, len) & ix->mask;; i = (i + 1) & ix->mask) {
		struct json *m = ix->slots[i];
		if (!m || (m->key_len == len && memcmp(m->key, key, len) == 0))
			return &ix->slots[i];
	}
}

static void build(struct json_index *ix)
{
	size_t cap = 64;

	while (cap < 2 * (size_t)ix->object->len)
		cap *= 2;
	ix->mask = cap - 1;
	ix->slots = xcalloc(cap, sizeof(*ix->slots));
	JSON_EACH(m, ix->object) {
		struct json **slot = find(ix, m->key, m->key_len);
		if (!*slot)
			*slot = m;
	}
}

struct json *json_index_get(struct json_index *ix, const char *key, size_t key_len)
{
	if (!ix->slots) {
		if (!json_is(ix->object, JSON_OBJECT) || ix->object->len <= JSON_LINEAR_MAX)
			return json_get_n(ix->object, key, key_len);
		build(ix);
	}
	return *find(ix, key, key_len);
}

void json_index_release(struct json_index *ix)
{
	free(ix->slots);
	ix->slots = NULL;
}
