/* SPDX-License-Identifier: Apache-2.0 */
#include "api/yaml.h"
#include "base/buf.h"
#include "testing.h"

static const struct {
	const char *yaml, *want; /* want NULL: malformed */
} cases[] = {
    {"a: b\n", "{'a':'b'}"},
    {"", "null"},
    {"---\n", "null"},
    {"{'a': [1, \"2\"]}", "{'a':[1,'2']}"},
    {"{\"json\": {\"is\": [\"yaml\"]}}", "{'json':{'is':['yaml']}}"},
    /* booleans and nulls of YAML 1.1 */
    {"[yes, No, on, OFF, y, n, true, False, TRUE]", "[true,false,true,false,true,false,true,false,true]"},
    {"['yes', \"no\", yEs, tRue, Nope]", "['yes','no','yEs','tRue','Nope']"},
    {"[~, null, Null, NULL, nULL, '']", "[null,null,null,null,'nULL','']"},
    {"a:\nb: ~\n", "{'a':null,'b':null}"},
    /* numbers */
    {"[0, -1, +1, 010, 0o10, 0x1F, 0b101, 1_000, -0x10]", "[0,-1,1,8,8,31,5,1000,-16]"},
    {"[08, 1.0, 1.50, 1e3, .5, 5., -1.5e-3, 6.02e23]", "[8,1,1.5,1000,0.5,5,-0.0015,6.02e+23]"},
    {"[9223372036854775807, 18446744073709551615, 1.2.3, 1-2, 0x, '1', 12:30:45, 2001-12-14, -]",
     "[9223372036854775807,18446744073709551615,'1.2.3','1-2','0x','1','12:30:45','2001-12-14','-']"},
    {"a: .nan", NULL},
    {"a: .inf", NULL},
    {"a: 1e400", "{'a':'1e400'}"},
    /* tags */
    {"[!!str 1, !!str true, !!int 3, !!float 3, ! 4]", "['1','true',3,3,'4']"},
    {"!!int x", NULL},
    {"!!binary aGVsbG8=", "'hello'"},
    {"!!binary '%'", NULL},
    /* keys */
    {"1: a\ntrue: b\n1.5: c\n", "{'1':'a','true':'b','1.5':'c'}"},
    {"[a]: b\n", NULL},
    /* text */
    {"a: |\n  x\n   y\nb: >-\n  p\n  q\n", "{'a':'x\\n y\\n','b':'p q'}"},
    {"a: \"\\u00e9\\x41\\n\"", "{'a':'\u00e9A\\n'}"},
    /* anchors and merge keys */
    {"a: &x {p: 1}\nb: *x\n", "{'a':{'p':1},'b':{'p':1}}"},
    {"base: &b {x: 1, z: 2}\nc: {<<: *b, z: 3}\n", "{'base':{'x':1,'z':2},'c':{'z':3,'x':1}}"},
    {"c: {z: 3, <<: [{x: 1}, {x: 2, z: 4}]}\n", "{'c':{'z':3,'x':1}}"},
    {"a: &x [*x]\n", NULL},
    {"a: *nowhere\n", NULL},
    {"<<: 3\n", NULL},
    /* malformed */
    {"a: b: c\n", NULL},
    {"[1, 2\n", NULL},
    {"\"unclosed", NULL},
    {"a: 1\n b: 2\n", NULL},
    {"a: b\n---\nc: d\n", NULL}, /* two documents where one is wanted */
    {"\x80", NULL},
};

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct yaml_error err;
		struct json *v;
		int r = yaml_parse(&a, cases[i].yaml, strlen(cases[i].yaml), NULL, NULL, &v, &err);
		if ((r == 0) != (cases[i].want != NULL))
			fail_msg("%s: %d %s", cases[i].yaml, r, r ? err.message : json_to_string(&a, v));
		if (r == 0)
			expect_tree(&a, v, cases[i].want);
		else
			assert_true(err.line > 0 && err.message[0]);
	}
}

static void collect(void *arg, const char *path)
{
	buf_addf(arg, "%s;", path);
}

