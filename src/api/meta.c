/* SPDX-License-Identifier: Apache-2.0 */
#include "api/meta.h"

#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"

static const char *text(const struct json *obj, const char *key)
{
	return str_or(json_str(json_get(json_get(obj, "metadata"), key)), "");
}

const char *meta_name(const struct json *obj)
{
	return text(obj, "name");
}

const char *meta_ns(const struct json *obj)
{
	return text(obj, "namespace");
}

const char *meta_uid(const struct json *obj)
{
	return text(obj, "uid");
}

uint64_t meta_rev(const struct json *obj)
{
	uint64_t rev;
	return parse_u64(text(obj, "resourceVersion"), &rev) == 0 ? rev : 0;
}

int64_t meta_generation(const struct json *obj)
{
	return json_path_int(obj, "metadata.generation", 0);
}

int64_t meta_created_ns(const struct json *obj)
{
	int64_t ns;
	return time_parse(text(obj, "creationTimestamp"), &ns) == 0 ? ns : 0;
}

bool meta_deleting(const struct json *obj)
{
	return json_path_str(obj, "metadata.deletionTimestamp") != NULL;
}

const char *meta_label(const struct json *obj, const char *key)
{
	return json_str(json_get(json_path(obj, "metadata.labels"), key));
}

const char *meta_annotation(const struct json *obj, const char *key)
{
	return json_str(json_get(json_path(obj, "metadata.annotations"), key));
}

bool meta_split_api_version(const char *api_version, char *group_out, const char **ret_version)
{
	if (str_empty(api_version))
		return false;
	const char *slash = strchr(api_version, '/');
	size_t n = slash ? (size_t)(slash - api_version) : 0;

	if (n > NAME_MAX_DNS_SUBDOMAIN || (slash && (!n || !slash[1] || strchr(slash + 1, '/'))))
		return false;
	memcpy(group_out, api_version, n);
	group_out[n] = 0;
	*ret_version = slash ? slash + 1 : api_version;
	return true;
}

/* ---- writing ---- */

struct json *meta_of(struct arena *a, struct json *obj)
{
	return json_object_in(a, obj, "metadata");
}

static void set_in(struct arena *a, struct json *obj, const char *map, const char *key, const char *value)
{
	struct json *meta = meta_of(a, obj);

	if (value) {
		json_set_str(a, json_object_in(a, meta, map), key, value);
		return;
	}
	struct json *m = json_get(meta, map);
	if (m && json_remove(m, key) && !json_len(m))
		json_remove(meta, map);
}

void meta_set_label(struct arena *a, struct json *obj, const char *key, const char *value)
{
	set_in(a, obj, "labels", key, value);
}

void meta_set_annotation(struct arena *a, struct json *obj, const char *key, const char *value)
{
	set_in(a, obj, "annotations", key, value);
}

struct json *meta_object_new(struct arena *a, const char *api_version, const char *kind, const char *ns,
			     const char *name)
{
	struct json *obj = json_new(a, JSON_OBJECT);

	json_set_str(a, obj, "apiVersion", api_version);
	json_set_str(a, obj, "kind", kind);
	struct json *meta = json_object_in(a, obj, "metadata");
	if (!str_empty(name))
		json_set_str(a, meta, "name", name);
	if (!str_empty(ns))
		json_set_str(a, meta, "namespace", ns);
	return obj;
}

static const char *api_version_of(struct arena *a, const struct resource *r)
{
	return str_empty(r->group) ? r->version : arena_printf(a, "%s/%s", r->group, r->version);
}

struct json *meta_object_for(struct arena *a, const struct resource *r, const char *ns, const char *name)
{
	return meta_object_new(a, api_version_of(a, r), r->kind, ns, name);
}

/* ---- finalizers ---- */

static struct json *find_string(const struct json *array, const char *s)
{
	if (json_is(array, JSON_ARRAY))
		JSON_EACH(c, array)
			if (str_eq(json_str(c), s))
				return c;
	return NULL;
}

