/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_patch.h"

#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"

struct patcher {
	struct arena *arena;
	struct json *root;
	size_t copied; /* nodes, against JSON_PATCH_COPY_NODES_MAX */
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

/* An array index without leading zeros and not beyond max; -1 otherwise. */
static int64_t index_of(const char *token, uint32_t max)
{
	int64_t i;
	if ((token[0] == '0' && token[1]) || parse_int_range(token, 0, max, &i) < 0)
		return -1;
	return i;
}

static struct json *child_of(const struct json *v, const char *token)
{
	if (json_is(v, JSON_OBJECT))
		return json_get(v, token);
	if (json_is(v, JSON_ARRAY) && v->len) {
		int64_t i = index_of(token, v->len - 1);
		return i < 0 ? NULL : json_at(v, (size_t)i);
	}
	return NULL;
}

static struct json *resolve(struct patcher *p, const char *path)
{
	struct json *v = p->root;
	char *token;

	while (v && (token = next_token(p->arena, &path)))
		v = child_of(v, token);
	return v;
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

static size_t nodes_of(const struct json *v)
{
	size_t n = 1;
	if (v->type >= JSON_ARRAY)
		JSON_EACH(c, v)
			n += nodes_of(c);
	return n;
}

static int add(struct patcher *p, const char *path, struct json *value)
{
	char *token;
	int level;

	if (!*path) {
		p->root = value;
		return 0;
	}
	struct json *parent = resolve_parent(p, path, &token, &level);
	if (!parent)
		return refuse(p, "add operation does not apply: doc is missing path", path);
	if (level + depth_of(value) > JSON_DEPTH_MAX)
		return refuse(p, "add operation does not apply: result is nested too deeply", path);
	if (parent->type == JSON_OBJECT) {
		json_set(p->arena, parent, token, value);
		return 0;
	}
	int64_t i = str_eq(token, "-") ? parent->len : index_of(token, parent->len);
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

static int replace(struct patcher *p, const char *path, struct json *value)
{
	if (!*path) {
		p->root = value;
		return 0;
	}
	char *token;
	int level;
	struct json *parent = resolve_parent(p, path, &token, &level), *child = parent ? child_of(parent, token) : NULL;
	if (!child)
		return refuse(p, "replace operation does not apply: doc is missing key", path);
	if (level + depth_of(value) > JSON_DEPTH_MAX)
		return refuse(p, "replace operation does not apply: result is nested too deeply", path);
	json_replace(child, value);
	return 0;
}

static int move(struct patcher *p, const char *from, const char *path)
{
	struct json *v;
	size_t n = strlen(from);

	if (strncmp(from, path, n) == 0 && path[n] == '/')
		return refuse(p, "move operation does not apply: cannot move a value into itself", path);
	if (str_eq(from, path))
		return resolve(p, path) ? 0
					: refuse(p, "move operation does not apply: doc is missing from path", from);
	if (detach(p, from, "move operation does not apply: doc is missing from path", &v) < 0)
		return -1;
	return add(p, path, v);
}

static int copy(struct patcher *p, const char *from, const char *path)
{
	struct json *v = resolve(p, from);

	if (!v)
		return refuse(p, "copy operation does not apply: doc is missing from path", from);
	p->copied += nodes_of(v);
	if (p->copied > JSON_PATCH_COPY_NODES_MAX)
		return refuse(p, "copy operation does not apply: too much is copied", path);
	return add(p, path, json_clone(p->arena, v));
}

static int test(struct patcher *p, const char *path, const struct json *value)
{
	const struct json *v = resolve(p, path);

	/* As upstream, a test for null also holds for what is absent. */
	if (v ? json_equal(v, value) : value->type == JSON_NULL)
		return 0;
	return refuse(p, "testing value failed", path);
}

static int malformed(struct patcher *p, size_t i, const char *why)
{
	return status_set(p->err, 400, "error decoding patch: operation %zu: %s", i, why);
}

static int apply_one(struct patcher *p, const struct json *op, size_t i)
{
	const char *name = json_path_str(op, "op"), *path = json_path_str(op, "path"),
		   *from = json_path_str(op, "from");
	struct json *value = json_get(op, "value"), *removed;

	if (!json_is(op, JSON_OBJECT) || !name)
		return malformed(p, i, "no \"op\"");
	if (!path || (*path && *path != '/'))
		return malformed(p, i, "\"path\" is not a JSON pointer");
	if (str_eq(name, "remove"))
		return detach(p, path, "remove operation does not apply: doc is missing path", &removed);
	if (str_eq(name, "move") || str_eq(name, "copy")) {
		if (!from || (*from && *from != '/'))
			return malformed(p, i, "\"from\" is not a JSON pointer");
		return str_eq(name, "move") ? move(p, from, path) : copy(p, from, path);
	}
	bool is_add = str_eq(name, "add"), is_replace = str_eq(name, "replace");
	if (!is_add && !is_replace && !str_eq(name, "test"))
		return malformed(p, i, "unknown \"op\"");
	if (!value)
		return malformed(p, i, "no \"value\"");
	if (is_add)
		return add(p, path, json_clone(p->arena, value));
	return is_replace ? replace(p, path, json_clone(p->arena, value)) : test(p, path, value);
}

int json_patch_apply(struct arena *a, struct json *doc, const struct json *patch, struct json **ret, struct status *err)
{
	struct patcher p = {.arena = a, .root = doc, .err = err};
	size_t i = 0;

	if (!json_is(patch, JSON_ARRAY))
		return status_set(err, 400, "error decoding patch: a JSON patch is an array of operations");
	if (patch->len > JSON_PATCH_OPS_MAX)
		return status_set(err, 413, "The allowed maximum operations in a JSON patch is %d, got %u",
				  JSON_PATCH_OPS_MAX, patch->len);
	JSON_EACH(op, patch)
		if (apply_one(&p, op, i++) < 0)
			return -1;
	*ret = p.root;
	return 0;
}
