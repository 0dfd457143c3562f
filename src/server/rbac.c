/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index is made anew at the first question after a change of any role or binding. Changes are rare against
 * questions, and a cluster has some hundred of these objects; making it takes well under a millisecond.
 */
#include "server/rbac.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "store/store.h"

#define GROUP_RBAC "rbac.authorization.k8s.io"

struct rule {
	const struct json *verbs, *groups, *resources, *names, *urls; /* arrays of strings, or NULL */
};

struct role {
	struct rule *rules;
	size_t n;
};

/* One binding, as seen from one of its subjects. */
struct grant {
	const char *ns; /* "" for a ClusterRoleBinding: everywhere */
	const char *binding, *role_name, *role_kind;
	const struct role *role; /* NULL: it names a role that does not exist */
	struct grant *next;	 /* of the same subject */
};

enum { CLUSTER_ROLES, ROLES, CLUSTER_BINDINGS, BINDINGS, N_SOURCES };
static const char *const plurals[N_SOURCES] = {"clusterroles", "roles", "clusterrolebindings", "rolebindings"};

struct rbac {
	struct store *store;
	struct store_watch *watches[N_SOURCES];
	char *prefixes[N_SOURCES];
	bool stale;
	struct arena arena;    /* everything below */
	struct map roles;      /* "ns/name" → struct role */
	struct map by_subject; /* "User:x", "Group:x" → struct grant list */
};

static void on_change(void *arg, const struct store_event *ev)
{
	struct rbac *r = arg;

	if (ev)
		r->stale = true;
}

struct rbac *rbac_new(struct store *s)
{
	struct rbac *r = NEW(struct rbac);

	r->store = s;
	r->stale = true;
	for (int i = 0; i < N_SOURCES; i++) {
		_cleanup_buf_ struct buf prefix = BUF_INIT;
		bool expired;
		resource_key(resource_by_plural(GROUP_RBAC, plurals[i]), NULL, NULL, &prefix);
		r->prefixes[i] = xstrdup(buf_str(&prefix));
		r->watches[i] = store_watch_new(s, r->prefixes[i], store_revision(s), on_change, r, &expired);
	}
	return r;
}

static void clear(struct rbac *r)
{
	map_release(&r->roles, NULL);
	map_release(&r->by_subject, NULL);
	arena_release(&r->arena);
}

void rbac_free(struct rbac *r)
{
	if (!r)
		return;
	for (int i = 0; i < N_SOURCES; i++) {
		store_watch_free(r->watches[i]);
		free(r->prefixes[i]);
	}
	clear(r);
	free(r);
}

/* ---- the index ---- */

static bool add_role(void *arg, struct object *o)
{
	struct rbac *r = arg;
	const struct json *rules = json_get(object_tree(o, &r->arena), "rules");
	struct role *role = ARENA_NEW(&r->arena, struct role);

	role->rules = arena_alloc(&r->arena, (json_len(rules) + 1) * sizeof(*role->rules));
	JSON_EACH(x, rules)
		role->rules[role->n++] =
		    (struct rule){json_get(x, "verbs"), json_get(x, "apiGroups"), json_get(x, "resources"),
				  json_get(x, "resourceNames"), json_get(x, "nonResourceURLs")};
	_cleanup_free_ char *key = xasprintf("%s/%s", o->ns, o->name);
	map_set(&r->roles, key, role);
	return true;
}

static void add_subject(struct rbac *r, const struct json *subject, const struct grant *grant)
{
	const char *kind = json_path_str(subject, "kind"), *name = json_path_str(subject, "name");
	const char *ns = json_path_str(subject, "namespace");
	_cleanup_free_ char *key = NULL;

	if (str_empty(name) || str_empty(kind))
		return;
	if (str_eq(kind, "ServiceAccount"))
		key = xasprintf("User:system:serviceaccount:%s:%s", str_or(ns, grant->ns), name);
	else
		key = xasprintf("%s:%s", kind, name);
	struct grant *copy = arena_alloc(&r->arena, sizeof(*copy));
	*copy = *grant;
	copy->next = map_get(&r->by_subject, key);
	map_set(&r->by_subject, key, copy);
}

