/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nobody gives away rights that he has not: who writes a role must hold every right in it, or "escalate" on roles; who
 * writes a binding must hold every right of the role it names, or "bind" on that role. system:masters may do anything.
 * What a rule grants is asked of the authorizer as it is written: "*" is only covered by "*".
 */
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "server/admission_plugins.h"
#include "server/registry_internal.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

static bool may(const struct admission *a, struct authz_attributes *at)
{
	char reason[AUTHZ_REASON_MAX];
	at->user = a->user;
	return auth_allowed(a->registry->auth, at, reason);
}

static bool may_on_role(const struct admission *a, const char *verb, const char *plural, const char *ns,
			const char *name)
{
	struct authz_attributes at = {.verb = verb,
				      .group = RBAC_GROUP,
				      .version = "v1",
				      .resource = plural,
				      .subresource = "",
				      .ns = ns,
				      .name = name,
				      .path = "",
				      .resource_request = true};
	return may(a, &at);
}

/* ---- what is missing ---- */

/* A right that is not held, of one group and resource (and name), or of one path; verbs are added as they are found. */
struct missing {
	const char *group, *resource, *name, *url; /* NULL: not part of it */
	struct json *verbs;
};

struct lack {
	const struct admission *a;
	const char *ns;
	VEC(struct missing) at;
};

static bool same_text(const char *a, const char *b)
{
	return a == b || str_eq(a, b);
}

static void add_missing(struct lack *l, const struct missing *m, const char *verb)
{
	struct missing *into = NULL;
	VEC_EACH(x, &l->at)
		if (same_text(x->group, m->group) && same_text(x->resource, m->resource) &&
		    same_text(x->name, m->name) && same_text(x->url, m->url))
			into = x;
	if (!into) {
		VEC_PUSH(&l->at, *m);
		into = &l->at.at[l->at.n - 1];
		into->verbs = json_new(l->a->arena, JSON_ARRAY);
	}
	JSON_EACH(v, into->verbs)
		if (str_eq(json_str(v), verb))
			return;
	json_append(into->verbs, json_new_str(l->a->arena, verb));
}

static void ask(struct lack *l, const struct missing *m, const char *verb)
{
	const char *resource = str_or(m->resource, ""), *slash = strchr(resource, '/');
	struct authz_attributes at = {
	    .verb = verb,
	    .group = str_or(m->group, ""),
	    .version = m->url ? "" : "*",
	    .resource = slash ? arena_strndup(l->a->arena, resource, (size_t)(slash - resource)) : resource,
	    .subresource = slash ? slash + 1 : "",
	    .ns = m->url ? "" : l->ns,
	    .name = str_or(m->name, ""),
	    .path = str_or(m->url, ""),
	    .resource_request = !m->url};
	if (!may(l->a, &at))
		add_missing(l, m, verb);
}

static void ask_rule(struct lack *l, const struct json *rule)
{
	const struct json *names = json_get(rule, "resourceNames");
	JSON_EACH(v, json_get(rule, "verbs")) {
		const char *verb = str_or(json_str(v), "");
		JSON_EACH(group, json_get(rule, "apiGroups"))
			JSON_EACH(resource, json_get(rule, "resources")) {
				struct missing m = {.group = str_or(json_str(group), ""),
						    .resource = str_or(json_str(resource), "")};
				if (!json_len(names))
					ask(l, &m, verb);
				JSON_EACH(name, names) {
					m.name = str_or(json_str(name), "");
					ask(l, &m, verb);
				}
			}
		JSON_EACH(url, json_get(rule, "nonResourceURLs"))
			ask(l, &(struct missing){.url = str_or(json_str(url), "")}, verb);
	}
}

static char *describe(struct arena *a, const struct missing *m)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *between = "";
	buf_addc(&out, '{');
	if (!m->url)
		buf_addf(&out, "APIGroups:[\"%s\"], Resources:[\"%s\"], ", m->group, m->resource);
	if (m->name)
		buf_addf(&out, "ResourceNames:[\"%s\"], ", m->name);
	if (m->url)
		buf_addf(&out, "NonResourceURLs:[\"%s\"], ", m->url);
	buf_adds(&out, "Verbs:[");
	JSON_EACH(v, m->verbs) {
		buf_addf(&out, "%s\"%s\"", between, json_str(v));
		between = " ";
	}
	buf_adds(&out, "]}");
	return arena_strdup(a, buf_str(&out));
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *describe_all(struct lack *l)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	char **lines = arena_alloc(l->a->arena, l->at.n * sizeof(*lines));
	for (size_t i = 0; i < l->at.n; i++)
		lines[i] = describe(l->a->arena, &l->at.at[i]);
	qsort(lines, l->at.n, sizeof(*lines), compare_text);
	for (size_t i = 0; i < l->at.n; i++)
		buf_addf(&out, "\n%s", lines[i]);
	return arena_strdup(l->a->arena, buf_str(&out));
}

