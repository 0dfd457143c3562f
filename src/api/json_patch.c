/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_patch.h"

#include <string.h>

#include "api/decode.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"

struct patcher {
	struct arena *arena;
	struct json *root;
	size_t copied; /* bytes, against JSON_PATCH_COPY_BYTES_MAX */
	struct status *err;
};

/* As the server answers when an operation does not fit the object: the generic text, and the reason as a cause. */
static int refuse(struct patcher *p, const char *why, const char *path)
{
	status_set(p->err, 422, "the server rejected our request due to an error in our request");
	status_cause(p->err, "UnexpectedServerResponse", "", "%s: %s", why, path);
	return -1;
}

/* ---- pointers (RFC 6901) ---- */

/* The next reference token of *at, unescaped into the arena; moves *at behind it. NULL at the end. */
static char *next_token(struct arena *a, const char **at)
{
	const char *s = *at;

	if (*s != '/')
		return NULL;
	const char *end = strchrnul(++s, '/');
	char *token = arena_alloc(a, (size_t)(end - s) + 1), *out = token;
	for (; s < end; s++) {
		if (*s == '~' && (s[1] == '0' || s[1] == '1'))
			*out++ = *++s == '0' ? '~' : '/';
		else
			*out++ = *s;
	}
	*out = 0;
	*at = end;
	return token;
}

/*
 * An array index below n; -1 otherwise. As upstream's reader of numbers has it, leading zeros are no harm, and negative
 * ones count from the end.
 */
static int64_t index_of(const char *token, uint32_t n)
{
	int64_t i;
	if (!n || parse_int_range(token, -(int64_t)n, (int64_t)n - 1, &i) < 0)
		return -1;
	return i < 0 ? i + n : i;
}

static struct json *child_of(const struct json *v, const char *token)
{
	if (json_is(v, JSON_OBJECT))
		return json_get(v, token);
	if (json_is(v, JSON_ARRAY) && v->len) {
		int64_t i = index_of(token, v->len);
		return i < 0 ? NULL : json_at(v, (size_t)i);
	}
	return NULL;
}

/* The container that path's last token is in, and that token. NULL when there is none. The level is counted for the
 * depth. */
static struct json *resolve_parent(struct patcher *p, const char *path, char **ret_token, int *ret_level)
{
	struct json *v = p->root;
	char *token = next_token(p->arena, &path);

	*ret_level = 1;
	while (*path) {
		v = child_of(v, token);
		token = next_token(p->arena, &path);
		++*ret_level;
	}
	*ret_token = token;
	return v && v->type >= JSON_ARRAY ? v : NULL;
}

/* ---- operations ---- */

static int depth_of(const struct json *v)
{
	int deepest = 0;

	if (!v || v->type < JSON_ARRAY)
		return 0;
	JSON_EACH(c, v) {
		int depth = depth_of(c); /* MAX_OF would count it twice, at each level */
		deepest = MAX_OF(deepest, depth);
	}
	return deepest + 1;
}

static int add(struct patcher *p, const char *path, struct json *value)
{
	char *token;
	int level;

	struct json *parent = *path ? resolve_parent(p, path, &token, &level) : NULL;
	if (!parent)
		return refuse(p, "add operation does not apply: doc is missing path", path);
	if (level + depth_of(value) > JSON_DEPTH_MAX)
		return refuse(p, "add operation does not apply: result is nested too deeply", path);
	if (parent->type == JSON_OBJECT) {
		json_set(p->arena, parent, token, value);
		return 0;
	}
	int64_t i = str_eq(token, "-") ? parent->len : index_of(token, parent->len + 1);
	if (i < 0)
		return refuse(p, "add operation does not apply: doc is missing path", path);
	value->key = NULL;
	value->key_len = 0;
	json_insert(parent, (size_t)i, value);
	return 0;
}

static int detach(struct patcher *p, const char *path, const char *op, struct json **ret)
{
	char *token;
	int level;
	struct json *parent = *path ? resolve_parent(p, path, &token, &level) : NULL;
	struct json *child = parent ? child_of(parent, token) : NULL;

	if (!child)
		return refuse(p, op, path);
	json_remove_child(parent, child);
	*ret = child;
	return 0;
}