static void test_duplicates(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf seen = BUF_INIT;
	struct json *v;
	const char *text = "a: 1\nb:\n  c: [{d: 1, d: 2}]\n  e: 1\n  e: 3\na: 4\n";

	assert_int_equal(yaml_parse(&a, text, strlen(text), collect, &seen, &v, NULL), 0);
	expect_tree(&a, v, "{'a':4,'b':{'c':[{'d':2}],'e':3}}");
	assert_string_equal(buf_str(&seen), "b.c[0].d;b.e;a;");
}

static void test_documents(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *v;
	const char *text = "a: 1\n---\n# nothing\n---\nb: 2\n...\n---\n- 3\n";

	assert_int_equal(yaml_parse_all(&a, text, strlen(text), &v, NULL), 0);
	expect_tree(&a, v, "[{'a':1},{'b':2},[3]]");
}

static void test_limits(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct yaml_error err;
	struct json *v;
	/* billion laughs */
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_adds(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 12; i++) {
		buf_addf(&b, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_addf(&b, "%s*a%d", k ? "," : "", i - 1);
		buf_adds(&b, "]\n");
	}
	assert_true(yaml_parse(&a, buf_str(&b), b.len, NULL, NULL, &v, &err) < 0);
	expect_contains(err.message, "aliasing");
	/* few nodes, but long ones */
	buf_clear(&b);
	buf_adds(&b, "a: &a ");
	for (int i = 0; i < 100000; i++)
		buf_addc(&b, 'x');
	buf_adds(&b, "\nb:\n");
	for (int i = 0; i < 1000; i++)
		buf_adds(&b, "- *a\n");
	assert_true(yaml_parse(&a, buf_str(&b), b.len, NULL, NULL, &v, &err) < 0);
	expect_contains(err.message, "aliasing");
	/* nesting */
	buf_clear(&b);
	for (int i = 0; i < 100000; i++)
		buf_addc(&b, '[');
	assert_true(yaml_parse(&a, buf_str(&b), b.len, NULL, NULL, &v, &err) < 0);
	expect_contains(err.message, "depth");
	/* depth by aliases */
	buf_clear(&b);
	buf_adds(&b, "a0: &a0 [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]\n");
	for (int i = 1; i < 12; i++)
		buf_addf(&b, "a%d: &a%d [[[[[[[[[[[[[[[[*a%d]]]]]]]]]]]]]]]]\n", i, i, i - 1);
	assert_true(yaml_parse(&a, buf_str(&b), b.len, NULL, NULL, &v, &err) < 0);
}

static void test_write(void **state)
{
	static const struct {
		const char *json, *yaml;
	} written[] = {
	    {"{'b':1,'a':'x'}", "a: x\nb: 1\n"},
	    {"{'a':{'c':[],'d':{}},'e':[1,{'x':1,'y':2},[3]]}",
	     "a:\n  c: []\n  d: {}\ne:\n- 1\n- x: 1\n  \"y\": 2\n- - 3\n"},
	    {"['true','1','','~','1.5','0x1','a: b','# x','-','*a','it','x:','@a','2001-01-01']",
	     "- \"true\"\n- \"1\"\n- \"\"\n- \"~\"\n- \"1.5\"\n- \"0x1\"\n- 'a: b'\n- '# x'\n- '-'\n- '*a'\n- it\n- "
	     "'x:'\n- "
	     "'@a'\n- '2001-01-01'\n"},
	    {"{'a':'x\\ny\\n','b':'x\\ny','c':'\\u0001'}", "a: |\n  x\n  y\nb: |-\n  x\n  y\nc: \"\\x01\"\n"},
	    {"null", "null\n"},
	    {"'plain'", "plain\n"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(written); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;
		struct json *again;
		struct yaml_error err = {0};
		yaml_write(&b, tree(&a, written[i].json));
		assert_string_equal(buf_str(&b), written[i].yaml);
		if (yaml_parse(&a, buf_str(&b), b.len, NULL, NULL, &again, &err) < 0)
			fail_msg("%s: %s", buf_str(&b), err.message);
		expect_tree(&a, again, written[i].json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_duplicates),
					   cmocka_unit_test(test_documents), cmocka_unit_test(test_limits),
					   cmocka_unit_test(test_write)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
