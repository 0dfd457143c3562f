/* SPDX-License-Identifier: Apache-2.0 */
#include "api/apply.h"
#include "api/decode.h"
#include "api/fieldset.h"
#include "api/resource.h"
#include "testing.h"

#define T0 1600000000000000000
#define SECOND 1000000000

static struct apply_request request(const char *manager, bool force, int second)
{
	return (struct apply_request){.resource = resource_find("apps", "v1", "deployments"),
				      .manager = manager,
				      .api_version = "apps/v1",
				      .now_ns = T0 + (int64_t)second * SECOND,
				      .force = force};
}

static struct json *must_apply(struct arena *a, const char *manager, bool force, int second, const struct json *live,
			       const char *config)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct apply_request r = request(manager, force, second);
	struct json *out = NULL;

	if (apply_patch(a, &r, live, tree(a, config), &out, &err) < 0 ||
	    decode_object(a, r.resource->type, "Deployment", "v1", out, NULL, &out, &err) < 0)
		fail_msg("%s", err.message);
	return out;
}

static struct json *fields_of(const struct json *obj, const char *manager)
{
	struct json *list = json_path(obj, "metadata.managedFields");
	if (list)
		JSON_EACH(e, list)
			if (str_eq(json_path_str(e, "manager"), manager))
				return json_get(e, "fieldsV1");
	return NULL;
}

#define HEAD "'apiVersion':'apps/v1','kind':'Deployment'"

static void test_create(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *obj =
	    must_apply(&a, "me", false, 0, NULL,
		       "{" HEAD ",'metadata':{'name':'web','labels':{'app':'web'}},'spec':{'replicas':3,'template':{"
		       "'spec':{'containers':[{'name':'c','image':'i','ports':[{'containerPort':80}]}]}}}}");
	expect_tree(
	    &a, json_path(obj, "metadata.managedFields"),
	    "[{'manager':'me','operation':'Apply','apiVersion':'apps/v1','time':'2020-09-13T12:26:40Z','fieldsType':"
	    "'FieldsV1','fieldsV1':{'f:metadata':{'f:labels':{'f:app':{}}},'f:spec':{'f:replicas':{},'f:template':{"
	    "'f:spec':{'f:containers':{'k:{\\\"name\\\":\\\"c\\\"}':{'.':{},'f:name':{},'f:image':{},'f:ports':{"
	    "'k:{\\\"containerPort\\\":80,\\\"protocol\\\":\\\"TCP\\\"}':{'.':{},'f:containerPort':{}}}}}}}}}}]");
	assert_int_equal(json_path_int(obj, "spec.replicas", 0), 3);
	/* Again the same: nothing changes, the time neither. */
	struct json *again =
	    must_apply(&a, "me", false, 60, obj,
		       "{" HEAD ",'metadata':{'name':'web','labels':{'app':'web'}},'spec':{'replicas':3,'template':"
		       "{'spec':{'containers':[{'name':'c','image':'i','ports':[{'containerPort':80}]}]}}}}");
	assert_true(json_equal(obj, again));
}

static void test_removal(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *obj =
	    must_apply(&a, "me", false, 0, NULL,
		       "{" HEAD ",'metadata':{'labels':{'a':'1','b':'2'}},'spec':{'replicas':3,'template':{'spec':{"
		       "'containers':[{'name':'x'},{'name':'y'}]}}}}");
	/* Another applier shares label b and adds to container y. */
	obj = must_apply(
	    &a, "other", false, 1, obj,
	    "{" HEAD
	    ",'metadata':{'labels':{'b':'2'}},'spec':{'template':{'spec':{'containers':[{'name':'y','image':'i'"
	    "}]}}}}");
	obj = must_apply(&a, "me", false, 2, obj, "{" HEAD ",'metadata':{'labels':{'c':'3'}}}");
	expect_tree(&a, json_path(obj, "metadata.labels"), "{'b':'2','c':'3'}");
	expect_tree(&a, json_path(obj, "spec"), "{'template':{'spec':{'containers':[{'name':'y','image':'i'}]}}}");
}

