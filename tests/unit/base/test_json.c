/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_index.h"

static int parse(struct arena *a, const char *text, size_t len, struct json **ret)
{
	struct json_error err;
	return json_parse(a, text, len, ret, &err);
}

/* RFC 8259, and where it leaves a choice, what Go's decoder does. want NULL: refused. */
static const struct {
	const char *text, *want;
	size_t len; /* 0: strlen */
} cases[] = {
    {"null", "null", 0},
    {" [ true , false ] \n", "[true,false]", 0},
    {"{\"a\":{\"b\":[]},\"c\":{}}", "{\"a\":{\"b\":[]},\"c\":{}}", 0},
    {"\"\\u0041\\n\\/\\\"\\\\\\b\\f\\r\\t\"", "\"A\\n/\\\"\\\\\\u0008\\u000c\\r\\t\"", 0},
    {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"", 0},
    {"\"\\ud83d\"", "\"\xef\xbf\xbd\"", 0},
    {"\"\\ude00\\ud83d\"", "\"\xef\xbf\xbd\xef\xbf\xbd\"", 0},
    {"\"\\ud83dx\"", "\"\xef\xbf\xbdx\"", 0},
    {"\"\\ud83d\\u0041\"",
     "\"\xef\xbf\xbd"
     "A\"",
     0},
    {"\"\\u0000\"", "\"\\u0000\"", 0},
    {"\"\x7f\"", "\"\x7f\"", 0},
    {"123456789012345678901234567890", "123456789012345678901234567890", 0},
    {"[-0,0,1.0,1e5,1E+5,1.5e-5,-1]", "[-0,0,1.0,1e5,1E+5,1.5e-5,-1]", 0},
    {"9007199254740993", "9007199254740993", 0},
    {"{\"\":1}", "{\"\":1}", 0},
    {"{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}", 0},
    {"", NULL, 0},
    {" ", NULL, 0},
    {"[1,]", NULL, 0},
    {"[,1]", NULL, 0},
    {"[1 2]", NULL, 0},
    {"{\"a\":1,}", NULL, 0},
    {"{\"a\"}", NULL, 0},
    {"{a:1}", NULL, 0},
    {"{'a':1}", NULL, 0},
    {"{1:1}", NULL, 0},
    {"[", NULL, 0},
    {"]", NULL, 0},
    {"{\"a\":", NULL, 0},
    {"\"a", NULL, 0},
    {"\"a\\", NULL, 0},
    {"\"\\u12\"", NULL, 0},
    {"\"\\u12g4\"", NULL, 0},
    {"\"\\x41\"", NULL, 0},
    {"\"a\nb\"", NULL, 0},
    {"\"\t\"", NULL, 0},
    {"tru", NULL, 0},
    {"True", NULL, 0},
    {"nul", NULL, 0},
    {"NaN", NULL, 0},
    {"01", NULL, 0},
    {"+1", NULL, 0},
    {"-", NULL, 0},
    {"-01", NULL, 0},
    {"1.", NULL, 0},
    {".5", NULL, 0},
    {"1e", NULL, 0},
    {"1e+", NULL, 0},
    {"0x10", NULL, 0},
    {"1 2", NULL, 0},
    {"[1]x", NULL, 0},
    {"[1]/* c */", NULL, 0},
    {"\xef\xbb\xbf[]", NULL, 0},
    {"\"\x80\"", NULL, 0},
    {"\"\xc0\x80\"", NULL, 0},
    {"\"\xed\xa0\x80\"", NULL, 0},
    {"\"\xf4\x90\x80\x80\"", NULL, 0},
    {"\"\xe2\x82\"", NULL, 0},
    {"{\"\xff\":1}", NULL, 0},
    {"1\0", NULL, 2},
    {"[1\0]", NULL, 4},
    {"\"a\0b\"", NULL, 5},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);
		/* without a NUL behind it, so that a read past the end is seen */
		char *exact = memcpy(test_malloc(len ? len : 1), cases[i].text, len);
		struct json *v = NULL;
		int r = parse(&a, exact, len, &v);
		test_free(exact);
		if ((r == 0) != (cases[i].want != NULL))
			fail_msg("%s: %d", cases[i].text, r);
		if (r == 0)
			assert_string_equal(json_to_string(&a, v), cases[i].want);
	}
}

