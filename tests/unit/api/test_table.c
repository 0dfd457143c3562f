/* SPDX-License-Identifier: Apache-2.0 */
#include "api/table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"

#define NOW "2026-11-23T10:00:00Z"

static int64_t at(const char *text)
{
	int64_t ns;

	assert_int_equal(time_parse(text, &ns), 0);
	return ns;
}

/* The table of one object, parsed. */
static struct json *one(struct arena *a, const struct resource *r, const char *json, enum table_include include)
{
	struct bytes *bytes = bytes_new(json, strlen(json));
	_cleanup_object_ struct object *o = object_new(r, NULL, 7, bytes);
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct table_meta meta = {.rev = 7, .remaining = -1};
	struct table t;
	struct json *v;
	struct json_error err;

	assert_non_null(o);
	bytes_unref(bytes);
	table_begin(&t, r, NULL, 0, include, "v1", &meta, &b);
	table_row(&t, o, at(NOW), &b);
	table_row(&t, o, at(NOW), &b);
	table_end(&t, &b);
	assert_int_equal(json_parse(a, b.data, b.len, &v, &err), 0);
	assert_int_equal(json_len(json_get(v, "rows")), 2);
	return v;
}

static const char *cell(const struct json *table, const char *column)
{
	const struct json *cells = json_get(json_at(json_get(table, "rows"), 0), "cells");
	size_t i = 0;

	JSON_EACH(c, json_get(table, "columnDefinitions")) {
		if (str_eq(json_path_str(c, "name"), column))
			return json_at(cells, i)->str;
		i++;
	}
	fail_msg("no column %s", column);
	return NULL;
}

static void pod_row(const char *json, const char *ready, const char *status, const char *restarts)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *v = one(&a, resource_by_plural("", "pods"), json, TABLE_METADATA);

	assert_string_equal(cell(v, "Ready"), ready);
	assert_string_equal(cell(v, "Status"), status);
	assert_string_equal(cell(v, "Restarts"), restarts);
}

#define POD(spec, status)                                                                                              \
	"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"d\","                    \
	"\"creationTimestamp\":\"2026-11-23T09:56:40Z\"},\"spec\":" spec ",\"status\":" status "}"
#define DELETED                                                                                                        \
	"{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"deletionTimestamp\":\"2026-11-23T09:56:40Z\"},"           \
	"\"spec\":{\"containers\":[{\"name\":\"a\"}]},\"status\":{\"phase\":\"%s\"}}"

static void pods(void **state)
{
	(void)state;
	pod_row(POD("{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
		    "{\"phase\":\"Running\",\"containerStatuses\":[{\"ready\":true,\"restartCount\":2,\"state\":{"
		    "\"running\":{}},\"lastState\":{\"terminated\":{\"finishedAt\":\"2026-11-23T09:00:00Z\"}}},"
		    "{\"ready\":false,\"restartCount\":1,\"state\":{\"running\":{}}}]}"),
		"1/2", "Running", "3 (60m ago)");
	pod_row(POD("{\"containers\":[{\"name\":\"a\"}]}", "{\"phase\":\"Pending\"}"), "0/1", "Pending", "0");
	pod_row(POD("{\"containers\":[{\"name\":\"a\"}]}",
		    "{\"phase\":\"Running\",\"containerStatuses\":[{\"restartCount\":5,\"state\":{\"waiting\":{"
		    "\"reason\":\"CrashLoopBackOff\"}}}]}"),
		"0/1", "CrashLoopBackOff", "5");
	pod_row(POD("{\"containers\":[{\"name\":\"a\"}]}",
		    "{\"phase\":\"Succeeded\",\"containerStatuses\":[{\"state\":{\"terminated\":{\"exitCode\":0,"
		    "\"reason\":\"Completed\"}}}]}"),
		"0/1", "Completed", "0");
	pod_row(POD("{\"containers\":[{\"name\":\"a\"}]}",
		    "{\"phase\":\"Failed\",\"containerStatuses\":[{\"state\":{\"terminated\":{\"exitCode\":3}}}]}"),
		"0/1", "ExitCode:3", "0");
	pod_row(POD("{\"containers\":[{\"name\":\"a\"}],\"initContainers\":[{\"name\":\"i\"},{\"name\":\"j\"}]}",
		    "{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"terminated\":{"
		    "\"exitCode\":0}}},{\"name\":\"j\",\"state\":{\"running\":{}}}],\"containerStatuses\":[{\"state\":"
		    "{\"waiting\":{\"reason\":\"PodInitializing\"}}}]}"),
		"0/1", "Init:1/2", "0");
	pod_row(POD("{\"containers\":[{\"name\":\"a\"}],\"initContainers\":[{\"name\":\"i\"}]}",
		    "{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"restartCount\":1,\"state\":{"
		    "\"terminated\":{\"exitCode\":1,\"reason\":\"Error\"}}}]}"),
		"0/1", "Init:Error", "1");
	/* A sidecar counts among the containers. */
	pod_row(POD("{\"containers\":[{\"name\":\"a\"}],\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":"
		    "\"Always\"}]}",
		    "{\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"s\",\"started\":true,\"ready\":true,"
		    "\"restartCount\":4,\"state\":{\"running\":{}}}],\"containerStatuses\":[{\"ready\":true,"
		    "\"restartCount\":1,\"state\":{\"running\":{}}}]}"),
		"2/2", "Running", "5");
}

