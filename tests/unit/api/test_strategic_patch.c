/* SPDX-License-Identifier: Apache-2.0 */
#include "api/resource.h"
#include "api/strategic_patch.h"
#include "api/type.h"
#include "testing.h"

static const struct {
	const char *name, *doc, *patch, *want; /* want NULL: refused */
} cases[] = {
    {"containers merge by name", "{'spec':{'containers':[{'name':'a','image':'a:1'},{'name':'b','image':'b:1'}]}}",
     "{'spec':{'containers':[{'name':'b','image':'b:2'},{'name':'c','image':'c:1'}]}}",
     "{'spec':{'containers':[{'name':'a','image':'a:1'},{'name':'b','image':'b:2'},{'name':'c','image':'c:1'}]}}"},
    {"an item is deleted", "{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'name':'a','$patch':'delete'}]}}", "{'spec':{'containers':[{'name':'b'}]}}"},
    {"a list is replaced", "{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'name':'c'},{'$patch':'replace'}]}}", "{'spec':{'containers':[{'name':'c'}]}}"},
    {"atomic lists are replaced", "{'spec':{'tolerations':[{'key':'a'}]}}", "{'spec':{'tolerations':[{'key':'b'}]}}",
     "{'spec':{'tolerations':[{'key':'b'}]}}"},
    {"null removes", "{'metadata':{'labels':{'a':'1','b':'2'}}}", "{'metadata':{'labels':{'a':null}}}",
     "{'metadata':{'labels':{'b':'2'}}}"},
    {"maps merge", "{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{'labels':{'b':'2'}}}",
     "{'metadata':{'labels':{'a':'1','b':'2'}}}"},
    {"a map is replaced", "{'spec':{'nodeSelector':{'a':'1'}}}",
     "{'spec':{'nodeSelector':{'$patch':'replace','b':'2'}}}", "{'spec':{'nodeSelector':{'b':'2'}}}"},
    {"a map is deleted", "{'spec':{'nodeSelector':{'a':'1'}}}", "{'spec':{'nodeSelector':{'$patch':'delete'}}}",
     "{'spec':{'nodeSelector':{}}}"},
    {"primitives merge", "{'metadata':{'finalizers':['a/b','c/d']}}", "{'metadata':{'finalizers':['c/d','e/f']}}",
     "{'metadata':{'finalizers':['a/b','c/d','e/f']}}"},
    {"primitives are deleted", "{'metadata':{'finalizers':['a/b','c/d']}}",
     "{'metadata':{'$deleteFromPrimitiveList/finalizers':['a/b']}}", "{'metadata':{'finalizers':['c/d']}}"},
    {"element order", "{'spec':{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'c'},{'name':'a'}],'containers':[{'name':'c','image':'x'}]}}",
     "{'spec':{'containers':[{'name':'b'},{'name':'c','image':'x'},{'name':'a'}]}}"},
    {"element order of primitives", "{'metadata':{'finalizers':['a/a','b/b','c/c']}}",
     "{'metadata':{'$setElementOrder/finalizers':['c/c','a/a']}}", "{'metadata':{'finalizers':['b/b','c/c','a/a']}}"},
    {"retainKeys", "{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}",
     "{'spec':{'volumes':[{'name':'v','$retainKeys':['name','hostPath'],'hostPath':{'path':'/x'}}]}}",
     "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/x'}}]}}"},
    {"retainKeys lacks a key", "{'spec':{'volumes':[{'name':'v'}]}}",
     "{'spec':{'volumes':[{'name':'v','$retainKeys':['name'],'hostPath':{'path':'/x'}}]}}", NULL},
    {"directives in new values are dropped", "{'spec':{}}",
     "{'spec':{'containers':[{'name':'a','image':null},{'name':'b','$patch':'delete'}]}}",
     "{'spec':{'containers':[{'name':'a'}]}}"},
    {"conditions merge by type", "{'status':{'conditions':[{'type':'Ready','status':'False'}]}}",
     "{'status':{'conditions':[{'type':'Ready','status':'True'},{'type':'X','status':'True'}]}}",
     "{'status':{'conditions':[{'type':'Ready','status':'True'},{'type':'X','status':'True'}]}}"},
    {"new items come first, in the patch's order", "{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'name':'c'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'name':'c'},{'name':'a'},{'name':'b'}]}}"},
    {"nothing to apply a directive to", "{'spec':{}}", "{'spec':{'nodeSelector':{'$patch':'replace','a':'b'}}}",
     "{'spec':{}}"},
    {"order of the list and the directive differ", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'a'},{'name':'b'}],'containers':[{'name':'b'},{'name':'a'}]}}",
     NULL},
    {"merging cannot be asked for", "{'spec':{'nodeSelector':{'a':'1'}}}",
     "{'spec':{'nodeSelector':{'$patch':'merge','b':'2'}}}", NULL},
    {"no merge key", "{'spec':{'containers':[{'name':'a'}]}}", "{'spec':{'containers':[{'image':'x'}]}}", NULL},
    {"unknown directive", "{'spec':{'nodeSelector':{'a':'1'}}}", "{'spec':{'nodeSelector':{'$patch':'spam'}}}", NULL},
    {"not a list", "{'metadata':{'finalizers':['a/b']}}", "{'metadata':{'$deleteFromPrimitiveList/finalizers':'a/b'}}",
     NULL},
};

static void test_cases(void **state)
{
	(void)state;
	const struct type *pod = resource_find("", "v1", "pods")->type;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		struct json *out;
		int r = strategic_patch_apply(&a, pod, tree(&a, cases[i].doc), tree(&a, cases[i].patch), &out, &err);
		if ((r == 0) != (cases[i].want != NULL))
			fail_msg("%s: %d %s", cases[i].name, r, err.message ? err.message : "");
		if (cases[i].want)
			expect_text(&a, out, cases[i].want);
		else
			assert_in_range(err.code, 400, 422);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
