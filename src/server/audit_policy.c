/* SPDX-License-Identifier: Apache-2.0 */
#include "server/audit_policy.h"

#include <stdlib.h>
#include <string.h>

#include "api/yaml.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "server/auth.h"

const char *const audit_level_names[] = {"None", "Metadata", "Request", "RequestResponse", NULL};

static const struct {
	const char *name;
	enum audit_stage stage;
} stages[] = {{"RequestReceived", AUDIT_RECEIVED},
	      {"ResponseStarted", AUDIT_STARTED},
	      {"ResponseComplete", AUDIT_COMPLETE},
	      {"Panic", AUDIT_PANIC}};

struct audit_policy {
	struct arena arena;
	const struct json *doc; /* checked: rules are read from it as they are */
	unsigned omit_stages;
	bool omit_managed_fields;
};

const char *audit_stage_name(enum audit_stage s)
{
	for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
		if (stages[i].stage == s)
			return stages[i].name;
	return "";
}

/* ---- matching ---- */

static bool lists(const struct json *array, const char *value)
{
	JSON_EACH(x, array)
		if (str_eq(json_str(x), value))
			return true;
	return false;
}

static bool lists_group_of(const struct json *array, const struct user *u)
{
	for (size_t i = 0; u && i < u->n_groups; i++)
		if (lists(array, u->groups[i]))
			return true;
	return false;
}

/* "pods", "pods/log", "pods" with any subresource as "pods/(star)", any resource's as "(star)/scale", "*" for all. */
static bool lists_resource(const struct json *names, const struct authz_attributes *at)
{
	JSON_EACH(x, names) {
		const char *s = str_or(json_str(x), ""), *slash = strchr(s, '/');
		if (strcmp(s, "*") == 0 || (!slash && !*at->subresource && strcmp(s, at->resource) == 0))
			return true;
		if (!slash)
			continue;
		size_t len = (size_t)(slash - s);
		bool any = len == 1 && *s == '*';
		bool resource = any || (strlen(at->resource) == len && memcmp(s, at->resource, len) == 0);
		bool sub = *at->subresource && (strcmp(slash + 1, "*") == 0 || strcmp(slash + 1, at->subresource) == 0);
		if (resource && sub)
			return true;
	}
	return false;
}

static bool matches_resources(const struct json *rule, const struct authz_attributes *at)
{
	const struct json *namespaces = json_get(rule, "namespaces"), *resources = json_get(rule, "resources");

	if (!at->resource_request || (json_len(namespaces) && !lists(namespaces, at->ns)))
		return false;
	if (!json_len(resources))
		return true;
	JSON_EACH(g, resources) {
		const struct json *names = json_get(g, "resources"), *objects = json_get(g, "resourceNames");
		if (strcmp(str_or(json_path_str(g, "group"), ""), at->group) != 0)
			continue;
		if (!json_len(names) || (lists_resource(names, at) && (!json_len(objects) || lists(objects, at->name))))
			return true;
	}
	return false;
}

static bool matches_path(const struct json *urls, const char *path)
{
	JSON_EACH(x, urls) {
		const char *s = str_or(json_str(x), "");
		size_t n = strlen(s);
		if (strcmp(s, path) == 0 || (n && s[n - 1] == '*' && strncmp(s, path, n - 1) == 0))
			return true;
	}
	return false;
}

static bool matches(const struct json *rule, const struct authz_attributes *at)
{
	const struct json *users = json_get(rule, "users"), *groups = json_get(rule, "userGroups"),
			  *verbs = json_get(rule, "verbs"), *urls = json_get(rule, "nonResourceURLs");

	if (json_len(users) && !(at->user && lists(users, at->user->name)))
		return false;
	if (json_len(groups) && !lists_group_of(groups, at->user))
		return false;
	if (json_len(verbs) && !lists(verbs, at->verb))
		return false;
	if (json_len(json_get(rule, "namespaces")) || json_len(json_get(rule, "resources")))
		return matches_resources(rule, at);
	if (json_len(urls))
		return !at->resource_request && matches_path(urls, at->path);
	return true;
}

static unsigned stage_bits(const struct json *names)
{
	unsigned bits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
		if (lists(names, stages[i].name))
			bits |= stages[i].stage;
	return bits;
}

static enum audit_level level_of(const char *name)
{
	for (int i = 0; audit_level_names[i]; i++)
		if (str_eq(audit_level_names[i], name))
			return (enum audit_level)i;
	return AUDIT_NONE;
}

struct audit_decision audit_policy_decide(const struct audit_policy *p, const struct authz_attributes *at)
{
	JSON_EACH(rule, json_get(p->doc, "rules"))
		if (matches(rule, at))
			return (struct audit_decision){
			    .level = level_of(json_path_str(rule, "level")),
			    .omit_stages = p->omit_stages | stage_bits(json_get(rule, "omitStages")),
			    .omit_managed_fields = json_path_bool(rule, "omitManagedFields", p->omit_managed_fields)};
	return (struct audit_decision){.level = AUDIT_NONE};
}

/* ---- checking ---- */

struct check {
	struct arena *a;
	struct status *err;
};

static void wrong(struct check *c, const char *at, const char *what)
{
	status_cause(c->err, "FieldValueInvalid", at, "Invalid value: %s", what);
}

