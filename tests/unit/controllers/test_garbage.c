/* SPDX-License-Identifier: Apache-2.0 */
#include "kubelet.h"

static void config_map(struct world *w, const char *name, const char *owner, bool block)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char json[600];
	if (owner)
		snprintf(json, sizeof(json),
			 "{'metadata':{'name':'%s','namespace':'default','ownerReferences':[{'apiVersion':'v1','kind':"
			 "'ConfigMap','name':'%s','uid':'%s','blockOwnerDeletion':%s}]}}",
			 name, owner, meta_uid(fake_api_tree(w->api, &a, "ConfigMap", "default", owner)),
			 block ? "true" : "false");
	else
		snprintf(json, sizeof(json), "{'metadata':{'name':'%s','namespace':'default'}}", name);
	fake_api_create(w->api, "ConfigMap", json);
}

static bool has(struct world *w, const char *name)
{
	return fake_api_has(w->api, "ConfigMap", "default", name);
}

static void setup(struct world *w)
{
	world_start(w, NULL);
	config_map(w, "top", NULL, false);
	config_map(w, "middle", "top", true);
	config_map(w, "leaf", "middle", true);
	config_map(w, "other", NULL, false);
	sim_settle(w->loop);
}

static void background(void **state)
{
	(void)state;
	struct world w;
	setup(&w);
	fake_api_delete(w.api, "ConfigMap", "default", "top", NULL);
	assert_false(has(&w, "top"));
	sim_run_ms(w.loop, 1000);
	assert_false(has(&w, "middle"));
	assert_false(has(&w, "leaf"));
	assert_true(has(&w, "other"));
	world_stop(&w);
}

static void foreground_goes_from_the_leaves(void **state)
{
	(void)state;
	struct world w;
	setup(&w);
	/* Something holds the leaf. */
	fake_api_patch(w.api, "ConfigMap", "default", "leaf", "{'metadata':{'finalizers':['example.com/hold']}}");
	fake_api_delete(w.api, "ConfigMap", "default", "top", "Foreground");
	sim_run_ms(w.loop, 1000);
	assert_true(has(&w, "top"));
	assert_true(has(&w, "middle"));
	assert_true(has(&w, "leaf"));
	fake_api_patch(w.api, "ConfigMap", "default", "leaf", "{'metadata':{'finalizers':null}}");
	sim_run_ms(w.loop, 1000);
	assert_false(has(&w, "leaf"));
	assert_false(has(&w, "middle"));
	assert_false(has(&w, "top"));
	world_stop(&w);
}

static void orphan_lets_go(void **state)
{
	(void)state;
	struct world w;
	setup(&w);
	fake_api_delete(w.api, "ConfigMap", "default", "top", "Orphan");
	sim_run_ms(w.loop, 1000);
	assert_false(has(&w, "top"));
	assert_true(has(&w, "middle"));
	assert_true(has(&w, "leaf"));
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *t = fake_api_tree(w.api, &a, "ConfigMap", "default", "middle");
	assert_int_equal(json_len(json_path(t, "metadata.ownerReferences")), 0);
	world_stop(&w);
}

static void another_of_the_same_name_is_no_owner(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	config_map(&w, "top", NULL, false);
	fake_api_create(
	    w.api, "ConfigMap",
	    "{'metadata':{'name':'child','namespace':'default','ownerReferences':[{'apiVersion':'v1','kind':"
	    "'ConfigMap','name':'top','uid':'00000000-0000-4000-8000-000000000000'}]}}");
	sim_run_ms(w.loop, 1000);
	assert_true(has(&w, "top"));
	assert_false(has(&w, "child"));
	world_stop(&w);
}

static void one_owner_left_is_enough(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	config_map(&w, "a", NULL, false);
	config_map(&w, "b", NULL, false);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char json[600];
	snprintf(json, sizeof(json),
		 "{'metadata':{'name':'child','namespace':'default','ownerReferences':[{'apiVersion':'v1','kind':"
		 "'ConfigMap','name':'a','uid':'%s'},{'apiVersion':'v1','kind':'ConfigMap','name':'b','uid':'%s'}]}}",
		 meta_uid(fake_api_tree(w.api, &a, "ConfigMap", "default", "a")),
		 meta_uid(fake_api_tree(w.api, &a, "ConfigMap", "default", "b")));
	fake_api_create(w.api, "ConfigMap", json);
	sim_run_ms(w.loop, 1000);
	fake_api_delete(w.api, "ConfigMap", "default", "a", NULL);
	sim_run_ms(w.loop, 1000);
	assert_true(has(&w, "child"));
	struct json *t = fake_api_tree(w.api, &a, "ConfigMap", "default", "child");
	assert_int_equal(json_len(json_path(t, "metadata.ownerReferences")), 1);
	fake_api_delete(w.api, "ConfigMap", "default", "b", NULL);
	sim_run_ms(w.loop, 1000);
	assert_false(has(&w, "child"));
	world_stop(&w);
}

static void unknown_kinds_are_left_alone(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	fake_api_create(
	    w.api, "ConfigMap",
	    "{'metadata':{'name':'child','namespace':'default','ownerReferences':[{'apiVersion':'x.io/v1','kind':"
	    "'Widget','name':'top','uid':'1'}]}}");
	sim_run_ms(w.loop, 1000);
	assert_true(has(&w, "child"));
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(background),
	    cmocka_unit_test(foreground_goes_from_the_leaves),
	    cmocka_unit_test(orphan_lets_go),
	    cmocka_unit_test(another_of_the_same_name_is_no_owner),
	    cmocka_unit_test(one_owner_left_is_enough),
	    cmocka_unit_test(unknown_kinds_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
