/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns which field: managedFields of a write, and server-side apply, in the version that was asked for. */
#include <string.h>

#include "api/apply.h"
#include "api/decode.h"
#include "api/meta.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "server/registry_internal.h"

static const char *api_version(struct arena *a, const struct resource *r)
{
	return *r->group ? arena_printf(a, "%s/%s", r->group, r->version) : r->version;
}

static struct apply_request owner(struct write_op *op)
{
	return (struct apply_request){.resource = op->req.resource,
				      .manager = str_or(op->req.field_manager, "unknown"),
				      .subresource = str_or(op->req.subresource, ""),
				      .api_version = api_version(op->arena, op->req.resource),
				      .now_ns = now_ns(),
				      .force = op->req.force};
}

static void set_fields(struct write_op *op, struct json *tree, const struct json *from)
{
	const struct json *fields = json_path(from, "metadata.managedFields");
	if (fields)
		json_set(op->arena, meta_of(op->arena, tree), "managedFields", json_clone(op->arena, fields));
	else
		json_remove(json_get(tree, "metadata"), "managedFields");
}

void op_track_update(struct write_op *op)
{
	struct arena *a = op->arena;
	struct apply_request r = owner(op);
	const struct resource *asked = op->req.resource, *stored = op->row;
	if (asked == stored) {
		apply_track_update(a, &r, op->old_tree, op->tree);
		return;
	}
	struct json *old = op->old_tree ? version_convert(a, stored, asked, json_clone(a, op->old_tree)) : NULL;
	struct json *new = version_convert(a, stored, asked, json_clone(a, op->tree));
	apply_track_update(a, &r, old, new);
	set_fields(op, op->tree, new);
}

/* ---- apply ---- */

static int check_object_type(struct write_op *op, const char *version, const char *kind, const struct json *in,
			     struct status *err)
{
	if (!json_is(in, JSON_OBJECT))
		return status_set(err, 400, "error decoding YAML: an object is expected");
	const char *got_version = str_or(json_path_str(in, "apiVersion"), ""),
		   *got_kind = str_or(json_path_str(in, "kind"), "");
	(void)op;
	if (str_eq(got_version, version) && str_eq(got_kind, kind))
		return 0;
	return status_set(err, 400, "invalid object type: %s%s, Kind=%s", strchr(got_version, '/') ? "" : "/",
			  got_version, got_kind);
}

/* The configuration with the name and namespace of the URL, which it need not repeat. */
static struct json *located(struct write_op *op)
{
	struct json *in = json_clone(op->arena, op->req.body), *meta = json_get(in, "metadata");
	if (!meta || meta->type == JSON_NULL)
		meta = json_set(op->arena, in, "metadata", json_new(op->arena, JSON_OBJECT));
	if (!json_is(meta, JSON_OBJECT))
		return in; /* its type will be judged */
	if (!json_get(meta, "name"))
		json_set_str(op->arena, meta, "name", op->name);
	if (op->row->namespaced && !json_get(meta, "namespace"))
		json_set_str(op->arena, meta, "namespace", op->ns);
	return in;
}

int op_applied_tree(struct write_op *op, struct json **ret, struct status *err)
{
	struct arena *a = op->arena;
	const struct resource *asked = op->req.resource;
	struct apply_request r = owner(op);
	struct json *out = NULL;
	if (check_object_type(op, r.api_version, asked->kind, op->req.body, err) < 0)
		return -1;
	struct json *live = op->old_tree ? version_convert(a, op->row, asked, json_clone(a, op->old_tree)) : NULL;
	if (apply_patch(a, &r, live, located(op), &out, err) < 0 ||
	    decode_object(a, asked->type, asked->kind, asked->version, out, NULL, &out, err) < 0)
		return -1;
	const char *name = meta_name(out);
	if (!str_eq(name, op->name))
		return status_set(err, 400, "the name of the object (%s) does not match the name on the URL (%s)", name,
				  op->name);
	*ret = version_convert(a, asked, op->row, out);
	return 0;
}

/* ---- apply to scale ---- */

