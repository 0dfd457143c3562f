/* SPDX-License-Identifier: Apache-2.0 */
#include "api/merge_patch.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/json_index.h"

/* What the patch puts in the place of something that is no object: its nulls delete nothing there. */
static struct json *without_nulls(struct arena *a, const struct json *v)
{
	if (v->type < JSON_ARRAY)
		return json_clone(a, v);
	struct json *out = json_new(a, (enum json_type)v->type);
	JSON_EACH(c, v) {
		if (v->type == JSON_ARRAY)
			json_append(out, without_nulls(a, c));
		else if (c->type != JSON_NULL)
			json_add(a, out, c->key, c->key_len, without_nulls(a, c));
	}
	return out;
}

struct json *merge_patch_apply(struct arena *a, struct json *doc, const struct json *patch)
{
	if (!json_is(doc, JSON_OBJECT))
		return without_nulls(a, patch);
	if (!json_is(patch, JSON_OBJECT))
		return json_clone(a, patch); /* as upstream, nulls inside of its lists stay */
	_cleanup_json_index_ struct json_index index = json_index_of(doc);
	size_t n = 0;
	struct json **marked = arena_alloc(a, json_len(patch) * sizeof(struct json *)); /* to be taken out at the end */
	JSON_EACH(p, patch) {
		struct json *old = json_index_get(&index, p->key, p->key_len);
		if (p->type == JSON_NULL) {
			if (old)
				marked[n++] = old;
			continue;
		}
		struct json *merged = merge_patch_apply(a, old, p);
		if (!old)
			json_add(a, doc, p->key, p->key_len, merged);
		else if (merged != old)
			json_replace(old, merged);
	}
	for (size_t i = 0; i < n; i++)
		marked[i]->key = NULL;
	if (n)
		json_drop_marked(doc);
	return doc;
}

struct json *merge_patch_create(struct arena *a, const struct json *from, const struct json *to)
{
	struct json *patch = json_new(a, JSON_OBJECT);

	_cleanup_json_index_ struct json_index in_from = json_index_of(from), in_to = json_index_of(to);

	JSON_EACH(f, from)
		if (!json_index_get(&in_to, f->key, f->key_len))
			json_add(a, patch, f->key, f->key_len, json_new(a, JSON_NULL));
	JSON_EACH(t, to) {
		struct json *f = json_index_get(&in_from, t->key, t->key_len);
		if (json_is(f, JSON_OBJECT) && t->type == JSON_OBJECT) {
			struct json *inner = merge_patch_create(a, f, t);
			if (json_len(inner))
				json_add(a, patch, t->key, t->key_len, inner);
		} else if (!f || !json_equal(f, t)) {
			json_add(a, patch, t->key, t->key_len, json_clone(a, t));
		}
	}
	return patch;
}
