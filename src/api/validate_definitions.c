/* SPDX-License-Identifier: Apache-2.0 */
/* CustomResourceDefinition: names, versions, columns, subresources, conversion. Its schemas: validate_schema.c. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "api/validate_schema.h"
#include "base/map.h"
#include "base/str.h"

#define CRD "CustomResourceDefinition"
#define APPROVED "api-approved.kubernetes.io"
#define WARNING_BYTES_MAX 256
#define SELECTABLE_FIELDS_MAX 8

static const char *const scopes[] = {"Cluster", "Namespaced", NULL};
static const char *const strategies[] = {"None", "Webhook", NULL};
static const char *const column_types[] = {"boolean", "date", "integer", "number", "string", NULL};
static const char *const column_formats[] = {"byte",  "date",  "date-time", "double", "float",
					     "int32", "int64", "password",  NULL};

static const char *rule_kind(const char *s)
{
	static _Thread_local char told[512]; /* more than all together */
	char lower[NAME_MAX_DNS_LABEL + 2];
	size_t n = 0;

	for (; s[n] && n + 1 < sizeof(lower); n++)
		lower[n] = (char)tolower((unsigned char)s[n]);
	lower[n] = 0;
	const char *why = name_check_dns1035_label(lower);
	snprintf(told, sizeof(told), "may have mixed case, but should otherwise match: %s", str_or(why, ""));
	for (char *line = told; (line = strchr(line, '\n'));)
		*line = ',';
	return why ? told : NULL;
}

static const char *rule_json_path(const char *s)
{
	if (*s != '.')
		return "must be a simple json path starting with .";
	return strpbrk(s, "[]") ? "must be a json path in the dot notation" : NULL;
}

/* kind and listKind may not be the same: what is told apart by them would be ambiguous. */
static void check_list_kind(struct check *c, const char *at, const struct json *names)
{
	const char *kind = json_path_str(names, "kind");

	if (!str_empty(kind) && str_eq(kind, json_path_str(names, "listKind")))
		bad_invalid(c, PATH(c, "%s.listKind", at), json_get(names, "listKind"),
			    "kind and listKind may not be the same");
}

#define NAMES(kind, at)                                                                                                \
	NAME_OR_EMPTY(kind, at ".plural", name_check_dns1035_label),                                                   \
	    NAME_OR_EMPTY(kind, at ".singular", name_check_dns1035_label), NAME_OR_EMPTY(kind, at ".kind", rule_kind), \
	    NAME_OR_EMPTY(kind, at ".listKind", rule_kind), NAME(kind, at ".shortNames[]", name_check_dns1035_label),  \
	    NAME(kind, at ".categories[]", name_check_dns1035_label), CALL(kind, at, check_list_kind)

static const struct rule rules[] = {
    REQUIRED(CRD, "spec.group"),
    NAME(CRD, "spec.group", name_check_dns1123_subdomain),
    REQUIRED(CRD, "spec.scope"),
    VALUES(CRD, "spec.scope", scopes),
    NAMES(CRD, "spec.names"),
    NAMES(CRD, "status.acceptedNames"),
    REQUIRED(CRD, "spec.names.plural"),
    REQUIRED(CRD, "spec.names.singular"),
    REQUIRED(CRD, "spec.names.kind"),
    REQUIRED(CRD, "spec.names.listKind"),
    NAME(CRD, "spec.versions[].name", name_check_dns1035_label),
    REQUIRED(CRD, "spec.versions[].name"),
    IMMUTABLE(CRD, "spec.group"),
    IMMUTABLE(CRD, "spec.names.plural"),
    REQUIRED(CRD, "spec.conversion?.strategy"),
    VALUES(CRD, "spec.conversion?.strategy", strategies),
    REQUIRED(CRD, "spec.versions[].additionalPrinterColumns[].name"),
    REQUIRED_TEXT(CRD, "spec.versions[].additionalPrinterColumns[].type",
		  "must be one of boolean,date,integer,number,string"),
    VALUES(CRD, "spec.versions[].additionalPrinterColumns[].type", column_types),
    VALUES(CRD, "spec.versions[].additionalPrinterColumns[].format", column_formats),
    REQUIRED(CRD, "spec.versions[].additionalPrinterColumns[].jsonPath"),
    NAME(CRD, "spec.versions[].additionalPrinterColumns[].jsonPath", rule_json_path),
    REQUIRED(CRD, "spec.versions[].selectableFields[].jsonPath"),
    NAME(CRD, "spec.versions[].selectableFields[].jsonPath", rule_json_path),
    UNIQUE(CRD, "spec.versions[].selectableFields", "jsonPath"),
    ITEMS(CRD, "spec.versions[].selectableFields", SELECTABLE_FIELDS_MAX),
    REQUIRED(CRD, "spec.versions[].subresources.scale?.specReplicasPath"),
    NAME(CRD, "spec.versions[].subresources.scale?.specReplicasPath", rule_json_path),
    REQUIRED(CRD, "spec.versions[].subresources.scale?.statusReplicasPath"),
    NAME(CRD, "spec.versions[].subresources.scale?.statusReplicasPath", rule_json_path),
    NAME(CRD, "spec.versions[].subresources.scale?.labelSelectorPath", rule_json_path),
};