static bool add_binding(void *arg, struct object *o)
{
	struct rbac *r = arg;
	const struct json *tree = object_tree(o, &r->arena);
	const char *role_kind = json_path_str(tree, "roleRef.kind"), *role_name = json_path_str(tree, "roleRef.name");
	bool cluster_role = str_eq(role_kind, "ClusterRole");

	if (!role_name || (!cluster_role && !*o->ns))
		return true;
	_cleanup_free_ char *key = xasprintf("%s/%s", cluster_role ? "" : o->ns, role_name);
	struct grant grant = {.ns = arena_strdup(&r->arena, o->ns),
			      .binding = arena_strdup(&r->arena, o->name),
			      .role_name = role_name,
			      .role_kind = str_or(role_kind, "Role"),
			      .role = map_get(&r->roles, key)};
	JSON_EACH(s, json_get(tree, "subjects"))
		add_subject(r, s, &grant);
	return true;
}

static void refresh(struct rbac *r)
{
	if (!r->stale)
		return;
	clear(r);
	for (int i = 0; i < N_SOURCES; i++)
		store_each(r->store, r->prefixes[i], NULL, i <= ROLES ? add_role : add_binding, r);
	r->stale = false;
}

/* ---- matching ---- */

static bool lists(const struct json *array, const char *value)
{
	JSON_EACH(x, array) {
		const char *s = json_str(x);
		if (s && (strcmp(s, "*") == 0 || strcmp(s, value) == 0))
			return true;
	}
	return false;
}

/* "pods", "pods/log", a star for either half; a rule for "pods" does not cover its subresources. */
static bool lists_resource(const struct json *resources, const struct authz_attributes *at)
{
	_cleanup_free_ char *full = *at->subresource ? xasprintf("%s/%s", at->resource, at->subresource) : NULL;

	JSON_EACH(x, resources) {
		const char *s = str_or(json_str(x), "");
		const char *any = *at->subresource ? str_after(s, "*/") : NULL;
		if (strcmp(s, "*") == 0 || strcmp(s, full ? full : at->resource) == 0 || str_eq(any, at->subresource))
			return true;
	}
	return false;
}

static bool lists_url(const struct json *urls, const char *path)
{
	JSON_EACH(x, urls) {
		const char *s = str_or(json_str(x), "");
		size_t n = strlen(s);
		if (strcmp(s, path) == 0 || (n && s[n - 1] == '*' && strncmp(s, path, n - 1) == 0))
			return true;
	}
	return false;
}

static bool rule_allows(const struct rule *rule, const struct authz_attributes *at)
{
	if (!lists(rule->verbs, at->verb))
		return false;
	if (!at->resource_request)
		return lists_url(rule->urls, at->path);
	if (!lists(rule->groups, at->group) || !lists_resource(rule->resources, at))
		return false;
	if (!json_len(rule->names))
		return true;
	JSON_EACH(x, rule->names)
		if (*at->name && str_eq(json_str(x), at->name))
			return true;
	return false;
}

static bool grant_reaches(const struct grant *g, const struct authz_attributes *at)
{
	return g->role && (!*g->ns || (at->resource_request && strcmp(g->ns, at->ns) == 0));
}

static bool subject_allows(struct rbac *r, const char *kind, const char *name, const struct authz_attributes *at,
			   char *reason)
{
	_cleanup_free_ char *key = xasprintf("%s:%s", kind, name);

	for (const struct grant *g = map_get(&r->by_subject, key); g; g = g->next) {
		if (!grant_reaches(g, at))
			continue;
		for (size_t i = 0; i < g->role->n; i++) {
			if (!rule_allows(&g->role->rules[i], at))
				continue;
			snprintf(reason, AUTHZ_REASON_MAX, "RBAC: allowed by %s \"%s%s%s\" of %s \"%s\" to %s \"%s\"",
				 *g->ns ? "RoleBinding" : "ClusterRoleBinding", g->binding, *g->ns ? "/" : "", g->ns,
				 g->role_kind, g->role_name, kind, name);
			return true;
		}
	}
	return false;
}

