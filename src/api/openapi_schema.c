/* SPDX-License-Identifier: Apache-2.0 */
/* Types as OpenAPI schemas. */
#include <string.h>

#include "api/openapi_internal.h"
#include "api/resource.h"
#include "api/type.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"

void openapi_release(struct openapi *o)
{
	VEC_RELEASE(&o->types);
}

static void need(struct openapi *o, const struct type *t)
{
	for (size_t i = 0; i < o->types.n; i++)
		if (o->types.at[i] == t)
			return;
	VEC_PUSH(&o->types, t);
}

void openapi_ref_name(struct openapi *o, const char *key, const char *model)
{
	json_out_object(&o->w, key);
	json_out_key(&o->w, "$ref");
	buf_addf(o->w.buf, "\"#/%s/%s\"", o->v2 ? "definitions" : "components/schemas", model);
	json_out_end_object(&o->w);
}

void openapi_ref(struct openapi *o, const char *key, const struct type *t)
{
	need(o, t);
	openapi_ref_name(o, key, t->name);
}

/* The keywords of a value without a type of its own. */
static void write_scalar(struct openapi *o, const struct field *f)
{
	static const struct {
		const char *type, *format;
	} simple[] = {
	    [FIELD_STRING] = {"string", NULL},	   [FIELD_BYTES] = {"string", "byte"},
	    [FIELD_BOOL] = {"boolean", NULL},	   [FIELD_INT32] = {"integer", "int32"},
	    [FIELD_INT64] = {"integer", "int64"},  [FIELD_UINT32] = {"integer", "int64"},
	    [FIELD_UINT64] = {"integer", "int64"}, [FIELD_FLOAT] = {"number", "float"},
	    [FIELD_DOUBLE] = {"number", "double"}, [FIELD_TIME] = {"string", "date-time"},
	    [FIELD_DURATION] = {"string", NULL},   [FIELD_MICRO_TIME] = {"string", "date-time"},
	    [FIELD_QUANTITY] = {"string", NULL},   [FIELD_INT_OR_STRING] = {"string", "int-or-string"},
	    [FIELD_RAW] = {"object", NULL},	   [FIELD_FIELDS_V1] = {"object", NULL},
	    [FIELD_VERBS] = {"string", NULL},
	};

	if (f->kind == FIELD_JSON)
		return;
	if (!o->v2 && f->kind == FIELD_QUANTITY) {
		json_out_raw(&o->w, "oneOf", "[{\"type\":\"string\"},{\"type\":\"number\"}]");
		return;
	}
	if (!o->v2 && f->kind == FIELD_INT_OR_STRING)
		json_out_raw(&o->w, "oneOf", "[{\"type\":\"integer\"},{\"type\":\"string\"}]");
	else
		json_out_str(&o->w, "type", simple[f->kind].type);
	json_out_opt(&o->w, "format", simple[f->kind].format);
	json_out_strv(&o->w, "enum", f->enum_values);
}

/* {…} of one element of a list or map. */
static void write_element(struct openapi *o, const char *key, const struct field *f)
{
	if (f->kind == FIELD_STRUCT) {
		openapi_ref(o, key, f->type);
		return;
	}
	json_out_object(&o->w, key);
	write_scalar(o, f);
	json_out_end_object(&o->w);
}

static void write_value(struct openapi *o, const struct field *f)
{
	switch (f->shape) {
	case SHAPE_LIST:
		json_out_str(&o->w, "type", "array");
		write_element(o, "items", f);
		break;
	case SHAPE_MAP:
		json_out_str(&o->w, "type", "object");
		write_element(o, "additionalProperties", f);
		break;
	case SHAPE_MAP_OF_LISTS:
		json_out_str(&o->w, "type", "object");
		json_out_object(&o->w, "additionalProperties");
		json_out_str(&o->w, "type", "array");
		write_element(o, "items", f);
		json_out_end_object(&o->w);
		break;
	default:
		if (f->kind != FIELD_STRUCT) {
			write_scalar(o, f);
		} else if (o->v2) { /* beside $ref others are allowed, as upstream writes them */
			need(o, f->type);
			json_out_key(&o->w, "$ref");
			buf_addf(o->w.buf, "\"#/definitions/%s\"", f->type->name);
		} else {
			json_out_array(&o->w, "allOf");
			openapi_ref(o, NULL, f->type);
			json_out_end_array(&o->w);
		}
	}
}

