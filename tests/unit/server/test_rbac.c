/* SPDX-License-Identifier: Apache-2.0 */
/* The authorizers over a store in memory with the default roles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/authz.h"
#include "server/rbac_bootstrap.h"
#include "store/store.h"

static struct loop *loop;
static struct store *store;
static struct authz *authz;
static size_t pending;

static void written(void *arg, enum store_error result, struct object *obj)
{
	(void)arg;
	(void)obj;
	assert_int_equal(result, STORE_OK);
	if (--pending == 0)
		loop_stop(loop);
}

static void put(const struct resource *row, const char *ns, struct json *object)
{
	_cleanup_buf_ struct buf key = BUF_INIT;

	resource_key(row, ns, meta_name(object), &key);
	pending++;
	assert_int_equal(
	    store_write(store,
			&(struct store_write){
			    .key = buf_str(&key), .resource = row, .tree = object, .create = true, .done = written}),
	    STORE_OK);
}

static void put_role(void *arg, const char *plural, const char *ns, struct json *object)
{
	(void)arg;
	put(resource_by_plural("rbac.authorization.k8s.io", plural), ns, object);
}

static void put_text(const char *group, const char *plural, const char *ns, const char *text)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *object;

	assert_int_equal(json_parse(&a, text, strlen(text), &object, NULL), 0);
	put(resource_by_plural(group, plural), ns, object);
	loop_run(loop);
}

static bool may(const char *user, const char *group, const char *verb, const char *api_group, const char *resource,
		const char *ns, const char *name)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char reason[AUTHZ_REASON_MAX];
	char *copy = arena_strdup(&a, resource), *slash = strchr(copy, '/');
	struct authz_attributes at = {.user = user_new(&a, user, GROUP_AUTHENTICATED, group, NULL),
				      .verb = verb,
				      .group = api_group,
				      .version = "v1",
				      .resource = copy,
				      .subresource = slash ? slash + 1 : "",
				      .ns = ns,
				      .name = name,
				      .path = "",
				      .resource_request = true};

	if (slash)
		*slash = 0;
	return authz_ops.authorize(authz, &at, reason) == 1;
}

static bool may_url(const char *user, const char *verb, const char *path)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char reason[AUTHZ_REASON_MAX];
	struct authz_attributes at = {.user = user_new(&a, user, GROUP_AUTHENTICATED, NULL, NULL),
				      .verb = verb,
				      .group = "",
				      .version = "",
				      .resource = "",
				      .subresource = "",
				      .ns = "",
				      .name = "",
				      .path = path};
	return authz_ops.authorize(authz, &at, reason) == 1;
}

static void default_roles(void **state)
{
	(void)state;
	assert_true(may("root", GROUP_MASTERS, "delete", "any.group", "things", "ns", "x"));
	assert_false(may("jane", NULL, "list", "", "pods", "default", ""));
	assert_true(may("jane", NULL, "create", "authorization.k8s.io", "selfsubjectaccessreviews", "", ""));
	assert_true(may_url("jane", "get", "/apis/apps/v1"));
	assert_true(may_url("jane", "get", "/version"));
	assert_false(may_url("jane", "get", "/metrics"));
	assert_false(may_url("jane", "post", "/version"));
	assert_true(may("system:kube-scheduler", NULL, "create", "", "pods/binding", "default", "a"));
	assert_false(may("system:kube-scheduler", NULL, "create", "apps", "deployments", "default", ""));
	assert_true(may("system:serviceaccount:kube-system:job-controller", NULL, "patch", "batch", "jobs", "x", "y"));
	assert_false(may("system:serviceaccount:default:job-controller", NULL, "patch", "batch", "jobs", "x", "y"));
}

static void bindings_take_effect_at_once_and_stay_in_their_namespace(void **state)
{
	(void)state;
	assert_false(may("ann", NULL, "get", "", "pods", "team", "a"));
	put_text("rbac.authorization.k8s.io", "rolebindings", "team",
		 "{\"metadata\":{\"name\":\"ann\",\"namespace\":\"team\"},\"roleRef\":{\"kind\":\"ClusterRole\","
		 "\"name\":\"view\"},"
		 "\"subjects\":[{\"kind\":\"User\",\"name\":\"ann\"}]}");
	assert_true(may("ann", NULL, "get", "", "pods", "team", "a"));
	assert_true(may("ann", NULL, "get", "", "pods/log", "team", "a"));
	assert_false(may("ann", NULL, "get", "", "secrets", "team", "a"));
	assert_false(may("ann", NULL, "delete", "", "pods", "team", "a"));
	assert_false(may("ann", NULL, "get", "", "pods", "other", "a"));
	assert_false(may("ann", NULL, "list", "", "pods", "", ""));
}

static void names_stars_and_subresources(void **state)
{
	(void)state;
	put_text(
	    "rbac.authorization.k8s.io", "roles", "team",
	    "{\"metadata\":{\"name\":\"odd\",\"namespace\":\"team\"},\"rules\":["
	    "{\"verbs\":[\"get\"],\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],\"resourceNames\":[\"one\"]},"
	    "{\"verbs\":[\"*\"],\"apiGroups\":[\"apps\"],\"resources\":[\"*/scale\"]}]}");
	put_text(
	    "rbac.authorization.k8s.io", "rolebindings", "team",
	    "{\"metadata\":{\"name\":\"odd\",\"namespace\":\"team\"},\"roleRef\":{\"kind\":\"Role\",\"name\":\"odd\"},"
	    "\"subjects\":[{\"kind\":\"Group\",\"name\":\"odd\"}]}");
	assert_true(may("bob", "odd", "get", "", "configmaps", "team", "one"));
	assert_false(may("bob", "odd", "get", "", "configmaps", "team", "two"));
	assert_false(may("bob", "odd", "get", "", "configmaps", "team", "")); /* a list names nothing */
	assert_true(may("bob", "odd", "patch", "apps", "deployments/scale", "team", "x"));
	assert_false(may("bob", "odd", "patch", "apps", "deployments", "team", "x"));
}

