/* SPDX-License-Identifier: Apache-2.0 */
#include "api/default.h"

#include <string.h>

#include "api/default_internal.h"
#include "api/default_kinds.h"
#include "api/resource.h"
#include "api/type.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

void default_str(struct arena *a, struct json *o, const char *key, const char *value)
{
	if (!json_is(o, JSON_OBJECT))
		return;
	struct json *v = json_get(o, key);
	if (!v || v->type == JSON_NULL || (v->type == JSON_STRING && !v->len))
		json_set_str(a, o, key, value);
}

static bool absent(const struct json *o, const char *key)
{
	return json_is(o, JSON_OBJECT) && (!json_get(o, key) || json_get(o, key)->type == JSON_NULL);
}

void default_pointed(struct arena *a, struct json *o, const char *key, const char *value)
{
	if (absent(o, key))
		json_set_str(a, o, key, value);
}

void default_int(struct arena *a, struct json *o, const char *key, int64_t value)
{
	if (absent(o, key))
		json_set_int(a, o, key, value);
}

void default_bool(struct arena *a, struct json *o, const char *key, bool value)
{
	if (absent(o, key))
		json_set_bool(a, o, key, value);
}

struct json *default_member(struct arena *a, struct json *o, const char *key)
{
	if (!json_is(o, JSON_OBJECT))
		return NULL;
	if (absent(o, key))
		json_set(a, o, key, json_new(a, JSON_OBJECT));
	return json_get(o, key);
}

void default_first(struct arena *a, struct json *o, const char *single, const char *list, const char *member)
{
	const struct json *first = json_first(json_get(o, list));
	const char *one = json_path_str(o, single), *had = member ? json_path_str(first, member) : json_str(first);

	if (str_empty(one) && !str_empty(had)) {
		json_set_str(a, o, single, had);
	} else if (!str_empty(one) && !str_eq(one, had)) {
		struct json *values = json_set(a, o, list, json_new(a, JSON_ARRAY));
		struct json *v = json_append(values, member ? json_new(a, JSON_OBJECT) : json_new_str(a, one));
		if (member)
			json_set_str(a, v, member, one);
	}
}

/* ---- by the table ---- */

static void walk(struct arena *a, const struct type *t, struct json *v);

static void set_default(struct arena *a, const struct field *f, struct json *o)
{
	struct json *v;

	if (json_parse(a, f->default_json, strlen(f->default_json), &v, NULL) < 0)
		return; /* the generator writes valid JSON; a custom resource's default was checked with its schema */
	bool zero = (v->type == JSON_STRING && !v->len) || (v->type == JSON_BOOL && !v->boolean) ||
		    (v->type == JSON_NUMBER && json_double(v, 1) == 0);
	if (!zero || f->pointer || !f->omit_empty)
		json_set(a, o, f->name, v);
}

static void walk_field(struct arena *a, const struct field *f, struct json *o)
{
	struct json *v = json_get(o, f->name);

	if (f->default_json && (!v || v->type == JSON_NULL ||
				(v->type == JSON_STRING && !v->len && !f->pointer && f->shape == SHAPE_SINGLE))) {
		set_default(a, f, o);
		return;
	}
	if (!v || f->kind != FIELD_STRUCT || !f->type)
		return;
	if (f->shape == SHAPE_SINGLE) {
		walk(a, f->type, v);
	} else if (v->type >= JSON_ARRAY) {
		JSON_EACH(c, v)
			walk(a, f->type, c);
	}
}

static void walk(struct arena *a, const struct type *t, struct json *v)
{
	if (!json_is(v, JSON_OBJECT))
		return;
	for (uint32_t i = 0; i < t->n_fields; i++) {
		if (t->fields[i].embedded)
			walk(a, t->fields[i].type, v);
		else
			walk_field(a, &t->fields[i], v);
	}
}

void default_object(struct arena *a, const struct resource *r, struct json *tree)
{
	if (r->type)
		walk(a, r->type, tree);
	default_kind(a, r, tree);
}
