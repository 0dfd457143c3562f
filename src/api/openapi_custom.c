/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemas of custom resources. They are JSON already; what every object has is added (apiVersion, kind, metadata), and
 * for v2 what Swagger cannot say is left out, as upstream does: alternatives, nullable, and the fields below a value
 * that keeps unknown ones.
 */
#include <string.h>

#include "api/openapi_internal.h"
#include "api/resource.h"
#include "api/type.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

void openapi_custom_name(const struct resource *r, const char *suffix, struct buf *out)
{
	const char *end = r->group + strlen(r->group);

	/* The labels of the group in reverse: example.com is com.example. */
	while (end > r->group) {
		const char *p = end;

		while (p > r->group && p[-1] != '.')
			p--;
		buf_add(out, p, (size_t)(end - p));
		buf_addc(out, '.');
		end = p > r->group ? p - 1 : p;
	}
	buf_addf(out, "%s.%s%s", r->version, r->kind, suffix);
}

static bool dropped_in_v2(const struct json *schema, const struct json *member)
{
	static const char *const never[] = {"oneOf",
					    "anyOf",
					    "allOf",
					    "not",
					    "nullable",
					    "x-kubernetes-validations",
					    "x-kubernetes-preserve-unknown-fields",
					    NULL};
	static const char *const when_open[] = {"type",	    "properties", "items", "additionalProperties",
						"required", NULL};
	bool open = json_path_bool(schema, "x-kubernetes-preserve-unknown-fields", false);

	if (str_eq(member->key, "x-kubernetes-preserve-unknown-fields"))
		return false;
	if (str_in(member->key, never))
		return true;
	if (str_eq(member->key, "type"))
		return json_bool(json_get(schema, "nullable"), false) || open ||
		       json_bool(json_get(schema, "x-kubernetes-int-or-string"), false);
	return open && str_in(member->key, when_open);
}

static void write_schema(struct openapi *o, const char *key, const struct json *schema);

static void write_schemas(struct openapi *o, const char *key, const struct json *map)
{
	json_out_object(&o->w, key);
	JSON_EACH(s, map)
		write_schema(o, s->key, s);
	json_out_end_object(&o->w);
}

static void write_members(struct openapi *o, const struct json *schema)
{
	JSON_EACH(m, schema) {
		if (o->v2 && dropped_in_v2(schema, m))
			continue;
		if (str_eq(m->key, "properties") && m->type == JSON_OBJECT)
			write_schemas(o, m->key, m);
		else if ((str_eq(m->key, "items") || str_eq(m->key, "additionalProperties")) && m->type == JSON_OBJECT)
			write_schema(o, m->key, m);
		else
			json_out_json(&o->w, m->key, m);
	}
}

static void write_schema(struct openapi *o, const char *key, const struct json *schema)
{
	json_out_object(&o->w, key);
	write_members(o, schema);
	json_out_end_object(&o->w);
}

static void write_kind(struct openapi *o, const struct resource *r, const char *suffix)
{
	json_out_array(&o->w, "x-kubernetes-group-version-kind");
	json_out_object(&o->w, NULL);
	json_out_str(&o->w, "group", r->group);
	json_out_str(&o->w, "version", r->version);
	json_out_key(&o->w, "kind");
	buf_addf(o->w.buf, "\"%s%s\"", r->kind, suffix);
	json_out_end_object(&o->w);
	json_out_end_array(&o->w);
}

static void write_type_meta(struct openapi *o)
{
	json_out_raw(&o->w, "apiVersion",
		     "{\"description\":\"Group and version of this object's schema.\",\"type\":\"string\"}");
	json_out_raw(&o->w, "kind", "{\"description\":\"Which resource this object is.\",\"type\":\"string\"}");
}

static void write_object(struct openapi *o, const struct resource *r)
{
	const struct json *schema = o->set->schema ? o->set->schema(r) : NULL;
	bool open = json_path_bool(schema, "x-kubernetes-preserve-unknown-fields", false);

	if (!schema || (o->v2 && open)) {
		json_out_str(&o->w, "type", "object");
		if (open)
			json_out_bool(&o->w, "x-kubernetes-preserve-unknown-fields", true);
		return;
	}
	JSON_EACH(m, schema)
		if (!str_eq(m->key, "properties") && !(o->v2 && dropped_in_v2(schema, m)))
			json_out_json(&o->w, m->key, m);
	json_out_object(&o->w, "properties");
	write_type_meta(o);
	openapi_ref(o, "metadata", type_find(OPENAPI_META "ObjectMeta"));
	JSON_EACH(p, json_get(schema, "properties"))
		if (!str_eq(p->key, "apiVersion") && !str_eq(p->key, "kind") && !str_eq(p->key, "metadata"))
			write_schema(o, p->key, p);
	json_out_end_object(&o->w);
}

void openapi_write_custom(struct openapi *o, const struct resource *r)
{
	_cleanup_buf_ struct buf name = BUF_INIT, list = BUF_INIT;

	openapi_custom_name(r, "", &name);
	openapi_custom_name(r, "List", &list);
	json_out_object(&o->w, name.data);
	write_object(o, r);
	write_kind(o, r, "");
	json_out_end_object(&o->w);

	json_out_object(&o->w, list.data);
	json_out_str(&o->w, "type", "object");
	json_out_raw(&o->w, "required", "[\"items\"]");
	json_out_object(&o->w, "properties");
	write_type_meta(o);
	openapi_ref(o, "metadata", type_find(OPENAPI_META "ListMeta"));
	json_out_object(&o->w, "items");
	json_out_str(&o->w, "type", "array");
	openapi_ref_name(o, "items", name.data);
	json_out_end_object(&o->w);
	json_out_end_object(&o->w);
	write_kind(o, r, "List");
	json_out_end_object(&o->w);
}
