/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_patch.h"
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "testing.h"

static const struct {
	const char *doc, *patch, *want; /* want NULL: refused with code */
	int code;
} cases[] = {
    /* RFC 6902 appendix A */
    {"{'foo':'bar'}", "[{'op':'add','path':'/baz','value':'qux'}]", "{'baz':'qux','foo':'bar'}", 0},
    {"{'foo':['bar','baz']}", "[{'op':'add','path':'/foo/1','value':'qux'}]", "{'foo':['bar','qux','baz']}", 0},
    {"{'baz':'qux','foo':'bar'}", "[{'op':'remove','path':'/baz'}]", "{'foo':'bar'}", 0},
    {"{'foo':['bar','qux','baz']}", "[{'op':'remove','path':'/foo/1'}]", "{'foo':['bar','baz']}", 0},
    {"{'baz':'qux','foo':'bar'}", "[{'op':'replace','path':'/baz','value':'boo'}]", "{'baz':'boo','foo':'bar'}", 0},
    {"{'foo':{'bar':'baz','waldo':'fred'},'qux':{'corge':'grault'}}",
     "[{'op':'move','from':'/foo/waldo','path':'/qux/thud'}]",
     "{'foo':{'bar':'baz'},'qux':{'corge':'grault','thud':'fred'}}", 0},
    {"{'foo':['all','grass','cows','eat']}", "[{'op':'move','from':'/foo/1','path':'/foo/3'}]",
     "{'foo':['all','cows','eat','grass']}", 0},
    {"{'baz':'qux','foo':['a',2,'c']}",
     "[{'op':'test','path':'/baz','value':'qux'},{'op':'test','path':'/foo/1','value':2}]",
     "{'baz':'qux','foo':['a',2,'c']}", 0},
    {"{'baz':'qux'}", "[{'op':'test','path':'/baz','value':'bar'}]", NULL, 422},
    {"{'foo':'bar'}", "[{'op':'add','path':'/child','value':{'grandchild':{}}}]",
     "{'foo':'bar','child':{'grandchild':{}}}", 0},
    {"{'foo':'bar'}", "[{'op':'add','path':'/baz','value':'qux','xyz':123}]", "{'foo':'bar','baz':'qux'}", 0},
    {"{'foo':'bar'}", "[{'op':'add','path':'/baz/bat','value':'qux'}]", NULL, 422},
    {"{'/':9,'~1':10}", "[{'op':'test','path':'/~01','value':10}]", "{'/':9,'~1':10}", 0},
    {"{'/':9,'~1':10}", "[{'op':'test','path':'/~01','value':'10'}]", NULL, 422},
    {"{'foo':['bar']}", "[{'op':'add','path':'/foo/-','value':['abc','def']}]", "{'foo':['bar',['abc','def']]}", 0},
    /* the root, copies, indices */
    {"{'a':1}", "[{'op':'replace','path':'','value':{'b':2}}]", "{'b':2}", 0},
    {"{'a':{'b':1}}", "[{'op':'copy','from':'/a','path':'/c'},{'op':'replace','path':'/c/b','value':2}]",
     "{'a':{'b':1},'c':{'b':2}}", 0},
    {"{'a':[1,2]}", "[{'op':'add','path':'/a/2','value':3}]", "{'a':[1,2,3]}", 0},
    {"{'a':[1,2]}", "[{'op':'add','path':'/a/3','value':3}]", NULL, 422},
    {"{'a':[1,2]}", "[{'op':'remove','path':'/a/01'}]", "{'a':[1]}", 0},
    {"{'a':[1,2]}", "[{'op':'remove','path':'/a/-1'}]", "{'a':[1]}", 0},
    {"{'a':[1,2]}", "[{'op':'add','path':'/a/-1','value':3}]", "{'a':[1,2,3]}", 0},
    {"{'a':[1,2]}", "[{'op':'remove','path':'/a/-3'}]", NULL, 422},
    {"{'a':[1,2]}", "[{'op':'remove','path':'/a/-'}]", NULL, 422},
    {"{'a':[]}", "[{'op':'remove','path':'/a/0'}]", NULL, 422},
    {"{'a':{}}", "[{'op':'move','from':'/a','path':'/a/b'}]", NULL, 422},
    {"{'a':1}", "[{'op':'move','from':'/a','path':'/a'}]", "{'a':1}", 0},
    {"{'a':1}", "[{'op':'remove','path':'/b'}]", NULL, 422},
    {"{'a':1}", "[{'op':'replace','path':'/b','value':1}]", "{'a':1,'b':1}", 0},
    {"{'a':1}", "[{'op':'replace','path':'','value':1}]", NULL, 422},
    {"{'a':1}", "[{'op':'copy','from':'/b','path':'/c'}]", "{'a':1,'c':null}", 0},
    {"{'a':1}", "[{'op':'test','path':'/b','value':null}]", "{'a':1}", 0},
    {"{'a':1}", "[{'op':'test','path':'/b/c','value':null}]", NULL, 422},
    {"{'a':1}", "[{'op':'add','path':'/a/b/c','value':1}]", NULL, 422},
    {"{}", "[]", "{}", 0},
    /* malformed */
    {"{}", "{}", NULL, 400},
    {"{}", "[1]", NULL, 400},
    {"{}", "[{'op':'add','path':'a','value':1}]", NULL, 422},
    {"{}", "[{'op':'add','path':'/a'}]", "{'a':null}", 0},
    {"{}", "[{'op':'spam','path':'/a','value':1}]", NULL, 422},
    {"{}", "[{'path':'/a','value':1}]", NULL, 422},
    {"{'a':1}", "[{'op':'copy','path':'/b'}]", NULL, 422},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		struct json *out = NULL;
		int r = json_patch_apply(&a, tree(&a, cases[i].doc), tree(&a, cases[i].patch), &out, &err);
		if ((r == 0) != (cases[i].want != NULL) || err.code != cases[i].code)
			fail_msg("case %zu %s: result %d code %d %s", i, cases[i].patch, r, err.code,
				 err.message ? err.message : "");
		if (cases[i].want)
			expect_tree(&a, out, cases[i].want);
	}
}