static void write_extensions(struct openapi *o, const struct field *f)
{
	if (f->list_type != LIST_ATOMIC)
		json_out_str(&o->w, "x-kubernetes-list-type", f->list_type == LIST_MAP ? "map" : "set");
	json_out_strv(&o->w, "x-kubernetes-list-map-keys", f->list_keys);
	if (f->atomic && f->shape == SHAPE_MAP)
		json_out_str(&o->w, "x-kubernetes-map-type", "atomic");
	json_out_opt(&o->w, "x-kubernetes-patch-merge-key", f->patch_merge_key);
	if (f->patch_merge || f->patch_replace_keys)
		json_out_str(&o->w, "x-kubernetes-patch-strategy",
			     !f->patch_replace_keys ? "merge"
			     : f->patch_merge	    ? "merge,retainKeys"
						    : "retainKeys");
}

static void write_property(struct openapi *o, const struct field *f)
{
	if (f->kind == FIELD_STRUCT && f->shape == SHAPE_SINGLE && !f->doc && !f->default_json) {
		openapi_ref(o, f->name, f->type);
		return;
	}
	json_out_object(&o->w, f->name);
	json_out_opt(&o->w, "description", f->doc);
	if (f->default_json)
		json_out_raw(&o->w, "default", f->default_json);
	write_value(o, f);
	write_extensions(o, f);
	json_out_end_object(&o->w);
}

/* Inlined structs' fields are the type's own. */
static void write_properties(struct openapi *o, const struct type *t)
{
	for (uint32_t i = 0; i < t->n_fields; i++) {
		if (t->fields[i].embedded)
			write_properties(o, t->fields[i].type);
		else
			write_property(o, &t->fields[i]);
	}
}

static void write_required(struct openapi *o, const struct type *t, bool *open)
{
	for (uint32_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];

		if (f->embedded)
			write_required(o, f->type, open);
		if (!f->required)
			continue;
		if (!*open)
			json_out_array(&o->w, "required");
		*open = true;
		json_out_str(&o->w, NULL, f->name);
	}
}

void openapi_write_kinds(struct openapi *o, const struct type *t)
{
	bool open = false;

	for (size_t i = 0; i < kind_table_len; i++) {
		const struct kind_type *k = &kind_table[i];
		/* The API machinery's own kinds belong to no group when they are bodies of the core's paths. */
		bool meta = str_eq(k->group, "meta.k8s.io");

		if (k->type != t)
			continue;
		if (!open)
			json_out_array(&o->w, "x-kubernetes-group-version-kind");
		open = true;
		json_out_object(&o->w, NULL);
		json_out_str(&o->w, "group", meta ? "" : k->group);
		json_out_str(&o->w, "version", k->version);
		json_out_str(&o->w, "kind", k->kind);
		json_out_end_object(&o->w);
	}
	if (open)
		json_out_end_array(&o->w);
}

static void write_type(struct openapi *o, const struct type *t)
{
	bool required = false;

	json_out_object(&o->w, t->name);
	json_out_opt(&o->w, "description", t->doc);
	if (strstr(t->name, ".JSONSchemaPropsOr")) { /* any JSON value */
		json_out_end_object(&o->w);
		return;
	}
	json_out_str(&o->w, "type", "object");
	write_required(o, t, &required);
	if (required)
		json_out_end_array(&o->w);
	if (t->n_fields) {
		json_out_object(&o->w, "properties");
		write_properties(o, t);
		json_out_end_object(&o->w);
	}
	if (t->atomic)
		json_out_str(&o->w, "x-kubernetes-map-type", "atomic");
	openapi_write_kinds(o, t);
	json_out_end_object(&o->w);
}

void openapi_write_types(struct openapi *o)
{
	for (size_t i = 0; i < o->types.n; i++)
		write_type(o, o->types.at[i]);
}