static void nodes_reach_what_their_pods_refer_to(void **state)
{
	(void)state;
	put_text("", "pods", "team",
		 "{\"metadata\":{\"name\":\"p\",\"namespace\":\"team\",\"uid\":\"1\"},\"spec\":{\"nodeName\":\"n1\","
		 "\"serviceAccountName\":\"sa\",\"containers\":[{\"name\":\"c\",\"env\":[{\"name\":\"E\",\"valueFrom\":"
		 "{\"secretKeyRef\":{\"name\":\"used\",\"key\":\"k\"}}}]}],\"volumes\":[{\"name\":\"v\",\"projected\":"
		 "{\"sources\":[{\"configMap\":{\"name\":\"conf\"}}]}}]}}");
	assert_true(may("system:node:n1", "system:nodes", "get", "", "secrets", "team", "used"));
	assert_true(may("system:node:n1", "system:nodes", "watch", "", "configmaps", "team", "conf"));
	assert_true(may("system:node:n1", "system:nodes", "create", "", "serviceaccounts/token", "team", "sa"));
	assert_false(may("system:node:n1", "system:nodes", "get", "", "secrets", "team", "unused"));
	assert_false(may("system:node:n1", "system:nodes", "get", "", "secrets", "other", "used"));
	assert_false(may("system:node:n1", "system:nodes", "list", "", "secrets", "team", ""));
	assert_false(may("system:node:n2", "system:nodes", "get", "", "secrets", "team", "used"));
	assert_false(may("system:node:n2", "system:nodes", "create", "", "serviceaccounts/token", "team", "sa"));
	assert_true(may("system:node:n1", "system:nodes", "patch", "", "nodes/status", "", "n1"));
	assert_true(may("system:node:n1", "system:nodes", "get", "", "nodes", "", "n1"));
	assert_false(may("system:node:n1", "system:nodes", "get", "", "nodes", "", "n2"));
	assert_false(may("system:node:n1", "system:nodes", "list", "", "nodes", "", ""));
	assert_false(may("system:node:n1", "system:nodes", "delete", "", "nodes", "", "n1"));
	assert_true(may("system:node:n1", "system:nodes", "get", "", "pods", "team", "p"));
	assert_false(may("system:node:n2", "system:nodes", "get", "", "pods", "team", "p"));
	assert_false(may("system:node:n1", "system:nodes", "list", "", "pods", "", ""));
	assert_true(
	    may("system:node:n1", "system:nodes", "update", "coordination.k8s.io", "leases", "kube-node-lease", "n1"));
	assert_false(
	    may("system:node:n1", "system:nodes", "update", "coordination.k8s.io", "leases", "kube-system", "n1"));
	assert_false(may("system:node:n1", NULL, "get", "", "secrets", "team", "used")); /* the group is what counts */
}

