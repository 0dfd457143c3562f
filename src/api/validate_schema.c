/* SPDX-License-Identifier: Apache-2.0 */
#include "api/validate_schema.h"

#include <string.h>

#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/map.h"
#include "base/str.h"

enum level { LEVEL_ROOT, LEVEL_ITEM, LEVEL_FIELD };

#define X_INT_OR_STRING "x-kubernetes-int-or-string"
#define X_PRESERVE "x-kubernetes-preserve-unknown-fields"
#define X_EMBEDDED "x-kubernetes-embedded-resource"
#define X_LIST_TYPE "x-kubernetes-list-type"
#define X_LIST_KEYS "x-kubernetes-list-map-keys"
#define X_MAP_TYPE "x-kubernetes-map-type"
#define X_RULES "x-kubernetes-validations"

static const char *const schema_types[] = {"array", "boolean", "integer", "number", "object", "string", NULL};

static bool flag(const struct json *s, const char *key)
{
	return json_bool(json_get(s, key), false);
}

static const char *type_of(const struct json *s)
{
	return str_or(json_path_str(s, "type"), "");
}

/* ---- what no schema may say ---- */

static void check_unsupported_words(struct check *c, const char *at, const struct json *s)
{
	static const char *const words[] = {"id",	   "additionalItems", "patternProperties",
					    "definitions", "dependencies",    "$ref"};
	const char *type = type_of(s);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (json_get(s, words[i]))
			bad_forbidden(c, PATH(c, "%s.%s", at, words[i]), PATH(c, "%s is not supported", words[i]));
	if (str_eq(type, "null"))
		bad_forbidden(c, PATH(c, "%s.type", at), "type cannot be set to null, use nullable as an alternative");
	else if (*type && !str_in(type, schema_types))
		bad_unsupported(c, PATH(c, "%s.type", at), type, schema_types);
	if (flag(s, "uniqueItems"))
		bad_forbidden(c, PATH(c, "%s.uniqueItems", at),
			      "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
	if (json_is(json_get(s, "items"), JSON_ARRAY))
		bad_forbidden(c, PATH(c, "%s.items", at), "items must be a schema object and not an array");
	if (json_len(json_get(s, "properties")) && json_get(s, "additionalProperties"))
		bad_forbidden(c, PATH(c, "%s.additionalProperties", at),
			      "additionalProperties and properties are mutual exclusive");
}

/* ---- lists and maps ---- */

static void check_needs_type(struct check *c, const char *at, const struct json *s, const char *want, const char *text)
{
	const char *type = type_of(s);

	if (!*type)
		bad_required(c, PATH(c, "%s.type", at), text);
	else if (!str_eq(type, want))
		bad_invalid_str(c, PATH(c, "%s.type", at), type, text);
}

static bool is_required(const struct json *s, const char *name)
{
	EACH_ITEM(r, json_get(s, "required")) {
		if (str_eq(json_str(r), name))
			return true;
	}
	return false;
}

static void check_map_key(struct check *c, const char *at, const struct json *s, const char *key)
{
	const struct json *items = json_get(s, "items"), *property = json_get(json_get(items, "properties"), key);
	const char *item = PATH(c, "%s.items.properties[%s]", at, key), *type = type_of(property);

	if (!property) {
		bad_invalid(c, PATH(c, "%s." X_LIST_KEYS, at), json_get(s, X_LIST_KEYS),
			    "entries must all be names of item properties");
		return;
	}
	if (str_eq(type, "array") || str_eq(type, "object"))
		bad_invalid_str(c, PATH(c, "%s.type", item), type,
				"must be a scalar type if parent array's x-kubernetes-list-type is map");
	if (!json_get(property, "default") && !is_required(items, key))
		bad_required(
		    c, PATH(c, "%s.default", item),
		    "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required "
		    "property");
	if (flag(property, "nullable"))
		bad_forbidden(c, PATH(c, "%s.nullable", item),
			      "this property is in x-kubernetes-list-map-keys, so it cannot be nullable");
}

static void check_map_list(struct check *c, const char *at, const struct json *s)
{
	const struct json *items = json_get(s, "items"), *keys = json_get(s, X_LIST_KEYS);
	_cleanup_names_ struct map seen = MAP_INIT;

	if (!json_len(keys))
		bad_required(c, PATH(c, "%s." X_LIST_KEYS, at), "must not be empty if x-kubernetes-list-type is map");
	if (!items) {
		bad_required(c, PATH(c, "%s.items", at), "must have a schema if x-kubernetes-list-type is map");
		return;
	}
	if (!str_eq(type_of(items), "object"))
		bad_invalid_str(c, PATH(c, "%s.items.type", at), type_of(items),
				"must be object if parent array's x-kubernetes-list-type is map");
	EACH_ITEM(k, keys) {
		const char *key = str_or(json_str(k), "");
		if (map_set(&seen, key, c))
			bad_invalid(c, PATH(c, "%s." X_LIST_KEYS, at), keys, "must not contain duplicate entries");
		check_map_key(c, at, s, key);
	}
}

static void check_topology(struct check *c, const char *at, const struct json *s)
{
	static const char *const list_types[] = {"atomic", "set", "map", NULL};
	static const char *const map_types[] = {"atomic", "granular", NULL};
	const char *list = json_path_str(s, X_LIST_TYPE), *map = json_path_str(s, X_MAP_TYPE);
	const struct json *items = json_get(s, "items");

	if (map) {
		check_needs_type(c, at, s, "object", "must be object if x-kubernetes-map-type is specified");
		if (!str_in(map, map_types))
			bad_unsupported(c, PATH(c, "%s." X_MAP_TYPE, at), map, map_types);
	}
	if (list) {
		check_needs_type(c, at, s, "array", "must be array if x-kubernetes-list-type is specified");
		if (!str_in(list, list_types))
			bad_unsupported(c, PATH(c, "%s." X_LIST_TYPE, at), list, list_types);
	}
	if (str_eq(list, "map"))
		check_map_list(c, at, s);
	else if (json_len(json_get(s, X_LIST_KEYS)))
		bad_required(c, PATH(c, "%s." X_LIST_TYPE, at),
			     "must be map if x-kubernetes-list-map-keys is non-empty");
	if ((str_eq(list, "map") || str_eq(list, "set")) && flag(items, "nullable"))
		bad_forbidden(c, PATH(c, "%s.items.nullable", at),
			      PATH(c, "cannot be nullable when x-kubernetes-list-type is %s", list));
	if (!str_eq(list, "set"))
		return;
	/* Elements of a set are compared as a whole, so they must be owned as a whole. */
	if (str_eq(type_of(items), "array") && !str_eq(json_path_str(items, X_LIST_TYPE), "atomic") &&
	    json_path_str(items, X_LIST_TYPE))
		bad_invalid_str(c, PATH(c, "%s.items." X_LIST_TYPE, at), json_path_str(items, X_LIST_TYPE),
				"must be atomic as item of a list with x-kubernetes-list-type=set");
	if (str_eq(type_of(items), "object") && !str_eq(json_path_str(items, X_MAP_TYPE), "atomic"))
		bad_invalid_str(c, PATH(c, "%s.items." X_MAP_TYPE, at), str_or(json_path_str(items, X_MAP_TYPE), ""),
				"must be atomic as item of a list with x-kubernetes-list-type=set");
}

/* ---- rules with expressions ---- */

static void check_expressions(struct check *c, const char *at, const struct json *s)
{
	static const char *const reasons[] = {"FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid",
					      "FieldValueRequired", NULL};
	size_t i = 0;

	EACH_ITEM(r, json_get(s, X_RULES)) {
		const char *one = PATH(c, "%s." X_RULES "[%zu]", at, i++), *rule = str_or(json_path_str(r, "rule"), "");
		const struct json *message = json_get(r, "message"), *field = json_get(r, "fieldPath");
		const char *text = str_or(json_str(message), ""), *reason = json_path_str(r, "reason");
		if (strspn(rule, " \t\r\n") == strlen(rule))
			bad_required(c, PATH(c, "%s.rule", one), "rule is not specified");
		if (*text && strspn(text, " \t\r\n") == strlen(text))
			bad_invalid(c, PATH(c, "%s.message", one), message, "must be non-empty if specified");
		else if (strpbrk(text, "\r\n"))
			bad_invalid(c, PATH(c, "%s.message", one), message, "must not contain line breaks");
		else if (strpbrk(rule, "\r\n") && !*text)
			bad_required(c, PATH(c, "%s.message", one),
				     "message must be specified if rule contains line breaks");
		if (reason && !str_in(reason, reasons))
			bad_unsupported(c, PATH(c, "%s.reason", one), reason, reasons);
		if (strpbrk(str_or(json_str(field), ""), "\r\n"))
			bad_invalid(c, PATH(c, "%s.fieldPath", one), field, "must not contain line breaks");
	}
}

/* ---- structural ---- */

static void check_type_said(struct check *c, const char *at, const struct json *s, enum level level)
{
	static const char *const missing[] = {[LEVEL_ROOT] = "must not be empty at the root",
					      [LEVEL_ITEM] = "must not be empty for specified array items",
					      [LEVEL_FIELD] = "must not be empty for specified object fields"};
	const char *type = type_of(s);

	if (flag(s, X_EMBEDDED))
		check_needs_type(c, at, s, "object", "must be object if x-kubernetes-embedded-resource is true");
	else if (!*type && !flag(s, X_INT_OR_STRING) && !flag(s, X_PRESERVE))
		bad_required(c, PATH(c, "%s.type", at), missing[level]);
	if (level == LEVEL_ROOT && *type && !str_eq(type, "object"))
		bad_invalid_str(c, PATH(c, "%s.type", at), type, "must be object at the root");
	if (str_eq(type, "array") && !json_get(s, "items"))
		bad_required(c, PATH(c, "%s.items", at), "must be specified");
	if (flag(s, X_INT_OR_STRING) && flag(s, X_PRESERVE))
		bad_invalid(c, PATH(c, "%s." X_PRESERVE, at), json_get(s, X_PRESERVE),
			    "must be false if x-kubernetes-int-or-string is true");
	if (flag(s, X_INT_OR_STRING) && flag(s, X_EMBEDDED))
		bad_invalid(c, PATH(c, "%s." X_EMBEDDED, at), json_get(s, X_EMBEDDED),
			    "must be false if x-kubernetes-int-or-string is true");
	if (json_is(json_get(s, X_PRESERVE), JSON_BOOL) && !flag(s, X_PRESERVE))
		bad_invalid(c, PATH(c, "%s." X_PRESERVE, at), json_get(s, X_PRESERVE), "must be true or undefined");
	if (flag(s, X_EMBEDDED) && !flag(s, X_PRESERVE) && !json_len(json_get(s, "properties")))
		bad_required(c, PATH(c, "%s.properties", at),
			     "must not be empty if x-kubernetes-embedded-resource is true without "
			     "x-kubernetes-preserve-unknown-fields");
}

/* apiVersion, kind and metadata are implied at the root: they may be constrained, not redefined. */
static void check_object_head(struct check *c, const char *at, const struct json *s, enum level level)
{
	static const char *const strings[] = {"apiVersion", "kind"};
	static const char *const known[] = {"name", "generateName", NULL};
	const struct json *properties = json_get(s, "properties"), *meta = json_get(properties, "metadata");

	if (level != LEVEL_ROOT && !flag(s, X_EMBEDDED))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		const struct json *p = json_get(properties, strings[i]);
		if (p && !str_eq(type_of(p), "string"))
			bad_invalid_str(c, PATH(c, "%s.properties[%s].type", at, strings[i]), type_of(p),
					"must be string");
	}
	if (!meta)
		return;
	if (!str_eq(type_of(meta), "object"))
		bad_invalid_str(c, PATH(c, "%s.properties[metadata].type", at), type_of(meta), "must be object");
	if (level != LEVEL_ROOT)
		return;
	JSON_EACH(p, json_get(meta, "properties"))
		if (p->key && !str_in(p->key, known)) {
			bad_forbidden(c, PATH(c, "%s.properties[metadata]", at),
				      "must not specify anything other than name and generateName, but metadata is "
				      "implicitly specified");
			break;
		}
}