static void test_conflict(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *obj = must_apply(&a, "me", false, 0, NULL, "{" HEAD ",'spec':{'replicas':3,'paused':true}}"), *out;
	struct apply_request r = request("other", false, 1);
	const char *config = "{" HEAD ",'spec':{'replicas':5}}";

	assert_int_equal(apply_patch(&a, &r, obj, tree(&a, config), &out, &err), -1);
	assert_int_equal(err.code, 409);
	assert_string_equal(err.message, "Apply failed with 1 conflict: conflict with \"me\": .spec.replicas");
	assert_int_equal(err.n_causes, 1);
	assert_string_equal(err.causes[0].type, "FieldManagerConflict");
	assert_string_equal(err.causes[0].field, ".spec.replicas");
	assert_string_equal(err.causes[0].message, "conflict with \"me\"");
	/* The same value is shared instead. */
	obj = must_apply(&a, "other", false, 1, obj, "{" HEAD ",'spec':{'replicas':3}}");
	assert_non_null(json_path(fields_of(obj, "me"), "f:spec.f:replicas"));
	assert_non_null(json_path(fields_of(obj, "other"), "f:spec.f:replicas"));
	/* Force takes it. */
	obj = must_apply(&a, "other", true, 2, obj, config);
	assert_int_equal(json_path_int(obj, "spec.replicas", 0), 5);
	expect_tree(&a, fields_of(obj, "me"), "{'f:spec':{'f:paused':{}}}");
}

static void test_update_takes_ownership(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *obj = must_apply(&a, "me", false, 0, NULL, "{" HEAD ",'spec':{'replicas':3,'paused':true}}");
	struct apply_request r = request("kubectl-edit", false, 5);
	struct json *written = tree(&a, "{" HEAD ",'metadata':{'labels':{'x':'y'}},'spec':{'replicas':4}}");

	apply_track_update(&a, &r, obj, written);
	expect_tree(
	    &a, json_path(written, "metadata.managedFields"),
	    "[{'manager':'kubectl-edit','operation':'Update','apiVersion':'apps/v1','time':'2020-09-13T12:26:45Z',"
	    "'fieldsType':'FieldsV1','fieldsV1':{'f:metadata':{'f:labels':{'.':{},'f:x':{}}},'f:spec':{'f:replicas':{}}"
	    "}}]");
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *out;
	r = request("me", false, 6);
	assert_int_equal(apply_patch(&a, &r, written, tree(&a, "{" HEAD ",'spec':{'replicas':3}}"), &out, &err), -1);
	assert_string_equal(err.message, "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: "
					 ".spec.replicas");
	/* A write that changes nothing keeps entries and times; the client need not send them. */
	struct json *same = json_clone(&a, written);
	json_remove(json_get(same, "metadata"), "managedFields");
	r = request("kubectl-edit", false, 60);
	apply_track_update(&a, &r, written, same);
	assert_true(json_equal(written, same));
	/* [{}] resets. */
	json_set(&a, json_get(same, "metadata"), "managedFields", tree(&a, "[{}]"));
	apply_track_update(&a, &r, written, same);
	assert_null(json_path(same, "metadata.managedFields"));
}

static void test_status_is_apart(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *obj = must_apply(&a, "me", false, 0, NULL,
				      "{" HEAD ",'spec':{'replicas':3},'status':{'replicas':9}}"),
		    *out;

	assert_null(json_get(obj, "status"));
	struct apply_request r = request("me", false, 1);
	r.subresource = "status";
	assert_int_equal(
	    apply_patch(&a, &r, obj, tree(&a, "{" HEAD ",'spec':{'replicas':7},'status':{'replicas':2}}"), &out, &err),
	    0);
	assert_int_equal(json_path_int(out, "spec.replicas", 0), 3);
	assert_int_equal(json_path_int(out, "status.replicas", 0), 2);
	assert_int_equal(json_len(json_path(out, "metadata.managedFields")), 2);
}

static void test_order_and_duplicates(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *live = tree(
			&a, "{'spec':{'template':{'spec':{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}}}}"),
		    *out;

	out = must_apply(
	    &a, "me", false, 0, live,
	    "{'spec':{'template':{'spec':{'containers':[{'name':'c'},{'name':'new'},{'name':'a','image':'i'}]}}}}");
	expect_text(&a, json_path(out, "spec.template.spec.containers"),
		    "[{'name':'b'},{'name':'c'},{'name':'new'},{'name':'a','image':'i'}]");
	struct apply_request r = request("me", false, 1);
	assert_int_equal(
	    apply_patch(&a, &r, NULL,
			tree(&a, "{'spec':{'template':{'spec':{'containers':[{'name':'a'},{'name':'a'}]}}}}"), &out,
			&err),
	    -1);
	expect_contains(err.message, "duplicate entries for key");
	assert_int_equal(
	    apply_patch(&a, &r, NULL, tree(&a, "{'spec':{'template':{'spec':{'containers':[null]}}}}"), &out, &err),
	    -1);
	expect_contains(
	    err.message,
	    ".spec.template.spec.containers: element 0: associative list with keys may not have a null element");
	assert_int_equal(
	    apply_patch(&a, &r, NULL, tree(&a, "{'metadata':{'managedFields':[{'manager':'x'}]}}"), &out, &err), -1);
	assert_int_equal(err.code, 400);
}

