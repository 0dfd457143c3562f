/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/quota.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

static struct json *parse(struct arena *a, const char *text)
{
	struct json *v;
	struct json_error bad;
	char *s = arena_strdup(a, text);
	for (char *p = s; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	assert_int_equal(json_parse(a, s, strlen(s), &v, &bad), 0);
	return v;
}

static const char *usage(struct arena *a, const char *group, const char *plural, const char *text)
{
	struct amounts m = quota_usage(a, resource_by_plural(group, plural), parse(a, text), 0);
	amounts_sort(&m);
	return json_to_string(a, amounts_json(a, &m));
}

static void names_belong_to_resources(void **state)
{
	(void)state;
	const struct resource *pods = resource_by_plural("", "pods"), *jobs = resource_by_plural("batch", "jobs");
	const struct resource *claims = resource_by_plural("", "persistentvolumeclaims");
	assert_true(quota_names(pods, "pods") && quota_names(pods, "count/pods") && quota_names(pods, "limits.cpu"));
	assert_true(quota_names(pods, "requests.example.com/gpu") && quota_names(pods, "hugepages-2Mi"));
	assert_false(quota_names(pods, "requests.storage") || quota_names(pods, "count/podtemplates"));
	assert_true(quota_names(jobs, "count/jobs.batch"));
	assert_false(quota_names(jobs, "count/jobs") || quota_names(jobs, "jobs") || quota_names(jobs, "cpu"));
	assert_true(quota_names(claims, "gold.storageclass.storage.k8s.io/requests.storage"));
}

static void objects_use(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	assert_string_equal(
	    usage(&a, "", "pods",
		  "{'spec':{'containers':[{'resources':{'requests':{'cpu':'1','example.com/gpu':'2'},"
		  "'limits':{'cpu':'2','example.com/gpu':'2'}}}]}}"),
	    "{\"count/pods\":\"1\",\"cpu\":\"1\",\"limits.cpu\":\"2\",\"pods\":\"1\",\"requests.cpu\":\"1\","
	    "\"requests.example.com/gpu\":\"2\"}");
	assert_string_equal(usage(&a, "", "pods", "{'spec':{'containers':[]},'status':{'phase':'Failed'}}"),
			    "{\"count/pods\":\"1\"}");
	assert_string_equal(usage(&a, "batch", "jobs", "{}"), "{\"count/jobs.batch\":\"1\"}");
	assert_string_equal(usage(&a, "", "services", "{'spec':{'type':'LoadBalancer','ports':[{},{}]}}"),
			    "{\"count/services\":\"1\",\"services\":\"1\",\"services.loadbalancers\":\"1\","
			    "\"services.nodeports\":\"2\"}");
	assert_string_equal(
	    usage(&a, "", "persistentvolumeclaims",
		  "{'spec':{'storageClassName':'s','resources':{'requests':{'storage':'1Gi'}}}}"),
	    "{\"count/persistentvolumeclaims\":\"1\",\"persistentvolumeclaims\":\"1\",\"requests.storage\":\"1Gi\","
	    "\"s.storageclass.storage.k8s.io/persistentvolumeclaims\":\"1\","
	    "\"s.storageclass.storage.k8s.io/requests.storage\":\"1Gi\"}");
	assert_string_equal(
	    usage(&a, "resource.k8s.io", "resourceclaims",
		  "{'spec':{'devices':{'requests':[{'exactly':{'deviceClassName':'d','count':3}},"
		  "{'firstAvailable':[{'deviceClassName':'d','count':1},{'deviceClassName':'e'}]}]}}}"),
	    "{\"count/resourceclaims.resource.k8s.io\":\"1\","
	    "\"d.deviceclass.resource.k8s.io/devices\":\"4\",\"e.deviceclass.resource.k8s.io/devices\":\"1\"}");
}

static bool matches(struct arena *a, const char *scope, const char *op, const char *value, const char *pod)
{
	const char *text =
	    arena_printf(a,
			 "{'spec':{'scopeSelector':{'matchExpressions':[{'scopeName':'%s','operator':'%s',"
			 "'values':[%s]}]}}}",
			 scope, op, value);
	return quota_scopes_match(parse(a, text), resource_by_plural("", "pods"), parse(a, pod));
}

static void scopes_select(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *high = "{'spec':{'priorityClassName':'high'}}", *none = "{'spec':{}}";
	assert_true(matches(&a, "PriorityClass", "In", "'low','high'", high));
	assert_false(matches(&a, "PriorityClass", "NotIn", "'high'", high));
	assert_true(matches(&a, "PriorityClass", "Exists", "", high));
	assert_false(matches(&a, "PriorityClass", "Exists", "", none));
	assert_true(matches(&a, "PriorityClass", "DoesNotExist", "", none));
	assert_true(matches(&a, "BestEffort", "Exists", "", none));
	assert_false(matches(&a, "Terminating", "Exists", "", none));
	assert_true(matches(&a, "Terminating", "Exists", "", "{'spec':{'activeDeadlineSeconds':1}}"));
	/* Only pods have such scopes. */
	assert_false(quota_scopes_match(parse(&a, "{'spec':{'scopes':['NotTerminating']}}"),
					resource_by_plural("", "services"), parse(&a, "{}")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_belong_to_resources),
	    cmocka_unit_test(objects_use),
	    cmocka_unit_test(scopes_select),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
