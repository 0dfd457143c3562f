/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "api/merge_patch.h"
#include "api/strategic_patch.h"
#include "base/status.h"
#include "testing.h"

/* RFC 7386 appendix A */
static const struct {
	const char *doc, *patch, *want;
} cases[] = {
    {"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
    {"{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}"},
    {"{'a':'b'}", "{'a':null}", "{}"},
    {"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"},
    {"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
    {"{'a':'c'}", "{'a':['b']}", "{'a':['b']}"},
    {"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
    {"{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}"},
    {"['a','b']", "['c','d']", "['c','d']"},
    {"{'a':'b'}", "['c']", "['c']"},
    {"{'a':'foo'}", "null", "null"},
    {"{'a':'foo'}", "'bar'", "'bar'"},
    {"{'a':1}", "{'a':[{'b':null,'c':1}]}", "{'a':[{'c':1}]}"},
    {"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
    {"[1,2]", "{'a':'b','c':null}", "{'a':'b'}"},
    {"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct json *patch = tree(&a, cases[i].patch);
		expect_tree(&a, merge_patch_apply(&a, tree(&a, cases[i].doc), patch), cases[i].want);
		expect_tree(&a, patch, cases[i].patch);
	}
}

static void test_create(void **state)
{
	static const struct {
		const char *from, *to, *want;
	} made[] = {
	    {"{'a':1,'b':{'c':1,'d':2}}", "{'a':1,'b':{'c':3}}", "{'b':{'c':3,'d':null}}"},
	    {"{'a':[1]}", "{'a':[1,2],'x':{}}", "{'a':[1,2],'x':{}}"},
	    {"{'a':1}", "{'a':1.0}", "{}"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct json *from = tree(&a, made[i].from), *patch = merge_patch_create(&a, from, tree(&a, made[i].to));
		expect_tree(&a, patch, made[i].want);
		expect_tree(&a, merge_patch_apply(&a, from, patch), made[i].to);
	}
}

#define MANY 100000

static struct json *wide(struct arena *a, bool backwards, enum json_type t)
{
	struct json *o = json_new(a, JSON_OBJECT);
	for (int i = 0; i < MANY; i++) {
		char key[16];
		int len = snprintf(key, sizeof(key), "k%d", backwards ? MANY - 1 - i : i);
		json_add(a, o, key, (size_t)len, json_new(a, t));
	}
	return o;
}

/* A ConfigMap may have as many keys: patches of all of them, in any order, take linear time. */
static void test_many_members(void **state)
{
	(void)state;
	for (int strategic = 0; strategic < 2; strategic++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		struct json *doc = wide(&a, false, JSON_STRING);
		struct json *change = wide(&a, true, JSON_NUMBER), *removal = wide(&a, true, JSON_NULL);
		json_remove(removal, "k7");
		clock_t begin = clock();
		if (strategic) {
			assert_int_equal(strategic_patch_apply(&a, NULL, doc, change, &doc, &err), 0);
			assert_true(json_equal(doc, change));
			assert_int_equal(strategic_patch_apply(&a, NULL, doc, removal, &doc, &err), 0);
		} else {
			doc = merge_patch_apply(&a, doc, change);
			assert_true(json_equal(doc, change));
			assert_int_equal(json_len(merge_patch_create(&a, doc, change)), 0);
			doc = merge_patch_apply(&a, doc, removal);
		}
		expect_tree(&a, doc, "{'k7':0}");
		assert_true(clock() - begin < 2 * CLOCKS_PER_SEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_create),
					   cmocka_unit_test(test_many_members)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