static void deleted_pods(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	(void)state;
	pod_row(arena_printf(&a, DELETED, "Running"), "0/1", "Terminating", "0");
	pod_row(arena_printf(&a, DELETED, "Failed"), "0/1", "Failed", "0");
}

static void included_object(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct resource *r = resource_by_plural("", "configmaps");
	const char *text = "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"c\",\"namespace\":"
			   "\"d\"},\"data\":{\"a\":\"b\"}}";
	struct json *row = json_at(json_get(one(&a, r, text, TABLE_METADATA), "rows"), 0);

	(void)state;
	assert_string_equal(json_path_str(row, "object.kind"), "PartialObjectMetadata");
	assert_string_equal(json_path_str(row, "object.metadata.name"), "c");
	assert_null(json_path(row, "object.data"));
	row = json_at(json_get(one(&a, r, text, TABLE_OBJECT), "rows"), 0);
	assert_string_equal(json_path_str(row, "object.data.a"), "b");
	row = json_at(json_get(one(&a, r, text, TABLE_NONE), "rows"), 0);
	assert_null(json_get(row, "object"));
	assert_int_equal(json_int(json_at(json_get(row, "cells"), 1), -1), 1);
}

static void other_kinds(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *v;

	(void)state;
	v = one(&a, resource_by_plural("", "services"),
		"{\"metadata\":{\"name\":\"s\",\"namespace\":\"d\"},\"spec\":{\"type\":\"NodePort\",\"clusterIP\":"
		"\"10.0.0.1\",\"selector\":{\"b\":\"2\",\"a\":\"1\"},\"ports\":[{\"port\":80,\"protocol\":\"TCP\"},"
		"{\"port\":443,\"nodePort\":30443,\"protocol\":\"UDP\"}]}}",
		TABLE_NONE);
	assert_string_equal(cell(v, "Port(s)"), "80/TCP,443:30443/UDP");
	assert_string_equal(cell(v, "External-IP"), "<none>");
	assert_string_equal(cell(v, "Selector"), "a=1,b=2");
	assert_string_equal(cell(v, "Age"), "<unknown>");
	v = one(&a, resource_by_plural("", "nodes"),
		"{\"metadata\":{\"name\":\"n\",\"labels\":{\"node-role.kubernetes.io/control-plane\":\"\"}},\"spec\":{"
		"\"unschedulable\":true},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
		"\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.1.1.1\"}]}}",
		TABLE_NONE);
	assert_string_equal(cell(v, "Status"), "Ready,SchedulingDisabled");
	assert_string_equal(cell(v, "Roles"), "control-plane");
	assert_string_equal(cell(v, "Internal-IP"), "10.1.1.1");
	v = one(
	    &a, resource_by_plural("apps", "deployments"),
	    "{\"metadata\":{\"name\":\"w\",\"namespace\":\"d\"},\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":"
	    "{\"app\":\"w\"}},\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"i:1\"}]}}},"
	    "\"status\":{\"readyReplicas\":2,\"updatedReplicas\":3}}",
	    TABLE_NONE);
	assert_string_equal(cell(v, "Ready"), "2/3");
	assert_string_equal(cell(v, "Up-to-date"), "3");
	assert_string_equal(cell(v, "Available"), "0");
	assert_string_equal(cell(v, "Images"), "i:1");
	assert_string_equal(cell(v, "Selector"), "app=w");
	v = one(&a, resource_by_plural("rbac.authorization.k8s.io", "roles"),
		"{\"metadata\":{\"name\":\"r\",\"namespace\":\"d\",\"creationTimestamp\":\"2026-11-23T09:56:40Z\"}}",
		TABLE_NONE);
	assert_string_equal(cell(v, "Created At"), "2026-11-23T09:56:40Z");
}