/* Bindings that lead nowhere are worth telling whoever is refused: usually the role was to be there. */
static void tell_missing(struct rbac *r, const char *kind, const char *name, const struct authz_attributes *at,
			 char *reason)
{
	_cleanup_free_ char *key = xasprintf("%s:%s", kind, name);

	for (const struct grant *g = map_get(&r->by_subject, key); g && !*reason; g = g->next)
		if (!g->role && (!*g->ns || (at->resource_request && strcmp(g->ns, at->ns) == 0)))
			snprintf(reason, AUTHZ_REASON_MAX, "RBAC: %s.rbac.authorization.k8s.io \"%s\" not found",
				 strcmp(g->role_kind, "ClusterRole") == 0 ? "clusterrole" : "role", g->role_name);
}

static int authorize(void *self, const struct authz_attributes *at, char *reason)
{
	struct rbac *r = self;

	*reason = 0;
	if (user_in_group(at->user, GROUP_MASTERS))
		return 1;
	refresh(r);
	if (subject_allows(r, "User", at->user->name, at, reason))
		return 1;
	for (size_t i = 0; i < at->user->n_groups; i++)
		if (subject_allows(r, "Group", at->user->groups[i], at, reason))
			return 1;
	tell_missing(r, "User", at->user->name, at, reason);
	for (size_t i = 0; i < at->user->n_groups; i++)
		tell_missing(r, "Group", at->user->groups[i], at, reason);
	return 0;
}

/* ---- what may I do? ---- */

static void copy_member(struct arena *a, struct json *to, const char *key, const struct json *value)
{
	if (json_len(value))
		json_set(a, to, key, json_clone(a, value));
}

static void collect_subject(struct rbac *r, const char *kind, const char *name, const char *ns, struct arena *a,
			    struct json *resource_rules, struct json *non_resource_rules)
{
	_cleanup_free_ char *key = xasprintf("%s:%s", kind, name);

	for (const struct grant *g = map_get(&r->by_subject, key); g; g = g->next) {
		if (!g->role || (*g->ns && !str_eq(g->ns, ns)))
			continue;
		for (size_t i = 0; i < g->role->n; i++) {
			const struct rule *rule = &g->role->rules[i];
			struct json *out = json_new(a, JSON_OBJECT);
			copy_member(a, out, "verbs", rule->verbs);
			copy_member(a, out, "apiGroups", rule->groups);
			copy_member(a, out, "resources", rule->resources);
			copy_member(a, out, "resourceNames", rule->names);
			copy_member(a, out, "nonResourceURLs", rule->urls);
			if (json_len(rule->resources))
				json_append(resource_rules, out);
			else if (json_len(rule->urls) && !*g->ns)
				json_append(non_resource_rules, out);
		}
	}
}

static void everything(struct arena *a, struct json *rules, const char *key)
{
	struct json *rule = json_append(rules, json_new(a, JSON_OBJECT));

	json_append(json_array_in(a, rule, "verbs"), json_new_str(a, "*"));
	json_append(json_array_in(a, rule, key), json_new_str(a, "*"));
	if (strcmp(key, "resources") == 0)
		json_append(json_array_in(a, rule, "apiGroups"), json_new_str(a, "*"));
}

static void rules(void *self, const struct user *user, const char *ns, struct arena *a, struct json *resource_rules,
		  struct json *non_resource_rules)
{
	struct rbac *r = self;

	if (user_in_group(user, GROUP_MASTERS)) {
		everything(a, resource_rules, "resources");
		everything(a, non_resource_rules, "nonResourceURLs");
	}
	refresh(r);
	collect_subject(r, "User", user->name, ns, a, resource_rules, non_resource_rules);
	for (size_t i = 0; i < user->n_groups; i++)
		collect_subject(r, "Group", user->groups[i], ns, a, resource_rules, non_resource_rules);
}

const struct authorizer_ops rbac_ops = {.authorize = authorize, .rules = rules};
