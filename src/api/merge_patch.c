/* SPDX-License-Identifier: Apache-2.0 */
#include "api/merge_patch.h"

#include "base/arena.h"
#include "base/json.h"

struct json *merge_patch_apply(struct arena *a, struct json *doc, const struct json *patch)
{
	if (!json_is(patch, JSON_OBJECT))
		return json_clone(a, patch);
	if (!json_is(doc, JSON_OBJECT))
		doc = json_new(a, JSON_OBJECT);
	JSON_EACH(p, patch) {
		struct json *old = json_get_n(doc, p->key, p->key_len);
		if (p->type == JSON_NULL) {
			if (old)
				json_remove_child(doc, old);
			continue;
		}
		struct json *merged = merge_patch_apply(a, old, p);
		if (merged != old)
			json_set(a, doc, p->key, merged);
	}
	return doc;
}

struct json *merge_patch_create(struct arena *a, const struct json *from, const struct json *to)
{
	struct json *patch = json_new(a, JSON_OBJECT);

	JSON_EACH(f, from)
		if (!json_get_n(to, f->key, f->key_len))
			json_set(a, patch, f->key, json_new(a, JSON_NULL));
	JSON_EACH(t, to) {
		struct json *f = json_get_n(from, t->key, t->key_len);
		if (json_is(f, JSON_OBJECT) && t->type == JSON_OBJECT) {
			struct json *inner = merge_patch_create(a, f, t);
			if (json_len(inner))
				json_set(a, patch, t->key, inner);
		} else if (!f || !json_equal(f, t)) {
			json_set(a, patch, t->key, json_clone(a, t));
		}
	}
	return patch;
}