/* Inside allOf, anyOf, oneOf, not: only what restricts values. */
static void check_nested(struct check *c, const char *at, const struct json *s, bool patterns);

static void check_junctors(struct check *c, const char *at, const struct json *s)
{
	static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
	/* Of an int-or-string: anyOf integer and string is how it is usually written. */
	bool patterns = flag(s, X_INT_OR_STRING);

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		size_t i = 0;
		EACH_ITEM(n, json_get(s, lists[k]))
			check_nested(c, PATH(c, "%s.%s[%zu]", at, lists[k], i++), n, patterns);
	}
	if (json_get(s, "not"))
		check_nested(c, PATH(c, "%s.not", at), json_get(s, "not"), false);
}

static void check_nested(struct check *c, const char *at, const struct json *s, bool patterns)
{
	static const struct {
		const char *key, *text;
	} barred[] = {{"type", "must be empty to be structural"},
		      {"additionalProperties", "must be undefined to be structural"},
		      {"default", "must be undefined to be structural"},
		      {"title", "must be empty to be structural"},
		      {"description", "must be empty to be structural"},
		      {"nullable", "must be false to be structural"},
		      {X_PRESERVE, "must be false to be structural"},
		      {X_EMBEDDED, "must be false to be structural"},
		      {X_INT_OR_STRING, "must be false to be structural"},
		      {X_LIST_KEYS, "must be empty to be structural"},
		      {X_LIST_TYPE, "must be undefined to be structural"},
		      {X_MAP_TYPE, "must be undefined to be structural"},
		      {X_RULES, "must be empty to be structural"}};

	check_unsupported_words(c, at, s);
	for (size_t i = 0; i < ARRAY_SIZE(barred); i++) {
		const struct json *v = json_get(s, barred[i].key);
		bool set = v && v->type != JSON_NULL && !(v->type >= JSON_STRING && !v->len) &&
			   !(v->type == JSON_BOOL && !v->boolean);
		if (set && !(patterns && i == 0))
			bad_forbidden(c, PATH(c, "%s.%s", at, barred[i].key), barred[i].text);
	}
	const struct json *properties = json_get(s, "properties");
	if (json_get(properties, "metadata"))
		bad_forbidden(c, PATH(c, "%s.properties[metadata]", at), "must not be specified in a nested context");
	if (json_is(properties, JSON_OBJECT))
		JSON_EACH(p, properties)
			check_nested(c, PATH(c, "%s.properties[%s]", at, p->key), p, false);
	if (json_is(json_get(s, "items"), JSON_OBJECT))
		check_nested(c, PATH(c, "%s.items", at), json_get(s, "items"), false);
	static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		size_t i = 0;
		EACH_ITEM(n, json_get(s, lists[k]))
			check_nested(c, PATH(c, "%s.%s[%zu]", at, lists[k], i++), n, patterns);
	}
	if (json_get(s, "not"))
		check_nested(c, PATH(c, "%s.not", at), json_get(s, "not"), false);
}