/* node ← pod ← claim ← volume ← secret, and what a pod's own kinds of claims lead to */
static void nodes_reach_what_their_volumes_refer_to(void **state)
{
	(void)state;
	put_text("", "pods", "team",
		 "{\"metadata\":{\"name\":\"v\",\"namespace\":\"team\",\"uid\":\"2\"},\"spec\":{\"nodeName\":\"n1\","
		 "\"volumes\":[{\"name\":\"a\",\"persistentVolumeClaim\":{\"claimName\":\"data\"}},{\"name\":\"tmp\","
		 "\"ephemeral\":{}}],\"resourceClaims\":[{\"name\":\"g\",\"resourceClaimName\":\"gpu\"}]},\"status\":{"
		 "\"resourceClaimStatuses\":[{\"name\":\"t\",\"resourceClaimName\":\"made\"}]}}");
	put_text("", "persistentvolumes", NULL,
		 "{\"metadata\":{\"name\":\"pv1\"},\"spec\":{\"claimRef\":{\"namespace\":\"team\",\"name\":\"data\"},"
		 "\"csi\":{\"driver\":\"d\",\"nodeStageSecretRef\":{\"namespace\":\"store\",\"name\":\"key\"}}}}");
	put_text("", "persistentvolumes", NULL,
		 "{\"metadata\":{\"name\":\"pv2\"},\"spec\":{\"claimRef\":{\"namespace\":\"team\",\"name\":\"other\"},"
		 "\"csi\":{\"driver\":\"d\",\"nodeStageSecretRef\":{\"namespace\":\"store\",\"name\":\"key2\"}}}}");
	put_text("storage.k8s.io", "volumeattachments", NULL,
		 "{\"metadata\":{\"name\":\"va1\"},\"spec\":{\"nodeName\":\"n1\"}}");
	static const struct {
		const char *verb, *group, *resource, *ns, *name;
		bool allowed;
	} cases[] = {
	    {"get", "", "persistentvolumeclaims", "team", "data", true},
	    {"list", "", "persistentvolumeclaims", "team", "data", false},
	    {"get", "", "persistentvolumeclaims", "team", "other", false},
	    {"get", "", "persistentvolumeclaims", "team", "v-tmp", true},
	    {"patch", "", "persistentvolumeclaims/status", "team", "data", true},
	    {"patch", "", "persistentvolumeclaims", "team", "data", false},
	    {"get", "", "persistentvolumes", "", "pv1", true},
	    {"get", "", "persistentvolumes", "", "pv2", false},
	    {"get", "", "secrets", "store", "key", true},
	    {"get", "", "secrets", "store", "key2", false},
	    {"get", "", "secrets", "team", "key", false},
	    {"get", "resource.k8s.io", "resourceclaims", "team", "gpu", true},
	    {"get", "resource.k8s.io", "resourceclaims", "team", "made", true},
	    {"get", "resource.k8s.io", "resourceclaims", "team", "none", false},
	    {"get", "storage.k8s.io", "volumeattachments", "", "va1", true},
	    {"get", "storage.k8s.io", "volumeattachments", "", "va2", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(may("system:node:n1", "system:nodes", cases[i].verb, cases[i].group, cases[i].resource,
				     cases[i].ns, cases[i].name),
				 cases[i].allowed);
		assert_false(may("system:node:n2", "system:nodes", cases[i].verb, cases[i].group, cases[i].resource,
				 cases[i].ns, cases[i].name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(default_roles),
	    cmocka_unit_test(bindings_take_effect_at_once_and_stay_in_their_namespace),
	    cmocka_unit_test(names_stars_and_subresources),
	    cmocka_unit_test(nodes_reach_what_their_pods_refer_to),
	    cmocka_unit_test(nodes_reach_what_their_volumes_refer_to),
	};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char why[128];

	if (loop_new(&loop) < 0 || store_open(&(struct store_config){.loop = loop, .resource_of_key = resource_of_key},
					      &store, why, sizeof(why)) < 0)
		return 1;
	authz = authz_new(store);
	rbac_bootstrap_each(&a, put_role, NULL);
	loop_run(loop);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	authz_free(authz);
	store_close(store);
	loop_free(loop);
	return r;
}