/* 0 when the user holds all of the rules (in ns; "": in the whole cluster). */
static int hold_all(const struct admission *a, const struct json *rules, const char *ns, struct status *err)
{
	_cleanup_buf_ struct buf groups = BUF_INIT;
	struct lack l = {.a = a, .ns = ns};
	JSON_EACH(rule, rules)
		ask_rule(&l, rule);
	if (!l.at.n)
		return 0;
	for (size_t i = 0; i < a->user->n_groups; i++)
		buf_addf(&groups, "%s\"%s\"", i ? " " : "", a->user->groups[i]);
	const char *lines = describe_all(&l);
	VEC_RELEASE(&l.at);
	return admission_forbid(
	    a, err, "user \"%s\" (groups=[%s]) is attempting to grant RBAC permissions not currently held:%s",
	    a->user->name, buf_str(&groups), lines);
}

static bool free_to_grant(const struct admission *a)
{
	return !a->user || user_in_group(a->user, GROUP_MASTERS);
}

/*
 * Who cleans up may take owners and finalizers off what he does not hold. Any other change is one: a label is enough to
 * make a role's rules part of somebody else's role.
 */
static bool only_cleans_up(const struct admission *a)
{
	static const char *const cleaned[] = {"ownerReferences", "finalizers", "managedFields", "resourceVersion"};
	if (!a->old)
		return false;
	struct json *trees[] = {json_clone(a->arena, object_tree(a->old, a->arena)), json_clone(a->arena, a->object)};
	for (size_t t = 0; t < ARRAY_SIZE(trees); t++)
		for (size_t i = 0; i < ARRAY_SIZE(cleaned); i++)
			json_remove(json_get(trees[t], "metadata"), cleaned[i]);
	return json_equal(trees[0], trees[1]);
}

/* An aggregated role gets whatever other roles bring: only who may do everything may make one. */
static int check_aggregation(const struct admission *a, struct status *err)
{
	static const char everything[] = "[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]},"
					 "{\"verbs\":[\"*\"],\"nonResourceURLs\":[\"*\"]}]";
	_cleanup_status_ struct status why = STATUS_INIT;
	struct json *all;
	struct json_error bad;
	const struct json *old = a->old ? object_tree(a->old, a->arena) : NULL;
	if (!json_len(json_get(a->object, "aggregationRule")) && !json_len(json_get(old, "aggregationRule")))
		return 0;
	if (json_parse(a->arena, everything, sizeof(everything) - 1, &all, &bad) == 0 &&
	    hold_all(a, all, "", &why) == 0)
		return 0;
	return admission_forbid(a, err, "must have cluster-admin privileges to use the aggregationRule");
}

static int check_role(const struct admission *a, struct status *err)
{
	const char *ns = a->resource->namespaced ? a->ns : "";
	if (*a->subresource || free_to_grant(a) || may_on_role(a, "escalate", a->resource->plural, ns, a->name) ||
	    only_cleans_up(a))
		return 0;
	return hold_all(a, json_get(a->object, "rules"), ns, err) < 0 ? -1 : check_aggregation(a, err);
}

static int check_binding(const struct admission *a, struct status *err)
{
	const char *ns = a->resource->namespaced ? a->ns : "";
	const char *name = str_or(json_path_str(a->object, "roleRef.name"), "");
	bool cluster = !str_eq(json_path_str(a->object, "roleRef.kind"), "Role");
	const char *plural = cluster ? "clusterroles" : "roles";
	if (*a->subresource || free_to_grant(a) || only_cleans_up(a) || may_on_role(a, "bind", plural, ns, name))
		return 0;
	struct json *role = admission_lookup(a, RBAC_GROUP, plural, cluster ? "" : ns, name);
	if (!role)
		return status_not_found(err, RBAC_GROUP, plural, name);
	return hold_all(a, json_get(role, "rules"), ns, err);
}

#define ESCALATION(var, plural, check)                                                                                 \
	const struct admission_plugin var = {.name = "RBACEscalation",                                                 \
					     .operations = ADMIT_CREATE | ADMIT_UPDATE,                                \
					     .group = RBAC_GROUP,                                                      \
					     .resource = plural,                                                       \
					     .validate = check}

ESCALATION(admission_escalation_roles, "roles", check_role);
ESCALATION(admission_escalation_clusterroles, "clusterroles", check_role);
ESCALATION(admission_escalation_rolebindings, "rolebindings", check_binding);
ESCALATION(admission_escalation_clusterrolebindings, "clusterrolebindings", check_binding);