/* A member that isn't there is made, as upstream does. */
static int replace(struct patcher *p, const char *path, struct json *value)
{
	if (!*path && value->type < JSON_ARRAY)
		return refuse(p, "replace operation value must be object or array", path);
	if (!*path) {
		p->root = value;
		return 0;
	}
	char *token;
	int level;
	struct json *parent = resolve_parent(p, path, &token, &level), *child = parent ? child_of(parent, token) : NULL;
	if (!child && !json_is(parent, JSON_OBJECT))
		return refuse(p, "replace operation does not apply: doc is missing key", path);
	if (level + depth_of(value) > JSON_DEPTH_MAX)
		return refuse(p, "replace operation does not apply: result is nested too deeply", path);
	if (child)
		json_replace(child, value);
	else
		json_set(p->arena, parent, token, value);
	return 0;
}

static int move(struct patcher *p, const char *from, const char *path)
{
	struct json *v;

	if (detach(p, from, "move operation does not apply: doc is missing from path", &v) < 0)
		return -1;
	return add(p, path, v);
}

/* The value at a path, NULL for a member that its object lacks: *ret_found says whether there is such an object. */
static struct json *look_up(struct patcher *p, const char *path, bool *ret_found)
{
	char *token;
	int level;
	struct json *parent = *path ? resolve_parent(p, path, &token, &level) : NULL;
	struct json *v = parent ? child_of(parent, token) : NULL;

	*ret_found = v || json_is(parent, JSON_OBJECT);
	return v;
}

static int copy(struct patcher *p, const char *from, const char *path)
{
	bool found;
	struct json *v = look_up(p, from, &found);

	if (!found)
		return refuse(p, "copy operation does not apply: doc is missing from path", from);
	if (!v) /* as upstream, what is absent is copied as null */
		return add(p, path, json_new(p->arena, JSON_NULL));
	p->copied += json_text_bytes(v);
	if (p->copied > JSON_PATCH_COPY_BYTES_MAX)
		return refuse(p, "copy operation does not apply: too much is copied", path);
	return add(p, path, json_clone(p->arena, v));
}

static int test(struct patcher *p, const char *path, const struct json *value)
{
	bool found = true;
	const struct json *v = *path ? look_up(p, path, &found) : p->root;

	if (!found)
		return refuse(p, "test operation does not apply: is missing path", path);
	/* As upstream, a test for null also holds for what is absent. */
	if (v ? json_equal(v, value) : value->type == JSON_NULL)
		return 0;
	return refuse(p, "testing value failed", path);
}

static bool is_pointer(const char *path)
{
	return path && (!*path || *path == '/');
}

/* As upstream, an operation that makes no sense is one that cannot be done. */
static int apply_one(struct patcher *p, const struct json *op)
{
	const char *name = str_or(json_path_str(op, "op"), "unknown"), *path = json_path_str(op, "path"),
		   *from = json_path_str(op, "from");
	struct json *value = json_get(op, "value"), *removed;
	bool is_move = str_eq(name, "move"), is_copy = str_eq(name, "copy");

	static const char *const known[] = {"add", "remove", "replace", "move", "copy", "test", NULL};
	if (!str_in(name, known))
		return refuse(p, "Unexpected kind", name);
	if (!is_pointer(path))
		return refuse(p, "operation failed to decode path", str_or(path, ""));
	if ((is_move || is_copy) && !is_pointer(from))
		return refuse(p, "operation failed to decode from", str_or(from, ""));
	if (is_move || is_copy)
		return is_move ? move(p, from, path) : copy(p, from, path);
	if (str_eq(name, "remove"))
		return detach(p, path, "remove operation does not apply: doc is missing path", &removed);
	if (!value)
		value = json_new(p->arena, JSON_NULL);
	if (str_eq(name, "test"))
		return test(p, path, value);
	value = json_clone(p->arena, value);
	return str_eq(name, "add") ? add(p, path, value) : replace(p, path, value);
}

int json_patch_apply(struct arena *a, struct json *doc, const struct json *patch, struct json **ret, struct status *err)
{
	struct patcher p = {.arena = a, .root = doc, .err = err};

	if (!json_is(patch, JSON_ARRAY))
		return status_set(
		    err, 400,
		    "error decoding patch: json: cannot unmarshal %s into Go value of type []handlers.jsonPatchOp",
		    decode_type_name(patch));
	if (patch->len > JSON_PATCH_OPS_MAX)
		return status_set(err, 413, "The allowed maximum operations in a JSON patch is %d, got %u",
				  JSON_PATCH_OPS_MAX, patch->len);
	JSON_EACH(op, patch)
		if (!json_is(op, JSON_OBJECT))
			return status_set(err, 400, "error decoding patch: an operation is not an object");
	JSON_EACH(op, patch)
		if (apply_one(&p, op) < 0)
			return -1;
	*ret = p.root;
	return 0;
}
