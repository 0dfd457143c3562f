/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "runtime/spec_json.h"

static void test_container(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct spec_mount mounts[] = {
	    {.source = "/a", .target = "/b", .readonly = true, .propagation = SPEC_BIDIRECTIONAL},
	    {.type = "tmpfs", .target = "/t", .source_fd_index = 3}};
	struct container_spec in = {
	    .id = "abc",
	    .args = (const char *[]){"sh", "", "\xe2\x82\xac \"x\"\n", NULL},
	    .lowerdirs = (const char *[]){NULL},
	    .groups = (int64_t[]){5, -1, 4294967294},
	    .n_groups = 3,
	    .mounts = mounts,
	    .n_mounts = 2,
	    .resources = {.memory_limit = INT64_MAX, .cpu_shares = 2, .cpuset_cpus = "0-3"},
	    .cap_bounding = (int64_t)0x8000000000000001ull,
	    .tty = true,
	};
	struct container_spec out;
	struct json *v;
	struct json_error err;
	(void)state;
	char *text = json_to_string(&a, container_spec_to_json(&a, &in));
	assert_int_equal(json_parse(&a, text, strlen(text), &v, &err), 0);
	assert_int_equal(container_spec_from_json(&a, v, &out), 0);
	assert_string_equal(out.id, "abc");
	assert_string_equal(out.args[1], "");
	assert_string_equal(out.args[2], "\xe2\x82\xac \"x\"\n");
	assert_null(out.args[3]);
	assert_non_null(out.lowerdirs);
	assert_null(out.lowerdirs[0]);
	assert_null(out.env);
	assert_int_equal(out.n_groups, 3);
	assert_int_equal(out.groups[2], 4294967294);
	assert_int_equal(out.n_mounts, 2);
	assert_true(out.mounts[0].readonly && !out.mounts[1].readonly);
	assert_int_equal(out.mounts[0].propagation, SPEC_BIDIRECTIONAL);
	assert_int_equal(out.mounts[1].source_fd_index, 3);
	assert_true(out.resources.memory_limit == INT64_MAX);
	assert_string_equal(out.resources.cpuset_cpus, "0-3");
	assert_true(out.cap_bounding == in.cap_bounding);
	assert_true(out.tty && !out.stdin_);
	assert_null(out.user);
}

static int parse(const char *text)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *v;
	struct json_error err;
	struct container_spec s;
	assert_int_equal(json_parse(&a, text, strlen(text), &v, &err), 0);
	return container_spec_from_json(&a, v, &s);
}

static void test_wrong_types(void **state)
{
	(void)state;
	assert_int_equal(parse("{}"), 0);
	assert_int_equal(parse("{\"id\":null}"), 0);
	/* What is asked for and not known is never silently left out. */
	assert_int_equal(parse("{\"id\":\"a\",\"sandboxed_more\":true}"), -EOPNOTSUPP);
	assert_int_equal(parse("{\"mounts\":[{\"target\":\"/x\",\"idmap\":1}]}"), -EOPNOTSUPP);
	assert_int_equal(parse("[]"), -EINVAL);
	assert_int_equal(parse("{\"id\":1}"), -EINVAL);
	assert_int_equal(parse("{\"id\":\"a\\u0000b\"}"), -EINVAL);
	assert_int_equal(parse("{\"args\":[\"a\\u0000b\"]}"), -EINVAL);
	assert_int_equal(parse("{\"args\":\"sh\"}"), -EINVAL);
	assert_int_equal(parse("{\"args\":[null]}"), -EINVAL);
	assert_int_equal(parse("{\"groups\":[1.5]}"), -EINVAL);
	assert_int_equal(parse("{\"mounts\":[1]}"), -EINVAL);
	assert_int_equal(parse("{\"mounts\":[{\"propagation\":4294967296}]}"), -EINVAL);
	assert_int_equal(parse("{\"tty\":1}"), -EINVAL);
	assert_int_equal(parse("{\"resources\":[]}"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_container), cmocka_unit_test(test_wrong_types)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
