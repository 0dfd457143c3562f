/* SPDX-License-Identifier: Apache-2.0 */
#include "api/object.h"
#include "api/meta.h"
#include "api/resource.h"
#include "base/bytes.h"
#include "testing.h"

static const char pod[] =
    "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'web-1','namespace':'default','uid':'u1',"
    "'labels':{'z':'1','a':'2','m':''},'ownerReferences':[{'uid':'o1'},{'uid':'o2','controller':true}],"
    "'deletionTimestamp':'2020-01-01T00:00:00Z'},'spec':{'nodeName':'n1'}}";

static void test_index(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *t = tree(&a, pod);
	_cleanup_object_ struct object *o =
	    object_from_tree(resource_find("", "v1", "pods"), "/registry/pods/default/web-1", 42, t);

	assert_non_null(o);
	assert_string_equal(o->name, "web-1");
	assert_string_equal(o->ns, "default");
	assert_string_equal(o->uid, "u1");
	assert_string_equal(o->key, "/registry/pods/default/web-1");
	assert_true(o->rev == 42 && o->deleting);
	assert_string_equal(object_label(o, "a"), "2");
	assert_string_equal(object_label(o, "m"), "");
	assert_string_equal(object_label(o, "z"), "1");
	assert_null(object_label(o, "b"));
	assert_int_equal(o->n_owners, 2);
	assert_string_equal(o->controller, "o2");
	assert_string_equal(object_field(o, "metadata.name"), "web-1");
	assert_string_equal(object_field(o, "spec.nodeName"), "n1");
	assert_string_equal(object_field(o, "status.phase"), "");
	assert_string_equal(object_field(o, "spec.hostNetwork"), "false");
	assert_null(object_field(o, "spec.hostname"));
	/* The bytes carry the revision; the lent tree is as it was. */
	assert_string_equal(json_path_str(object_tree(o, &a), "metadata.resourceVersion"), "42");
	expect_text(&a, t, pod);
	/* Replacing an older revision. */
	struct json *again = object_tree(o, &a);
	_cleanup_object_ struct object *next = object_from_tree(o->resource, o->key, 43, again);
	assert_string_equal(json_path_str(object_tree(next, &a), "metadata.resourceVersion"), "43");
	assert_string_equal(json_path_str(again, "metadata.resourceVersion"), "42");
	assert_int_equal(meta_rev(object_tree(next, &a)), 43);
	/* The same from bytes. */
	_cleanup_object_ struct object *copy = object_new(o->resource, o->key, 42, o->json);
	assert_string_equal(copy->controller, "o2");
	assert_ptr_equal(copy->json, o->json);
	object_unref(object_ref(copy));
}

static void test_odd(void **state)
{
	static const char *const refused[] = {
	    "", "[]", "1", "{}", "{\"metadata\":1}", "{\"metadata\":{}", "{\"metadata\":[]}"};
	static const char *const odd[] = {"{\"metadata\":{}}",
					  "{\"metadata\":{\"name\":1,\"labels\":[1],\"ownerReferences\":{}}}",
					  "{\"metadata\":{\"labels\":{\"a\":1},\"ownerReferences\":[1,{}]}}"};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		_cleanup_bytes_ struct bytes *b = bytes_new(refused[i], strlen(refused[i]));
		assert_null(object_new(NULL, NULL, 1, b));
	}
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		_cleanup_bytes_ struct bytes *b = bytes_new(odd[i], strlen(odd[i]));
		_cleanup_object_ struct object *o = object_new(NULL, NULL, 1, b);
		assert_non_null(o);
		assert_string_equal(o->name, "");
		assert_string_equal(o->key, "");
		assert_null(o->controller);
	}
	object_unref(NULL);
}

static void test_zero_values(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_object_ struct object *rs =
	    object_from_tree(resource_find("apps", "v1", "replicasets"), NULL, 1, tree(&a, "{'metadata':{}}"));
	assert_string_equal(object_field(rs, "status.replicas"), "0");
	_cleanup_object_ struct object *node = object_from_tree(
	    resource_find("", "v1", "nodes"), NULL, 1, tree(&a, "{'metadata':{},'spec':{'unschedulable':true}}"));
	assert_string_equal(object_field(node, "spec.unschedulable"), "true");
	_cleanup_object_ struct object *event = object_from_tree(
	    resource_find("", "v1", "events"), NULL, 1,
	    tree(&a, "{'metadata':{},'involvedObject':{'name':'web'},'source':{'component':'kubelet'}}"));
	assert_string_equal(object_field(event, "involvedObject.name"), "web");
	assert_string_equal(object_field(event, "source"), "kubelet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_index), cmocka_unit_test(test_odd),
					   cmocka_unit_test(test_zero_values)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