/*
 * A Scale's managers are those of the object that own its spec.replicas, under Scale's version; what the apply makes of
 * them is carried back. Every scalable kind has its replicas there, so one path is all that there is to map.
 */
static bool owns_replicas(const struct json *entry)
{
	return json_path(entry, "fieldsV1.f:spec.f:replicas") != NULL;
}

static struct json *replicas_set(struct arena *a)
{
	struct json *set = json_new(a, JSON_OBJECT);
	json_set_path(a, set, "f:spec.f:replicas", json_new(a, JSON_OBJECT));
	return set;
}

static void add_managers(struct write_op *op, struct json *view, const char *version)
{
	struct arena *a = op->arena;
	struct json *list = json_new(a, JSON_ARRAY);
	JSON_EACH(e, json_path(op->old_tree, "metadata.managedFields")) {
		if (!owns_replicas(e))
			continue;
		struct json *copy = json_append(list, json_clone(a, e));
		json_set_str(a, copy, "apiVersion", version);
		json_set(a, copy, "fieldsV1", replicas_set(a));
	}
	if (list->len)
		json_set(a, meta_of(a, view), "managedFields", list);
}

static struct json *same_manager(const struct json *list, const struct json *entry)
{
	static const char *const identity[] = {"manager", "operation", "subresource"};
	JSON_EACH(e, list) {
		bool same = true;
		for (size_t i = 0; i < ARRAY_SIZE(identity); i++)
			same = same && str_eq(str_or(json_path_str(e, identity[i]), ""),
					      str_or(json_path_str(entry, identity[i]), ""));
		if (same)
			return e;
	}
	return NULL;
}

static void carry_back(struct write_op *op, struct json *tree, const struct json *view, const char *version)
{
	struct arena *a = op->arena;
	struct json *after = json_path(view, "metadata.managedFields");
	struct json *list = json_array_in(a, meta_of(a, tree), "managedFields");
	for (struct json *e = json_first(list), *next; e; e = next) {
		next = json_next(list, e);
		struct json *kept = owns_replicas(e) ? same_manager(after, e) : NULL, *spec;
		if (!owns_replicas(e) || kept)
			continue;
		spec = json_path(e, "fieldsV1.f:spec");
		json_remove(spec, "f:replicas");
		if (!json_len(spec))
			json_remove(json_get(e, "fieldsV1"), "f:spec");
		if (!json_len(json_get(e, "fieldsV1")))
			json_remove_child(list, e);
	}
	JSON_EACH(e, after) {
		struct json *mine = same_manager(list, e);
		const char *time = json_path_str(e, "time");
		if (mine) {
			if (time)
				json_set_str(a, mine, "time", time);
			continue;
		}
		mine = json_append(list, json_clone(a, e));
		json_set_str(a, mine, "apiVersion", version);
	}
	if (!list->len)
		json_remove(json_get(tree, "metadata"), "managedFields");
}

int op_applied_view(struct write_op *op, const struct subresource_ops *ops, struct json **ret, struct status *err)
{
	struct arena *a = op->arena;
	const struct subresource *sub = op->sub;
	struct resource row = *op->row;
	struct apply_request r = owner(op);
	struct json *view = ops->view(a, op->row, op->old_tree), *out = NULL;
	const char *parent = r.api_version;
	row.type = sub->type;
	row.kind = sub->kind;
	row.has_status = false;
	r.resource = &row;
	r.api_version = *str_or(sub->group, "") ? arena_printf(a, "%s/%s", sub->group, str_or(sub->version, "v1"))
						: str_or(sub->version, "v1");
	if (check_object_type(op, r.api_version, sub->kind, op->req.body, err) < 0)
		return -1;
	add_managers(op, view, r.api_version);
	if (apply_patch(a, &r, view, located(op), &out, err) < 0 ||
	    decode_object(a, sub->type, sub->kind, str_or(sub->version, "v1"), out, NULL, &out, err) < 0)
		return -1;
	op->applied_view = out;
	op->applied_version = parent;
	*ret = out;
	return 0;
}

void op_settle_view(struct write_op *op)
{
	if (op->applied_view)
		carry_back(op, op->tree, op->applied_view, op->applied_version);
}