/* ---- versions ---- */

static bool is_below(const char *path, const char *prefix)
{
	const char *rest = str_after(path, prefix);
	return rest && (*rest == '.' || !*rest);
}

static void check_scale(struct check *c, const char *at, const struct json *scale)
{
	static const struct {
		const char *key, *below, *or_below, *text;
	} paths[] = {
	    {"specReplicasPath", ".spec", ".spec", "should be a json path under .spec"},
	    {"statusReplicasPath", ".status", ".status", "should be a json path under .status"},
	    {"labelSelectorPath", ".spec", ".status", "should be a json path under either .spec or .status"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *path = json_path_str(scale, paths[i].key);
		if (!str_empty(path) && !is_below(path, paths[i].below) && !is_below(path, paths[i].or_below))
			bad_invalid_str(c, PATH(c, "%s.%s", at, paths[i].key), path, paths[i].text);
	}
}

static void check_warning(struct check *c, const char *at, const struct json *v)
{
	const struct json *text = json_get(v, "deprecationWarning");
	const char *why = NULL;

	if (!text)
		return;
	if (!json_path_bool(v, "deprecated", false))
		why = "can only be set for deprecated versions";
	else if (!text->len)
		why = "must not be empty";
	else if (text->len > WARNING_BYTES_MAX)
		why = "must be <= 256 characters";
	for (const char *s = str_or(json_str(text), ""); !why && *s; s++)
		if (iscntrl((unsigned char)*s))
			why = "must only contain printable UTF-8 characters";
	if (why)
		bad_invalid(c, PATH(c, "%s.deprecationWarning", at), text, why);
}

/* The part of the schema that a path like .spec.color speaks of. */
static const struct json *schema_at(struct check *c, const struct json *schema, const char *path)
{
	while (schema && *path == '.') {
		size_t n = strcspn(++path, ".");
		const struct json *properties = json_get(schema, "properties");
		schema = json_get(properties, arena_strndup(&c->arena, path, n));
		path += n;
	}
	return schema;
}

static void check_selectable(struct check *c, const char *at, const struct json *fields, const struct json *schema)
{
	static const char *const types[] = {"string", "boolean", "integer", NULL};
	size_t i = 0;

	EACH_ITEM(f, fields) {
		const char *one = PATH(c, "%s[%zu].jsonPath", at, i++), *path = json_path_str(f, "jsonPath");
		if (str_empty(path) || rule_json_path(path))
			continue;
		const struct json *part = schema_at(c, schema, path);
		if (is_below(path, ".metadata"))
			bad_invalid_str(c, one, path, "must not point to fields in metadata");
		else if (!part)
			bad_invalid_str(c, one, path, "is an invalid path: does not refer to a valid field");
		else if (!str_in(str_or(json_path_str(part, "type"), ""), types))
			bad_invalid_str(c, one, path,
					"must point to a field of type string, boolean or integer. Enum string fields "
					"and strings with formats are allowed.");
	}
}

static void check_version(struct check *c, const char *at, const struct json *v)
{
	const struct json *schema = json_path(v, "schema.openAPIV3Schema");

	check_warning(c, at, v);
	check_scale(c, PATH(c, "%s.subresources.scale", at), json_path(v, "subresources.scale"));
	if (!schema) {
		bad_required(c, PATH(c, "%s.schema.openAPIV3Schema", at), "schemas are required");
		return;
	}
	check_schema(c, PATH(c, "%s.schema.openAPIV3Schema", at), schema);
	check_selectable(c, PATH(c, "%s.selectableFields", at), json_get(v, "selectableFields"), schema);
}

static void check_versions(struct check *c, const struct json *versions)
{
	_cleanup_names_ struct map names = MAP_INIT;
	size_t stored = 0, i = 0;
	bool unique = true;

	EACH_ITEM(v, versions) {
		const char *name = json_path_str(v, "name");
		stored += json_path_bool(v, "storage", false);
		unique &= !name || !map_set(&names, name, c);
		check_version(c, PATH(c, "spec.versions[%zu]", i++), v);
	}
	const struct json *shown = versions ? versions : json_new(&c->arena, JSON_ARRAY);
	if (!unique)
		bad_invalid(c, "spec.versions", shown, "must contain unique version names");
	if (stored != 1)
		bad_invalid(c, "spec.versions", shown, "must have exactly one version marked as storage version");
}

/* ---- conversion ---- */

static void check_review_versions(struct check *c, const char *at, const struct json *versions)
{
	_cleanup_names_ struct map seen = MAP_INIT;
	bool known = false;
	size_t i = 0;

	if (!json_len(versions)) {
		bad_required(c, at, NULL);
		return;
	}
	EACH_ITEM(v, versions) {
		const char *s = str_or(json_str(v), ""), *one = PATH(c, "%s[%zu]", at, i++);
		if (map_set(&seen, s, c))
			bad_invalid_str(c, one, s, "duplicate version");
		check_name(c, one, v, name_check_dns1035_label);
		known |= str_eq(s, "v1") || str_eq(s, "v1beta1");
	}
	if (!known)
		bad_invalid(c, at, versions, "must include at least one of v1, v1beta1");
}

static void check_conversion(struct check *c, const struct json *conversion)
{
	const struct json *webhook = json_get(conversion, "webhook"), *config = json_get(webhook, "clientConfig");

	if (str_eq(json_path_str(conversion, "strategy"), "Webhook")) {
		if (!config)
			bad_required(c, "spec.conversion.webhookClientConfig",
				     "required when strategy is set to Webhook");
		else
			check_client_config(c, "spec.conversion.webhookClientConfig", config);
		check_review_versions(c, "spec.conversion.conversionReviewVersions",
				      json_get(webhook, "conversionReviewVersions"));
	} else if (webhook) {
		if (config)
			bad_forbidden(c, "spec.conversion.webhookClientConfig",
				      "should not be set when strategy is not set to Webhook");
		if (json_len(json_get(webhook, "conversionReviewVersions")))
			bad_forbidden(c, "spec.conversion.conversionReviewVersions",
				      "should not be set when strategy is not set to Webhook");
	}
}

/* ---- groups of the Kubernetes community ---- */

static bool is_protected(const char *group)
{
	return str_eq(group, "k8s.io") || str_has_suffix(group, ".k8s.io") || str_eq(group, "kubernetes.io") ||
	       str_has_suffix(group, ".kubernetes.io");
}

static void check_approval(struct check *c, const char *group)
{
	const char *at = "metadata.annotations[" APPROVED "]", *approval = meta_annotation(c->tree, APPROVED);

	if (!is_protected(group) || (c->old && str_eq(approval, meta_annotation(c->old, APPROVED))))
		return;
	if (str_empty(approval))
		bad_required(c, at,
			     "protected groups must have approval annotation \"" APPROVED
			     "\", see https://github.com/kubernetes/enhancements/pull/1111");
	else if (!str_has_prefix(approval, "unapproved") && !str_has_prefix(approval, "https://"))
		bad_invalid_str(c, at, approval,
				"protected groups must have approval annotation \"" APPROVED
				"\" with either a URL or a reason starting with \"unapproved\", see "
				"https://github.com/kubernetes/enhancements/pull/1111");
}

static void check_stored_versions(struct check *c)
{
	const struct json *stored = json_path(c->tree, "status.storedVersions");
	const struct json *versions = json_path(c->tree, "spec.versions");
	_cleanup_names_ struct map known = MAP_INIT;
	const char *storage = NULL;
	bool has_storage = false;
	size_t i = 0;

	if (!json_len(stored)) {
		bad_invalid(c, "status.storedVersions", stored ? stored : json_new(&c->arena, JSON_ARRAY),
			    "must have at least one stored version");
		return;
	}
	EACH_ITEM(v, versions) {
		const char *name = str_or(json_path_str(v, "name"), "");
		map_set(&known, name, c);
		if (json_path_bool(v, "storage", false))
			storage = name;
	}
	EACH_ITEM(s, stored) {
		const char *name = str_or(json_str(s), "");
		has_storage |= str_eq(name, storage);
		if (!map_has(&known, name))
			bad_invalid_str(c, PATH(c, "status.storedVersions[%zu]", i), name,
					PATH(c,
					     "missing from spec.versions; %s was previously a storage version, and "
					     "must remain in spec.versions until a storage migration ensures no data "
					     "remains persisted in %s and removes %s from status.storedVersions",
					     name, name, name));
		i++;
	}
	if (storage && !has_storage)
		bad_invalid(c, "status.storedVersions", stored, PATH(c, "must have the storage version %s", storage));
}

static void check_definition(struct check *c)
{
	const struct json *spec = json_get(c->tree, "spec"), *names = json_get(spec, "names");
	const char *plural = str_or(json_path_str(names, "plural"), ""),
		   *group = str_or(json_path_str(spec, "group"), "");

	check_derived_name(c, PATH(c, "%s.%s", plural, group), !c->old, "must be spec.names.plural+\".\"+spec.group");
	if (*group && !strchr(group, '.'))
		bad_invalid_str(c, "spec.group", group, "should be a domain with at least one dot");
	check_versions(c, json_get(spec, "versions"));
	if (c->old)
		check_stored_versions(c);
	check_conversion(c, json_get(spec, "conversion"));
	check_approval(c, group);
	if (json_path_bool(spec, "preserveUnknownFields", false))
		bad_invalid(c, "spec.preserveUnknownFields", json_get(spec, "preserveUnknownFields"),
			    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
			    "spec.versions[*].schema instead");
	/* Once established, what is stored and served under these names cannot move. */
	if (str_eq(meta_condition_status(c->old, "Established"), "True")) {
		check_immutable(c, "spec.scope", "spec.scope");
		check_immutable(c, "spec.names.kind", "spec.names.kind");
	}
}

static const struct kind_check kinds[] = {{CRD, check_definition, NULL}};

const struct group_check validate_definitions = {"apiextensions.k8s.io", rules, ARRAY_SIZE(rules), kinds,
						 ARRAY_SIZE(kinds)};
