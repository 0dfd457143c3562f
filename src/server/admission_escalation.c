/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nobody gives away rights that he has not: who writes a role must hold every right in it, or "escalate" on roles; who
 * writes a binding must hold every right of the role it names, or "bind" on that role. system:masters may do anything.
 * What a rule grants is asked of the authorizer as it is written: "*" is only covered by "*".
 */
#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
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

/* One verb, group and "resource/subresource" of a rule, for each of its names. */
static bool holds_resource(const struct admission *a, const struct json *rule, const char *ns, const char *verb,
			   const char *group, const char *resource)
{
	const char *slash = strchr(resource, '/');
	struct authz_attributes at = {.verb = verb,
				      .group = group,
				      .version = "*",
				      .resource = slash ? arena_strndup(a->arena, resource, (size_t)(slash - resource))
							: resource,
				      .subresource = slash ? slash + 1 : "",
				      .ns = ns,
				      .name = "",
				      .path = "",
				      .resource_request = true};
	if (!json_len(json_get(rule, "resourceNames")))
		return may(a, &at);
	JSON_EACH(name, json_get(rule, "resourceNames")) {
		at.name = str_or(json_str(name), "");
		if (!may(a, &at))
			return false;
	}
	return true;
}

static bool holds_rule(const struct admission *a, const struct json *rule, const char *ns)
{
	JSON_EACH(verb, json_get(rule, "verbs")) {
		const char *v = str_or(json_str(verb), "");
		JSON_EACH(group, json_get(rule, "apiGroups"))
			JSON_EACH(resource, json_get(rule, "resources"))
				if (!holds_resource(a, rule, ns, v, str_or(json_str(group), ""),
						    str_or(json_str(resource), "")))
					return false;
		JSON_EACH(url, json_get(rule, "nonResourceURLs")) {
			struct authz_attributes at = {.verb = v,
						      .group = "",
						      .version = "",
						      .resource = "",
						      .subresource = "",
						      .ns = "",
						      .name = "",
						      .path = str_or(json_str(url), "")};
			if (!may(a, &at))
				return false;
		}
	}
	return true;
}

static void describe(struct buf *out, const struct json *rule)
{
	static const struct {
		const char *field, *title;
	} parts[] = {{"apiGroups", "APIGroups"},
		     {"resources", "Resources"},
		     {"resourceNames", "ResourceNames"},
		     {"nonResourceURLs", "NonResourceURLs"},
		     {"verbs", "Verbs"}};
	const char *between = "";
	buf_addc(out, '{');
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct json *list = json_get(rule, parts[i].field);
		if (!json_len(list))
			continue;
		buf_addf(out, "%s%s:", between, parts[i].title);
		json_write(out, list);
		between = ", ";
	}
	buf_addc(out, '}');
}

/* 0 when the user holds all of the rules (in ns; "": in the whole cluster). */
static int hold_all(const struct admission *a, const struct json *rules, const char *ns, struct status *err)
{
	_cleanup_buf_ struct buf missing = BUF_INIT, groups = BUF_INIT;
	JSON_EACH(rule, rules) {
		if (holds_rule(a, rule, ns))
			continue;
		buf_addc(&missing, '\n');
		describe(&missing, rule);
	}
	if (!missing.len)
		return 0;
	for (size_t i = 0; i < a->user->n_groups; i++)
		buf_addf(&groups, "%s\"%s\"", i ? " " : "", a->user->groups[i]);
	return admission_forbid(
	    a, err, "user \"%s\" (groups=[%s]) is attempting to grant RBAC permissions not currently held:%s",
	    a->user->name, buf_str(&groups), buf_str(&missing));
}

static bool free_to_grant(const struct admission *a)
{
	return !a->user || user_in_group(a->user, GROUP_MASTERS);
}

static bool unchanged(const struct admission *a, const char *member)
{
	if (!a->old)
		return false;
	const struct json *was = json_get(object_tree(a->old, a->arena), member), *is = json_get(a->object, member);
	return was == is || (was && is && json_equal(was, is));
}

/* An aggregated role gets whatever other roles bring: only who may do everything may make one. */
static const struct json *rules_to_hold(const struct admission *a)
{
	static const char everything[] = "[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]},"
					 "{\"verbs\":[\"*\"],\"nonResourceURLs\":[\"*\"]}]";
	struct json *all;
	struct json_error bad;
	if (json_get(a->object, "aggregationRule") && !unchanged(a, "aggregationRule") &&
	    json_parse(a->arena, everything, sizeof(everything) - 1, &all, &bad) == 0)
		return all;
	return unchanged(a, "rules") ? NULL : json_get(a->object, "rules");
}

static int check_role(const struct admission *a, struct status *err)
{
	const char *ns = a->resource->namespaced ? a->ns : "";
	if (*a->subresource || free_to_grant(a) || may_on_role(a, "escalate", a->resource->plural, ns, a->name))
		return 0;
	return hold_all(a, rules_to_hold(a), ns, err);
}

static int check_binding(const struct admission *a, struct status *err)
{
	const char *ns = a->resource->namespaced ? a->ns : "";
	const char *name = str_or(json_path_str(a->object, "roleRef.name"), "");
	bool cluster = !str_eq(json_path_str(a->object, "roleRef.kind"), "Role");
	const char *plural = cluster ? "clusterroles" : "roles";
	if (*a->subresource || free_to_grant(a) || (unchanged(a, "roleRef") && unchanged(a, "subjects")) ||
	    may_on_role(a, "bind", plural, ns, name))
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