static void test_depth(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	static char text[200000];
	struct json *v;

	memset(text, '[', sizeof(text));
	assert_true(parse(&a, text, sizeof(text), &v) < 0);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(parse(&a, text, (size_t)2 * JSON_DEPTH_MAX, &v), 0);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_true(parse(&a, text, (size_t)2 * JSON_DEPTH_MAX + 2, &v) < 0);
}

static void collect(void *arg, const char *path)
{
	buf_addf(arg, "%s;", path);
}

static void test_duplicates(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf seen = BUF_INIT, text = BUF_INIT;
	struct json *v;
	const char *small = "{\"a\":{\"b\":[1,{\"c\":1,\"c\":2}]},\"d\":1,\"d\":2,\"d\":3}";

	assert_int_equal(json_parse_report(&a, small, strlen(small), collect, &seen, &v, NULL), 0);
	assert_string_equal(buf_str(&seen), "a.b[1].c;d;d;");
	assert_string_equal(json_to_string(&a, v), "{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":3}");
	/* Many: found by hash, and taken out in linear time however they are arranged. */
	const int n = 100000;
	buf_addc(&text, '{');
	for (int i = 0; i < n; i++)
		buf_addf(&text, "\"k%d\":1,", i);
	for (int i = n - 1; i >= 1; i--)
		buf_addf(&text, "\"k%d\":2,", i);
	buf_adds(&text, "\"end\":0}");
	assert_int_equal(json_parse(&a, buf_str(&text), text.len, &v, NULL), 0);
	assert_int_equal(json_len(v), n + 1);
	assert_string_equal(json_first(v)->key, "k0");
	assert_int_equal(json_path_int(v, "k7", 0), 2);
	uint32_t counted = 0;
	JSON_EACH(m, v)
		counted++;
	assert_int_equal(counted, n + 1);
	assert_string_equal(v->last->key, "end");
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -7: not an integer */
	} numbers[] = {{"3", 3},
		       {"3.0", 3},
		       {"3e2", 300},
		       {"3.5", -7},
		       {"9223372036854775807", INT64_MAX},
		       {"-9223372036854775808", INT64_MIN},
		       {"9223372036854775808", -7},
		       {"1e400", -7},
		       {"1e-400", 0},
		       {"-0", 0},
		       {"\"3\"", -7},
		       {"true", -7}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct json *v;
		assert_int_equal(parse(&a, numbers[i].text, strlen(numbers[i].text), &v), 0);
		if (json_int(v, -7) != numbers[i].want)
			fail_msg("%s: %lld", numbers[i].text, (long long)json_int(v, -7));
	}
}

