/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/resource.h"
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "server/route.h"

struct expectation {
	const char *method, *path, *query;
	const char *verb, *group, *plural, *ns, *name, *sub; /* plural NULL: no resource request */
	int code;					     /* of route_check; 0: fine */
};

static const struct expectation expectations[] = {
    {"GET", "/api/v1/pods", "", "list", "", "pods", "", "", "", 0},
    {"GET", "/api/v1/pods", "watch=true", "watch", "", "pods", "", "", "", 0},
    {"GET", "/api/v1/pods", "watch=0", "list", "", "pods", "", "", "", 0},
    {"GET", "/api/v1/watch/namespaces/x/pods", "", "watch", "", "pods", "x", "", "", 0},
    {"GET", "/api/v1/namespaces/x/pods/y", "", "get", "", "pods", "x", "y", "", 0},
    {"GET", "/api/v1/namespaces/x/pods/y/log", "", "get", "", "pods", "x", "y", "log", 0},
    {"POST", "/api/v1/namespaces/x/pods/y/exec", "", "create", "", "pods", "x", "y", "exec", 0},
    {"GET", "/api/v1/namespaces/x", "", "get", "", "namespaces", "x", "x", "", 0},
    {"PUT", "/api/v1/namespaces/x/finalize", "", "update", "", "namespaces", "x", "x", "finalize", 0},
    {"GET", "/api/v1/namespaces", "", "list", "", "namespaces", "", "", "", 0},
    {"DELETE", "/apis/apps/v1/namespaces/x/deployments", "", "deletecollection", "apps", "deployments", "x", "", "", 0},
    {"PATCH", "/apis/apps/v1/namespaces/x/deployments/d/status", "", "patch", "apps", "deployments", "x", "d", "status",
     0},
    {"GET", "/api/v1/pods", "fieldSelector=metadata.name%3Dz", "list", "", "pods", "", "z", "", 0},
    {"PUT", "/api/v1/namespaces/x/pods", "", "update", "", "pods", "x", "", "", 405},
    {"POST", "/api/v1/namespaces/x/pods/y", "", "create", "", "pods", "x", "y", "", 405},
    {"POST", "/api/v1/pods", "", "create", "", "pods", "", "", "", 405},
    {"GET", "/api/v1/namespaces/x/nodes/n", "", "get", "", "nodes", "x", "n", "", 404},
    {"GET", "/api/v1/namespaces/x/pods/y/nosuch", "", "get", "", "pods", "x", "y", "nosuch", 404},
    {"GET", "/apis/nosuch/v1/things", "", "list", "nosuch", "things", "", "", "", 404},
    {"GET", "/healthz", "", "get", "", NULL, "", "", "", 0},
    {"GET", "/apis/apps/v1", "", "get", "", NULL, "", "", "", 0},
};

static void check(const struct expectation *e)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct query q;
	struct route r;
	assert_int_equal(query_parse(&a, e->query, &q, &err), 0);
	assert_int_equal(route_parse(&a, e->method, e->path, &q, &r, &err), 0);
	assert_string_equal(r.verb, e->verb);
	assert_int_equal(r.resource_request, e->plural != NULL);
	if (!e->plural)
		return;
	assert_string_equal(r.group, e->group);
	assert_string_equal(r.plural, e->plural);
	assert_string_equal(r.ns, e->ns);
	assert_string_equal(r.name, e->name);
	assert_string_equal(r.subresource, e->sub);
	assert_int_equal(route_check(&r, &err) < 0 ? err.code : 0, e->code);
}

static void paths_become_attributes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
		print_message("%s %s?%s\n", expectations[i].method, expectations[i].path, expectations[i].query);
		check(&expectations[i]);
	}
}

static void the_rest_of_a_proxy_path_stays_encoded(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct query q = {.n = 0};
	struct route r;
	(void)state;
	assert_int_equal(route_parse(&a, "GET", "/api/v1/nodes/n/proxy/a%2Fb/c", &q, &r, &err), 0);
	assert_string_equal(r.subresource, "proxy");
	assert_string_equal(r.rest, "a%2Fb/c");
}

static void bad_escapes_and_floods_are_refused(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct query q = {.n = 0};
	struct route r;
	char path[4 * ROUTE_SEGMENTS_MAX + 16];
	(void)state;
	assert_int_equal(route_parse(&a, "GET", "/api/v1/pods/%zz", &q, &r, &err), -1);
	assert_int_equal(err.code, 400);
	memset(path, 0, sizeof(path));
	for (size_t i = 0; i < ROUTE_SEGMENTS_MAX + 1; i++)
		memcpy(path + 2 * i, "/a", 2);
	assert_int_equal(route_parse(&a, "GET", path, &q, &r, &err), -1);
	assert_int_equal(err.code, 414);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_become_attributes),
	    cmocka_unit_test(the_rest_of_a_proxy_path_stays_encoded),
	    cmocka_unit_test(bad_escapes_and_floods_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
