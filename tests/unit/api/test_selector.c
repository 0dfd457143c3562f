/* SPDX-License-Identifier: Apache-2.0 */
#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "testing.h"

static const struct {
	const char *selector, *labels;
	int want; /* 1 match, 0 no match, -1 malformed */
} label_cases[] = {
    {"", "{'a':'b'}", 1},
    {"a=b", "{'a':'b'}", 1},
    {"a==b", "{'a':'b'}", 1},
    {" a = b ", "{'a':'b'}", 1},
    {"a=b", "{'a':'c'}", 0},
    {"a=b", "{}", 0},
    {"a!=b", "{}", 1},
    {"a!=b", "{'a':'b'}", 0},
    {"a", "{'a':''}", 1},
    {"!a", "{'a':''}", 0},
    {"!a", "{'b':''}", 1},
    {"a=", "{'a':''}", 1},
    {"a in (b, c)", "{'a':'c'}", 1},
    {"a in (b,c)", "{'a':'d'}", 0},
    {"a notin (b,c)", "{'a':'d'}", 1},
    {"a notin (b,c)", "{}", 1},
    {"a notin (b,c)", "{'a':'b'}", 0},
    {"a in (b,)", "{'a':''}", 1},
    {"a>3", "{'a':'4'}", 1},
    {"a>3", "{'a':'3'}", 0},
    {"a<3", "{'a':'-2'}", 1},
    {"a<3", "{'a':'x'}", 0},
    {"a=b,c!=d,e", "{'a':'b','e':'1'}", 1},
    {"example.com/role=x", "{'example.com/role':'x'}", 1},
    {"in=in", "{'in':'in'}", 1},
    {"in in (in)", "{'in':'in'}", 1},
    {"a=b,", NULL, -1},
    {",", NULL, -1},
    {"a b", NULL, -1},
    {"a in b", NULL, -1},
    {"a in (b", NULL, -1},
    {"a in ()", NULL, -1},
    {"a>x", NULL, -1},
    {"-a", NULL, -1},
    {"a=b c", NULL, -1},
    {"a=-b", NULL, -1},
    {"a=b=c", NULL, -1},
    {"!a=b", NULL, -1},
    {"a!b", NULL, -1},
    {"(", NULL, -1},
};

static void test_labels(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(label_cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		struct label_selector *s;
		int r = label_selector_parse(&a, label_cases[i].selector, &s, &err);
		if ((r < 0) != (label_cases[i].want < 0))
			fail_msg("%s: %d %s", label_cases[i].selector, r, err.message ? err.message : "");
		if (r < 0) {
			assert_int_equal(err.code, 400);
			continue;
		}
		if (label_selector_match_json(s, tree(&a, label_cases[i].labels)) != label_cases[i].want)
			fail_msg("%s on %s", label_cases[i].selector, label_cases[i].labels);
		/* What is written reads back to the same. */
		_cleanup_buf_ struct buf b = BUF_INIT;
		struct label_selector *again;
		label_selector_format(s, &b);
		assert_int_equal(label_selector_parse(&a, buf_str(&b), &again, &err), 0);
		assert_int_equal(label_selector_match_json(again, tree(&a, label_cases[i].labels)),
				 label_cases[i].want);
	}
}

static void test_from_json(void **state)
{
	static const struct {
		const char *selector, *labels;
		int want;
	} cases[] = {
	    {"{}", "{'a':'b'}", 1},
	    {"null", "{'a':'b'}", 0},
	    {"{'matchLabels':{'a':'b'}}", "{'a':'b'}", 1},
	    {"{'matchLabels':{'a':'b'}}", "{'a':'c'}", 0},
	    {"{'matchExpressions':[{'key':'a','operator':'In','values':['x','b']}]}", "{'a':'b'}", 1},
	    {"{'matchExpressions':[{'key':'a','operator':'DoesNotExist'}]}", "{'a':'b'}", 0},
	    {"{'matchExpressions':[{'key':'a','operator':'Exists'}]}", "{'a':'b'}", 1},
	    {"{'matchLabels':{'a':'b'},'matchExpressions':[{'key':'c','operator':'NotIn','values':['d']}]}",
	     "{'a':'b'}", 1},
	    {"{'matchExpressions':[{'key':'a','operator':'Like','values':['x']}]}", NULL, -1},
	    {"{'matchExpressions':[{'key':'a','operator':'In','values':[]}]}", NULL, -1},
	    {"{'matchExpressions':[{'key':'a','operator':'Exists','values':['x']}]}", NULL, -1},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		struct label_selector *s;
		int r = label_selector_from_json(&a, tree(&a, cases[i].selector), &s, &err);
		if (cases[i].want < 0)
			assert_int_equal(r, -1);
		else if (r < 0 || label_selector_match_json(s, tree(&a, cases[i].labels)) != cases[i].want)
			fail_msg("%s", cases[i].selector);
	}
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct label_selector *s;
	label_selector_from_map(&a, tree(&a, "{}"), &s);
	assert_false(
	    label_selector_match_json(s, tree(&a, "{'a':'b'}"))); /* an empty Service selector selects nothing */
	label_selector_from_map(&a, tree(&a, "{'a':'b'}"), &s);
	assert_true(label_selector_match_json(s, tree(&a, "{'a':'b','c':'d'}")));
}

static void test_fields(void **state)
{
	static const struct {
		const char *selector;
		int want;
	} cases[] = {
	    {"", 1},
	    {"metadata.name=web", 1},
	    {"metadata.name==web,metadata.namespace=default", 1},
	    {"metadata.name!=web", 0},
	    {"spec.nodeName=n1", 1},
	    {"spec.nodeName=", 0},
	    {"status.phase=", 1},
	    {"spec.nodeName!=n2", 1},
	    {"spec.hostNetwork=false", 1},
	    {"spec.restartPolicy=Al\\,ways", 0},
	    {"spec.hostname=x", -1},
	    {"spam", -1},
	    {"metadata.name=a=b", -1},
	    {"metadata.name=a\\b", -1},
	};
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct resource *pods = resource_find("", "v1", "pods");
	_cleanup_object_ struct object *o = object_from_tree(
	    pods, NULL, 7, tree(&a, "{'metadata':{'name':'web','namespace':'default'},'spec':{'nodeName':'n1'}}"));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_status_ struct status err = STATUS_INIT;
		struct field_selector *s;
		int r = field_selector_parse(&a, cases[i].selector, &s, &err);
		if (r == 0)
			r = field_selector_check(s, pods, &err);
		if ((r < 0) != (cases[i].want < 0) || (r == 0 && field_selector_match(s, o) != cases[i].want))
			fail_msg("%s: %d %s", cases[i].selector, r, err.message ? err.message : "");
	}
	_cleanup_status_ struct status err = STATUS_INIT;
	struct field_selector *s;
	assert_int_equal(field_selector_parse(&a, "a=x\\,y\\=z\\\\", &s, &err), 0);
	assert_string_equal(field_selector_required(s, "a"), "x,y=z\\");
	assert_null(field_selector_required(s, "b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_labels), cmocka_unit_test(test_from_json),
					   cmocka_unit_test(test_fields)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