bool meta_has_finalizer(const struct json *obj, const char *name)
{
	return find_string(json_path(obj, "metadata.finalizers"), name) != NULL;
}

bool meta_add_finalizer(struct arena *a, struct json *obj, const char *name)
{
	if (meta_has_finalizer(obj, name))
		return false;
	json_append(json_array_in(a, meta_of(a, obj), "finalizers"), json_new_str(a, name));
	return true;
}

bool meta_remove_finalizer(struct json *obj, const char *name)
{
	struct json *meta = json_get(obj, "metadata"), *list = json_get(meta, "finalizers"), *f;
	bool found = false;

	while ((f = find_string(list, name))) {
		json_remove_child(list, f);
		found = true;
	}
	if (found && !json_len(list))
		json_remove_child(meta, list);
	return found;
}

/* ---- owners ---- */

struct json *meta_controller(const struct json *obj)
{
	struct json *refs = json_path(obj, "metadata.ownerReferences");

	if (json_is(refs, JSON_ARRAY))
		JSON_EACH(ref, refs)
			if (json_path_bool(ref, "controller", false))
				return ref;
	return NULL;
}

struct json *meta_controller_ref(struct arena *a, const char *api_version, const char *kind, const char *name,
				 const char *uid)
{
	struct json *ref = json_new(a, JSON_OBJECT);

	json_set_str(a, ref, "apiVersion", api_version);
	json_set_str(a, ref, "kind", kind);
	json_set_str(a, ref, "name", name);
	json_set_str(a, ref, "uid", uid);
	json_set_bool(a, ref, "controller", true);
	json_set_bool(a, ref, "blockOwnerDeletion", true);
	return ref;
}

struct json *meta_controller_ref_to(struct arena *a, const struct object *owner)
{
	const struct resource *r = owner->resource;
	return meta_controller_ref(a, api_version_of(a, r), r->kind, owner->name, owner->uid);
}

void meta_set_owner(struct arena *a, struct json *obj, struct json *ref)
{
	struct json *refs = json_array_in(a, meta_of(a, obj), "ownerReferences");

	JSON_EACH(r, refs)
		if (str_eq(json_path_str(r, "uid"), json_path_str(ref, "uid"))) {
			json_replace(r, ref);
			return;
		}
	json_append(refs, ref);
}

/* ---- conditions ---- */

struct json *meta_condition(const struct json *obj, const char *type)
{
	struct json *list = json_path(obj, "status.conditions");

	if (json_is(list, JSON_ARRAY))
		JSON_EACH(c, list)
			if (str_eq(json_path_str(c, "type"), type))
				return c;
	return NULL;
}

const char *meta_condition_status(const struct json *obj, const char *type)
{
	return str_or(json_path_str(meta_condition(obj, type), "status"), "");
}

/* Sets or, for NULL, removes a string member; whether it differs now. */
static bool set_text(struct arena *a, struct json *o, const char *key, const char *value)
{
	struct json *old = json_get(o, key);

	if (!value)
		return json_remove(o, key);
	if (old && str_eq(json_str(old), value))
		return false;
	json_set_str(a, o, key, value);
	return true;
}

bool meta_set_condition(struct arena *a, struct json *obj, const char *type, const char *status, const char *reason,
			const char *message, int64_t now_ns)
{
	struct json *c = meta_condition(obj, type);
	char now[TIME_RFC3339_MAX];

	if (!c) {
		c = json_new(a, JSON_OBJECT);
		json_set_str(a, c, "type", type);
		json_append(json_array_in(a, json_object_in(a, obj, "status"), "conditions"), c);
	}
	bool flipped = set_text(a, c, "status", status);
	if (flipped)
		json_set_str(a, c, "lastTransitionTime", time_format(now_ns, now));
	bool why = set_text(a, c, "reason", reason);
	return set_text(a, c, "message", message) || why || flipped;
}

bool meta_remove_condition(struct json *obj, const char *type)
{
	struct json *c = meta_condition(obj, type);
	if (c)
		json_remove_child(json_path(obj, "status.conditions"), c);
	return c != NULL;
}