static void test_edit(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *o = json_new(&a, JSON_OBJECT), *list;

	json_set_str(&a, o, "a", "1");
	json_set_int(&a, o, "b", 2);
	json_set_bool(&a, o, "c", true);
	json_set_int(&a, o, "b", 3);
	assert_string_equal(json_to_string(&a, o), "{\"a\":\"1\",\"b\":3,\"c\":true}");
	assert_true(json_remove(o, "a") && json_remove(o, "c") && !json_remove(o, "z"));
	json_set_int(&a, o, "b", 4); /* the only one */
	assert_true(json_remove(o, "b"));
	assert_string_equal(json_to_string(&a, o), "{}");
	list = json_array_in(&a, o, "list");
	json_insert(list, 0, json_new_int(&a, 2));
	json_insert(list, 0, json_new_int(&a, 1));
	json_insert(list, 9, json_new_int(&a, 4));
	json_insert(list, 2, json_new_int(&a, 3));
	json_set_path(&a, o, "x.y.z", json_new_str(&a, NULL));
	assert_string_equal(json_to_string(&a, o), "{\"list\":[1,2,3,4],\"x\":{\"y\":{\"z\":null}}}");
	struct json *copy = json_clone(&a, o);
	json_replace(json_at(list, 1), json_new_str(&a, "two"));
	json_remove_child(list, json_at(list, 3));
	json_append(list, json_new_bool(&a, false));
	assert_string_equal(json_to_string(&a, list), "[1,\"two\",3,false]");
	assert_string_equal(json_to_string(&a, copy), "{\"list\":[1,2,3,4],\"x\":{\"y\":{\"z\":null}}}");
	assert_null(json_path(o, "x.q.z"));
	assert_null(json_get(NULL, "a"));
	assert_int_equal(json_path_int(list, "a.b", 5), 5);
}

static void test_equal(void **state)
{
	static const struct {
		const char *x, *y;
		bool want;
	} pairs[] = {{"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1.0}", true},
		     {"[1,2]", "[2,1]", false},
		     {"1e2", "100", true},
		     {"9007199254740993", "9007199254740992", false},
		     {"null", "false", false},
		     {"\"a\"", "\"a\"", true},
		     {"\"a\\u0000b\"", "\"a\\u0000c\"", false},
		     {"{\"a\":1}", "{\"b\":1}", false},
		     {"{\"a\":null}", "{}", false}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct json *x, *y;
		assert_int_equal(parse(&a, pairs[i].x, strlen(pairs[i].x), &x), 0);
		assert_int_equal(parse(&a, pairs[i].y, strlen(pairs[i].y), &y), 0);
		if (json_equal(x, y) != pairs[i].want)
			fail_msg("%s and %s", pairs[i].x, pairs[i].y);
	}
}

/* An object of n members "k0".., from the first or from the last. */
static struct json *wide(struct arena *a, int n, bool backwards)
{
	struct json *o = json_new(a, JSON_OBJECT);
	for (int i = 0; i < n; i++) {
		char key[16];
		int len = snprintf(key, sizeof(key), "k%d", backwards ? n - 1 - i : i);
		json_add(a, o, key, (size_t)len, json_new_int(a, backwards ? n - 1 - i : i));
	}
	return o;
}

/* Clients choose sizes: what is compared by looking at every member for each would take most of a minute. */
static void test_many_members(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *x = wide(&a, 100000, false), *y = wide(&a, 100000, true);
	clock_t begin = clock();
	assert_true(json_equal(x, y));
	json_set_int(&a, y, "k50000", 1);
	assert_false(json_equal(x, y));
	assert_true(clock() - begin < CLOCKS_PER_SEC);

	_cleanup_json_index_ struct json_index none = json_index_of(NULL), all = json_index_of(x);
	assert_null(json_index_get(&none, "k0", 2));
	assert_ptr_equal(json_index_get(&all, "k99999", 6), json_at(x, 99999));
	assert_null(json_index_get(&all, "k", 1));
}

static void test_drop_marked(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *x = wide(&a, 5, false);
	json_at(x, 0)->key = json_at(x, 2)->key = json_at(x, 4)->key = NULL;
	json_drop_marked(x);
	assert_string_equal(json_to_string(&a, x), "{\"k1\":1,\"k3\":3}");
	json_at(x, 0)->key = json_at(x, 1)->key = NULL;
	json_drop_marked(x);
	assert_string_equal(json_to_string(&a, x), "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases),	cmocka_unit_test(test_depth),
					   cmocka_unit_test(test_duplicates),	cmocka_unit_test(test_numbers),
					   cmocka_unit_test(test_edit),		cmocka_unit_test(test_equal),
					   cmocka_unit_test(test_many_members), cmocka_unit_test(test_drop_marked)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