static void check_structural(struct check *c, const char *at, const struct json *s, enum level level)
{
	const struct json *properties = json_get(s, "properties"), *items = json_get(s, "items");
	const struct json *more = json_get(s, "additionalProperties");

	if (!json_is(s, JSON_OBJECT))
		return;
	check_unsupported_words(c, at, s);
	check_type_said(c, at, s, level);
	check_object_head(c, at, s, level);
	check_topology(c, at, s);
	check_expressions(c, at, s);
	check_junctors(c, at, s);
	if (json_is(properties, JSON_OBJECT))
		JSON_EACH(p, properties)
			check_structural(c, PATH(c, "%s.properties[%s]", at, p->key), p, LEVEL_FIELD);
	if (json_is(items, JSON_OBJECT))
		check_structural(c, PATH(c, "%s.items", at), items, LEVEL_ITEM);
	if (more && level == LEVEL_ROOT)
		bad_forbidden(c, PATH(c, "%s.additionalProperties", at), "must not be used at the root");
	if (more && flag(s, X_EMBEDDED))
		bad_forbidden(c, PATH(c, "%s.additionalProperties", at),
			      "must not be used if x-kubernetes-embedded-resource is set");
	if (json_is(more, JSON_OBJECT))
		check_structural(c, PATH(c, "%s.additionalProperties", at), more, LEVEL_FIELD);
}

void check_schema(struct check *c, const char *path, const struct json *root)
{
	if (flag(root, "nullable"))
		bad_forbidden(c, PATH(c, "%s.nullable", path), "nullable cannot be true at the root");
	check_structural(c, path, root, LEVEL_ROOT);
}