/* No cell function may be surprised by an object that has nothing. */
static void empty_objects(void **state)
{
	(void)state;
	for (size_t i = 0; i < resource_table_len; i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		const struct json *v = one(&a, &resource_table[i], "{\"metadata\":{\"name\":\"x\"}}", TABLE_METADATA);

		assert_int_equal(json_len(json_get(json_at(json_get(v, "rows"), 0), "cells")),
				 json_len(json_get(v, "columnDefinitions")));
	}
}

static void ages(void **state)
{
	static const struct {
		const char *since, *age;
	} cases[] = {
	    {"2026-11-23T10:00:00Z", "0s"},
	    {"2026-11-23T09:58:01Z", "119s"},
	    {"2026-11-23T09:57:30Z", "2m30s"},
	    {"2026-11-23T09:55:00Z", "5m"},
	    {"2026-11-23T09:30:10Z", "29m"},
	    {"2026-11-23T06:30:00Z", "3h30m"},
	    {"2026-11-22T20:00:00Z", "14h"},
	    {"2026-11-20T08:00:00Z", "3d2h"},
	    {"2026-10-23T10:00:00Z", "31d"},
	    {"2024-11-13T10:00:00Z", "2y10d"},
	    {"2016-11-23T10:00:00Z", "10y"},
	    {"2026-11-23T10:00:01Z", "0s"},
	    {"2026-11-23T10:05:00Z", "<invalid>"},
	    {NULL, "<unknown>"},
	    {"yesterday", "<unknown>"},
	};
	char text[TABLE_AGE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(table_age(cases[i].since, at(NOW), text), cases[i].age);
}

static void watch_and_include(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct table_meta meta = {.rev = 9, .next = "tok", .remaining = 5, .no_columns = true};
	enum table_include include;
	struct table t;

	(void)state;
	table_begin(&t, resource_by_plural("", "pods"), NULL, 0, TABLE_NONE, "v1beta1", &meta, &b);
	table_end(&t, &b);
	assert_string_equal(b.data, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1beta1\",\"metadata\":{"
				    "\"resourceVersion\":\"9\",\"continue\":\"tok\",\"remainingItemCount\":5},"
				    "\"columnDefinitions\":null,\"rows\":[]}");
	assert_int_equal(table_include_parse("Object", &include), 0);
	assert_int_equal(include, TABLE_OBJECT);
	assert_int_equal(table_include_parse("object", &include), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pods),
	    cmocka_unit_test(deleted_pods),
	    cmocka_unit_test(included_object),
	    cmocka_unit_test(other_kinds),
	    cmocka_unit_test(empty_objects),
	    cmocka_unit_test(ages),
	    cmocka_unit_test(watch_and_include),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
