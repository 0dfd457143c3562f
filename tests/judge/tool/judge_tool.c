/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server does to objects, without the server, for the judge that compares it with upstream's own modules.
 * One JSON request a line on standard input, one JSON answer a line: {"object": …} or {"status": …}.
 *	op        apply, update, strategic, json, merge or decode; or gated: the names ("model.field") of the fields
 *behind gates that are off, whatever the rest says resource  apiVersion and kind live      what is stored, or null body
 *what was sent: a configuration, an object, a patch manager, subresource, force, time (seconds), for the first two
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/apply.h"
#include "api/decode.h"
#include "api/json_patch.h"
#include "api/merge_patch.h"
#include "api/resource.h"
#include "api/strategic_patch.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"

struct question {
	struct arena *arena;
	const struct resource *row;
	const char *op;
	struct json *live, *body;
	struct apply_request owner;
};

static int decoded(struct question *q, struct json *tree, struct json **ret, struct status *err)
{
	return decode_object(q->arena, q->row->type, q->row->kind, q->row->version, tree, NULL, ret, err);
}

/* {"model.field": true, …} */
static struct json *gated(struct arena *a)
{
	struct json *out = json_new(a, JSON_OBJECT);
	for (size_t i = 0; i < type_table_len; i++)
		for (uint32_t j = 0; j < type_table[i]->n_fields; j++) {
			const struct field *f = &type_table[i]->fields[j];
			if (f->off)
				json_set_bool(a, out, arena_printf(a, "%s.%s", type_table[i]->name, f->name), true);
		}
	return out;
}

static int answer(struct question *q, struct json **ret, struct status *err)
{
	struct json *out = NULL;
	if (str_eq(q->op, "apply")) {
		if (apply_patch(q->arena, &q->owner, q->live, q->body, &out, err) < 0)
			return -1;
		return decoded(q, out, ret, err);
	}
	if (str_eq(q->op, "update")) {
		if (decoded(q, q->body, ret, err) < 0)
			return -1;
		apply_track_update(q->arena, &q->owner, q->live, *ret);
		return 0;
	}
	if (str_eq(q->op, "decode"))
		return decoded(q, q->body, ret, err);
	if (str_eq(q->op, "gated")) {
		*ret = gated(q->arena);
		return 0;
	}
	if (str_eq(q->op, "strategic"))
		return strategic_patch_apply(q->arena, q->row->type, q->live, q->body, ret, err);
	if (str_eq(q->op, "json"))
		return json_patch_apply(q->arena, q->live, q->body, ret, err);
	*ret = merge_patch_apply(q->arena, q->live, q->body);
	return 0;
}

static int read_question(struct question *q, const char *line, size_t len)
{
	struct json *in, *live;
	struct json_error bad;
	if (json_parse(q->arena, line, len, &in, &bad) < 0)
		return -1;
	const char *version = json_path_str(in, "apiVersion"), *kind = json_path_str(in, "kind");
	const char *slash = version ? strchr(version, '/') : NULL;
	if (!version || !kind)
		return -1;
	q->row = slash ? resource_by_kind(arena_strndup(q->arena, version, (size_t)(slash - version)), slash + 1, kind)
		       : resource_by_kind("", version, kind);
	live = json_get(in, "live");
	q->op = str_or(json_path_str(in, "op"), "");
	q->live = json_is(live, JSON_NULL) ? NULL : live;
	q->body = json_get(in, "body");
	q->owner = (struct apply_request){.resource = q->row,
					  .manager = json_path_str(in, "manager"),
					  .subresource = json_path_str(in, "subresource"),
					  .api_version = version,
					  .now_ns = json_path_int(in, "time", 0) * 1000000000,
					  .force = json_path_bool(in, "force", false)};
	return q->row && q->body ? 0 : -1;
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	while ((len = getline(&line, &cap, stdin)) > 0) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		_cleanup_buf_ struct buf out = BUF_INIT;
		struct question q = {.arena = &a};
		struct json *object = NULL;
		if (read_question(&q, line, (size_t)len) < 0)
			status_set(&err, 400, "not a question of this tool");
		else
			answer(&q, &object, &err);
		buf_adds(&out, status_failed(&err) ? "{\"status\":" : "{\"object\":");
		if (status_failed(&err))
			status_write_json(&err, &out);
		else
			json_write(&out, object);
		buf_adds(&out, "}\n");
		fwrite(out.data, 1, out.len, stdout);
		fflush(stdout);
	}
	free(line);
	return 0;
}