/* Every member is one of these; "[]" behind a name: an array of strings. */
static void check_members(struct check *c, const struct json *object, const char *at, const char *const *known)
{
	if (!json_is(object, JSON_OBJECT)) {
		wrong(c, at, "must be an object");
		return;
	}
	JSON_EACH(m, object) {
		const char *const *k = known;
		size_t len = strlen(m->key);
		while (*k && (strncmp(*k, m->key, len) != 0 || ((*k)[len] && strcmp(*k + len, "[]") != 0)))
			k++;
		char *path = arena_printf(c->a, "%s%s%s", at, *at ? "." : "", m->key);
		if (!*k) {
			wrong(c, path, "unknown field");
			continue;
		}
		if (!(*k)[len])
			continue;
		bool good = json_is(m, JSON_ARRAY);
		if (good)
			JSON_EACH(x, m)
				good &= json_str(x) != NULL;
		if (!good)
			wrong(c, path, "must be a list of strings");
	}
}

static void check_stages(struct check *c, const struct json *list, const char *at)
{
	JSON_EACH(x, list) {
		bool known = false;
		for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
			known |= str_eq(stages[i].name, json_str(x));
		if (!known)
			status_cause(c->err, "FieldValueNotSupported", at,
				     "Unsupported value: \"%s\": supported values: \"RequestReceived\", "
				     "\"ResponseStarted\", \"ResponseComplete\", \"Panic\"",
				     str_or(json_str(x), ""));
	}
}

static void check_resources(struct check *c, const struct json *list, const char *at)
{
	static const char *const known[] = {"group", "resources[]", "resourceNames[]", NULL};
	size_t i = 0;

	JSON_EACH(g, list) {
		char *path = arena_printf(c->a, "%s[%zu]", at, i++);
		check_members(c, g, path, known);
		const char *group = str_or(json_path_str(g, "group"), "");
		if (strchr(group, '/'))
			wrong(c, arena_printf(c->a, "%s.group", path),
			      "a group has no version: leave out what follows the slash");
		if (json_len(json_get(g, "resourceNames")) && !json_len(json_get(g, "resources")))
			wrong(c, arena_printf(c->a, "%s.resourceNames", path),
			      "using resourceNames requires at least one resource");
	}
}

static void check_urls(struct check *c, const struct json *list, const char *at)
{
	JSON_EACH(x, list) {
		const char *s = str_or(json_str(x), ""), *star = strchr(s, '*');
		if (strcmp(s, "*") == 0)
			continue;
		if (*s != '/')
			wrong(c, at, "a path begins with a slash");
		if (star && star[1])
			wrong(c, at, "a star is only possible at the end of a path");
	}
}

static void check_rule(struct check *c, const struct json *rule, const char *at)
{
	static const char *const known[] = {
	    "level",	 "users[]",	      "userGroups[]", "verbs[]",	   "namespaces[]",
	    "resources", "nonResourceURLs[]", "omitStages[]", "omitManagedFields", NULL};
	const char *level = json_path_str(rule, "level");

	check_members(c, rule, at, known);
	if (str_empty(level))
		status_cause(c->err, "FieldValueRequired", arena_printf(c->a, "%s.level", at), "Required value");
	else if (!str_in(level, audit_level_names))
		status_cause(c->err, "FieldValueNotSupported", arena_printf(c->a, "%s.level", at),
			     "Unsupported value: \"%s\": supported values: \"None\", \"Metadata\", \"Request\", "
			     "\"RequestResponse\"",
			     level);
	if (json_len(json_get(rule, "nonResourceURLs")) &&
	    (json_len(json_get(rule, "resources")) || json_len(json_get(rule, "namespaces"))))
		wrong(c, arena_printf(c->a, "%s.nonResourceURLs", at),
		      "rules cannot apply to both regular resources and non-resource URLs");
	check_resources(c, json_get(rule, "resources"), arena_printf(c->a, "%s.resources", at));
	check_urls(c, json_get(rule, "nonResourceURLs"), arena_printf(c->a, "%s.nonResourceURLs", at));
	check_stages(c, json_get(rule, "omitStages"), arena_printf(c->a, "%s.omitStages", at));
}

static int check_policy(struct check *c, const struct json *doc)
{
	static const char *const known[] = {"apiVersion",	 "kind", "metadata", "rules", "omitStages[]",
					    "omitManagedFields", NULL};
	size_t i = 0;

	if (!str_eq(json_path_str(doc, "kind"), "Policy") ||
	    !str_eq(json_path_str(doc, "apiVersion"), "audit.k8s.io/v1"))
		return status_set(c->err, 422, "audit policy: kind must be Policy of audit.k8s.io/v1");
	check_members(c, doc, "", known);
	check_stages(c, json_get(doc, "omitStages"), "omitStages");
	if (!json_len(json_get(doc, "rules")))
		status_cause(c->err, "FieldValueRequired", "rules",
			     "Required value: a policy without rules records nothing");
	JSON_EACH(rule, json_get(doc, "rules"))
		check_rule(c, rule, arena_printf(c->a, "rules[%zu]", i++));
	return status_invalid(c->err, "audit.k8s.io", "Policy", "");
}

int audit_policy_parse(const char *text, size_t len, struct audit_policy **ret, struct status *err)
{
	struct audit_policy *p = NEW(struct audit_policy);
	struct check c = {&p->arena, err};
	struct yaml_error bad;
	struct json *doc;
	int e;

	if (yaml_parse(&p->arena, text, len, NULL, NULL, &doc, &bad) < 0)
		e = status_set(err, 422, "audit policy: line %zu: %s", bad.line, bad.message);
	else
		e = check_policy(&c, doc);
	if (e < 0) {
		audit_policy_free(p);
		return -1;
	}
	p->doc = doc;
	p->omit_stages = stage_bits(json_get(doc, "omitStages"));
	p->omit_managed_fields = json_path_bool(doc, "omitManagedFields", false);
	*ret = p;
	return 0;
}

void audit_policy_free(struct audit_policy *p)
{
	if (!p)
		return;
	arena_release(&p->arena);
	free(p);
}