static struct json *many(struct arena *a, size_t n, const char *op)
{
	struct json *list = json_new(a, JSON_ARRAY);
	while (n--)
		json_append(list, tree(a, op));
	return list;
}

static void test_limits(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *out;

	const char *op = "{'op':'add','path':'/a','value':1}";
	assert_int_equal(json_patch_apply(&a, tree(&a, "{}"), many(&a, JSON_PATCH_OPS_MAX, op), &out, &err), 0);
	assert_int_equal(json_patch_apply(&a, tree(&a, "{}"), many(&a, JSON_PATCH_OPS_MAX + 1, op), &out, &err), -1);
	assert_int_equal(err.code, 413);
	/* Each copy doubles the depth and the size: refused before either hurts. */
	op = "{'op':'copy','from':'','path':'/a'}";
	assert_int_equal(json_patch_apply(&a, tree(&a, "{'b':[1,2,3]}"), many(&a, 5000, op), &out, &err), -1);
	assert_int_equal(err.code, 422);
	/* Few nodes, but a long one. */
	char *text = xmalloc(1 << 20);
	memset(text, 'x', (1 << 20) - 1);
	text[(1 << 20) - 1] = 0;
	struct json *doc = tree(&a, "{'c':[]}");
	json_set_str(&a, doc, "a", text);
	free(text);
	op = "{'op':'copy','from':'/a','path':'/c/-'}";
	assert_int_equal(json_patch_apply(&a, json_clone(&a, doc), many(&a, 2, op), &out, &err), 0);
	assert_int_equal(json_patch_apply(&a, doc, many(&a, 3, op), &out, &err), -1);
	assert_int_equal(err.code, 422);
	op = "{'op':'copy','from':'/a','path':'/a/-'}";
	assert_int_equal(json_patch_apply(&a, tree(&a, "{'a':[1]}"), many(&a, 100, op), &out, &err), -1);
	assert_int_equal(err.code, 422);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_limits)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
