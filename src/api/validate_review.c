/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about access: SubjectAccessReview and its kin. */
#include "api/meta.h"
#include "api/resource.h"
#include "api/validate.h"
#include "api/validate_internal.h"
#include "base/status.h"
#include "base/str.h"

static const struct json *value_of(struct check *c, const struct json *v)
{
	return v ? v : json_new(&c->arena, JSON_NULL);
}

/* Operators that nobody knows may come from newer clients: they narrow nothing. */
static void check_requirement(struct check *c, const char *at, const struct json *r, bool labels)
{
	const char *key = str_or(json_path_str(r, "key"), ""), *op = str_or(json_path_str(r, "operator"), "");
	const char *values_at = PATH(c, "%s.values", at), *why = labels ? name_check_qualified(key) : NULL;
	const struct json *values = json_get(r, "values");
	size_t i = 0;

	if (why)
		bad_invalid_str(c, PATH(c, "%s.key", at), key, why);
	else if (!labels && !*key)
		bad_required(c, PATH(c, "%s.key", at), "must be specified");
	if ((str_eq(op, "In") || str_eq(op, "NotIn")) && !json_len(values))
		bad_required(c, values_at, "must be specified when `operator` is 'In' or 'NotIn'");
	else if ((str_eq(op, "Exists") || str_eq(op, "DoesNotExist")) && json_len(values))
		bad_forbidden(c, values_at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
	if (labels) {
		EACH_ITEM(v, values)
			check_name(c, PATH(c, "%s[%zu]", values_at, i++), v, name_check_label_value);
	}
}

static void check_access_selector(struct check *c, const char *member, bool labels)
{
	const char *at = PATH(c, "spec.resourceAttributes.%s", member);
	const struct json *s = json_path(c->tree, at), *requirements = json_get(s, "requirements");
	const struct json *raw = json_get(s, "rawSelector");
	bool written = !str_empty(json_str(raw));
	size_t i = 0;

	if (!s)
		return;
	if (written && json_len(requirements))
		bad_invalid(c, PATH(c, "%s.rawSelector", at), raw,
			    "may not specified at the same time as requirements");
	else if (!written && !json_len(requirements))
		bad_required(c, PATH(c, "%s.requirements", at),
			     PATH(c, "when %s is specified, requirements or rawSelector is required", at));
	EACH_ITEM(r, requirements)
		check_requirement(c, PATH(c, "%s.requirements[%zu]", at, i++), r, labels);
}

/* A question has no metadata, but for what the machinery itself puts there. */
static bool has_metadata(const struct json *meta, bool local)
{
	EACH_MEMBER(m, meta)
	{
		bool ours = str_eq(m->key, "managedFields") || (local && str_eq(m->key, "namespace"));
		if (!ours && m->type != JSON_NULL)
			return true;
	}
	return false;
}

static void check_local(struct check *c, const struct json *resource, const struct json *path)
{
	const char *ns = str_or(json_path_str(resource, "namespace"), "");

	if (resource && !str_eq(ns, meta_ns(c->tree)))
		bad_invalid_str(c, "spec.resourceAttributes.namespace", ns, "must match metadata.namespace");
	if (path)
		bad_invalid(c, "spec.nonResourceAttributes", path, "disallowed on this kind of request");
}

int validate_review(const struct resource *r, const struct json *tree, struct status *err)
{
	struct check c = {.err = err, .resource = r, .tree = tree};
	bool local = r->namespaced, self = str_eq(r->kind, "SelfSubjectAccessReview");
	const struct json *spec = json_get(tree, "spec"), *meta = json_get(tree, "metadata");
	const struct json *resource = json_get(spec, "resourceAttributes");
	const struct json *path = json_get(spec, "nonResourceAttributes");

	if (!resource == !path)
		bad_invalid(&c, "spec", value_of(&c, path),
			    "exactly one of nonResourceAttributes or resourceAttributes must be specified");
	if (!self && str_empty(json_path_str(spec, "user")) && !json_len(json_get(spec, "groups")))
		bad_invalid_str(&c, "spec.user", "", "at least one of user or group must be specified");
	check_access_selector(&c, "fieldSelector", false);
	check_access_selector(&c, "labelSelector", true);
	if (has_metadata(meta, local))
		bad_invalid(&c, "metadata", meta, local ? "must be empty except for namespace" : "must be empty");
	if (local)
		check_local(&c, resource, path);
	arena_release(&c.arena);
	return status_invalid(err, r->group, "", "");
}
