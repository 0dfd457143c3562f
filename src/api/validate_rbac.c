/* SPDX-License-Identifier: Apache-2.0 */
/* Role, ClusterRole and their bindings. */
#include "api/meta.h"
#include "api/resource.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"

#define GROUP "rbac.authorization.k8s.io"

#define BINDING(kind)                                                                                                  \
	REQUIRED(kind, "roleRef.name"), NAME(kind, "roleRef.name", name_check_path_segment),                           \
	    REQUIRED(kind, "subjects[].name")

static const struct rule rules[] = {
    BINDING("RoleBinding"),
    BINDING("ClusterRoleBinding"),
    REQUIRED_TEXT("ClusterRole", "aggregationRule?.clusterRoleSelectors",
		  "at least one clusterRoleSelector required if aggregationRule is non-nil"),
    SELECTOR("ClusterRole", "aggregationRule?.clusterRoleSelectors[]"),
    REQUIRED("Role", "rules[].verbs"),
    REQUIRED("ClusterRole", "rules[].verbs"),
};

static void check_role(struct check *c)
{
	bool cluster = !c->resource->namespaced;
	size_t i = 0;

	EACH_ITEM(r, json_get(c->tree, "rules")) {
		const char *at = PATH(c, "rules[%zu]", i++);
		const struct json *urls = json_get(r, "nonResourceURLs"), *resources = json_get(r, "resources");
		const struct json *groups = json_get(r, "apiGroups");
		if (json_len(urls) && !cluster)
			bad_invalid(c, PATH(c, "%s.nonResourceURLs", at), urls,
				    "namespaced rules cannot apply to non-resource URLs");
		if (json_len(urls) &&
		    (json_len(resources) || json_len(groups) || json_len(json_get(r, "resourceNames"))))
			bad_invalid(c, PATH(c, "%s.nonResourceURLs", at), urls,
				    "rules cannot apply to both regular resources and non-resource URLs");
		if (json_len(urls))
			continue;
		if (!json_len(groups))
			bad_required(c, PATH(c, "%s.apiGroups", at),
				     "resource rules must supply at least one api group");
		if (!json_len(resources))
			bad_required(c, PATH(c, "%s.resources", at),
				     "resource rules must supply at least one resource");
	}
}

static void check_subject(struct check *c, const char *at, const struct json *s)
{
	static const char *const kinds[] = {"ServiceAccount", "User", "Group", NULL};
	static const char *const none[] = {"", NULL}, *const mine[] = {GROUP, NULL};
	const char *kind = str_or(json_path_str(s, "kind"), ""), *group = str_or(json_path_str(s, "apiGroup"), "");

	if (str_eq(kind, "ServiceAccount")) {
		if (!str_empty(json_path_str(s, "name")))
			check_name(c, PATH(c, "%s.name", at), json_get(s, "name"), name_check_dns1123_subdomain);
		if (*group)
			bad_unsupported(c, PATH(c, "%s.apiGroup", at), group, none);
		need_str(c, PATH(c, "%s.namespace", at), json_get(s, "namespace"));
	} else if (!str_in(kind, kinds)) {
		bad_unsupported(c, PATH(c, "%s.kind", at), kind, kinds);
	} else if (!str_eq(group, GROUP)) {
		bad_unsupported(c, PATH(c, "%s.apiGroup", at), group, mine);
	}
}

static void check_role_binding(struct check *c)
{
	static const char *const groups[] = {GROUP, NULL};
	static const char *const kinds[] = {"Role", "ClusterRole", NULL};
	const char *const *allowed = c->resource->namespaced ? kinds : kinds + 1;
	const char *kind = str_or(json_path_str(c->tree, "roleRef.kind"), "");
	const char *group = str_or(json_path_str(c->tree, "roleRef.apiGroup"), "");
	size_t i = 0;

	if (!str_eq(group, GROUP))
		bad_unsupported(c, "roleRef.apiGroup", group, groups);
	if (!str_in(kind, allowed))
		bad_unsupported(c, "roleRef.kind", kind, allowed);
	EACH_ITEM(s, json_get(c->tree, "subjects"))
		check_subject(c, PATH(c, "subjects[%zu]", i++), s);
	if (c->old && !json_equal(json_get(c->tree, "roleRef"), json_get(c->old, "roleRef")))
		bad_invalid(c, "roleRef", json_get(c->tree, "roleRef"), "cannot change roleRef");
}

static const struct kind_check kinds[] = {
    {"Role", check_role, NULL},
    {"ClusterRole", check_role, NULL},
    {"RoleBinding", check_role_binding, NULL},
    {"ClusterRoleBinding", check_role_binding, NULL},
};

const struct group_check validate_rbac = {GROUP, rules, ARRAY_SIZE(rules), kinds, ARRAY_SIZE(kinds)};