static void test_from_client_side_apply(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *live =
	    tree(&a, "{" HEAD ",'metadata':{'annotations':{'kubectl.kubernetes.io/last-applied-configuration':"
		     "'{\\\"apiVersion\\\":\\\"apps/"
		     "v1\\\",\\\"spec\\\":{\\\"replicas\\\":3}}\\n'}},'spec':{'replicas':3,'paused':true}}");
	struct apply_request r = request("kubectl-client-side-apply", false, 0);
	struct json *out;

	apply_track_update(&a, &r, NULL, live);
	r = request("kubectl", false, 1);
	assert_int_equal(apply_patch(&a, &r, live, tree(&a, "{" HEAD ",'spec':{'replicas':4}}"), &out, &err), 0);
	assert_int_equal(json_path_int(out, "spec.replicas", 0), 4);
	/* What it had not applied is a conflict still, and for others everything is. */
	assert_int_equal(apply_patch(&a, &r, live, tree(&a, "{" HEAD ",'spec':{'paused':false}}"), &out, &err), -1);
	r = request("helm", false, 1);
	assert_int_equal(apply_patch(&a, &r, live, tree(&a, "{" HEAD ",'spec':{'replicas':4}}"), &out, &err), -1);
}

static void test_updates_are_bounded(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *obj = NULL;

	for (int i = 0; i < 30; i++) {
		struct json *next = obj ? json_clone(&a, obj) : tree(&a, "{" HEAD ",'metadata':{},'spec':{}}");
		json_set_str(&a, json_object_in(&a, json_get(next, "metadata"), "labels"), arena_printf(&a, "l%d", i),
			     "x");
		struct apply_request r = request(arena_printf(&a, "m%d", i), false, i);
		apply_track_update(&a, &r, obj, next);
		obj = next;
	}
	assert_int_equal(json_len(json_path(obj, "metadata.managedFields")), APPLY_UPDATE_MANAGERS_MAX);
	assert_non_null(json_path(fields_of(obj, "ancient-changes"), "f:metadata.f:labels.f:l0"));
	assert_null(fields_of(obj, "m0"));
}

static void test_sets(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *x = tree(&a, "{'f:a':{},'f:b':{'.':{},'f:c':{}},'f:d':{'f:e':{}}}");
	struct json *y = tree(&a, "{'f:a':{},'f:b':{'f:c':{}},'f:z':{}}");

	expect_tree(&a, fieldset_union(&a, x, y), "{'f:a':{},'f:b':{'.':{},'f:c':{}},'f:d':{'f:e':{}},'f:z':{}}");
	expect_tree(&a, fieldset_minus(&a, x, y), "{'f:b':{},'f:d':{'f:e':{}}}");
	expect_tree(&a, fieldset_both(&a, x, y), "{'f:a':{},'f:b':{'f:c':{}}}");
	assert_null(fieldset_minus(&a, x, x));
	assert_null(fieldset_both(&a, x, NULL));
	assert_true(fieldset_valid(x));
	assert_false(fieldset_valid(tree(&a, "{'a':{}}")));
	assert_false(fieldset_valid(tree(&a, "{'f:a':1}")));
	_cleanup_status_ struct status err = STATUS_INIT;
	assert_int_equal(apply_check_managed_fields(tree(&a, "[{'operation':'Spam','fieldsV1':{'x':{}}}]"), &err), -1);
	assert_int_equal(err.n_causes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_create),
	    cmocka_unit_test(test_removal),
	    cmocka_unit_test(test_conflict),
	    cmocka_unit_test(test_update_takes_ownership),
	    cmocka_unit_test(test_status_is_apart),
	    cmocka_unit_test(test_order_and_duplicates),
	    cmocka_unit_test(test_from_client_side_apply),
	    cmocka_unit_test(test_updates_are_bounded),
	    cmocka_unit_test(test_sets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
