/* SPDX-License-Identifier: Apache-2.0 */
#include "kubelet.h"

static void gets_its_defaults(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, &(struct controllers_config){.root_ca_pem = "PEM"});
	fake_api_create(w.api, "Namespace", "{'metadata':{'name':'a'}}");
	sim_run_ms(w.loop, 100);
	assert_true(fake_api_has(w.api, "ServiceAccount", "a", "default"));
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *map = fake_api_tree(w.api, &a, "ConfigMap", "a", "kube-root-ca.crt");
	assert_str(json_str(json_get(json_get(map, "data"), "ca.crt")), "PEM");
	/* Taken away or changed: put back. */
	fake_api_delete(w.api, "ServiceAccount", "a", "default", NULL);
	fake_api_patch(w.api, "ConfigMap", "a", "kube-root-ca.crt", "{'data':{'ca.crt':'evil'}}");
	sim_run_ms(w.loop, 100);
	assert_true(fake_api_has(w.api, "ServiceAccount", "a", "default"));
	map = fake_api_tree(w.api, &a, "ConfigMap", "a", "kube-root-ca.crt");
	assert_str(json_str(json_get(json_get(map, "data"), "ca.crt")), "PEM");
	world_stop(&w);
}

static void is_emptied_pods_first(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, &(struct controllers_config){.root_ca_pem = "PEM"});
	fake_api_create(w.api, "Namespace", "{'metadata':{'name':'a'}}");
	fake_api_create(w.api, "Namespace", "{'metadata':{'name':'b'}}");
	fake_api_create(w.api, "Secret", "{'metadata':{'name':'s','namespace':'a'}}");
	fake_api_create(w.api, "Secret", "{'metadata':{'name':'s','namespace':'b'}}");
	fake_api_create(w.api, "Pod",
			"{'metadata':{'name':'p','namespace':'a','finalizers':['example.com/hold']},'spec':{}}");
	sim_run_ms(w.loop, 100);
	fake_api_delete(w.api, "Namespace", NULL, "a", NULL);
	sim_run_ms(w.loop, 1000);
	assert_true(fake_api_has(w.api, "Secret", "a", "s")); /* the pod may need it until it has gone */
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *ns = fake_api_tree(w.api, &a, "Namespace", NULL, "a");
	assert_str(json_path_str(ns, "status.phase"), "Terminating");
	assert_str(meta_condition_status(ns, "NamespaceContentRemaining"), "True");
	assert_str(meta_condition_status(ns, "NamespaceFinalizersRemaining"), "True");
	assert_str(json_path_str(meta_condition(ns, "NamespaceFinalizersRemaining"), "message"),
		   "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances");
	fake_api_patch(w.api, "Pod", "a", "p", "{'metadata':{'finalizers':null}}");
	sim_run_ms(w.loop, 1000);
	assert_false(fake_api_has(w.api, "Namespace", NULL, "a"));
	assert_int_equal(fake_api_count(w.api, "Secret", "a"), 0);
	assert_int_equal(fake_api_count(w.api, "ServiceAccount", "a"), 0);
	assert_int_equal(fake_api_count(w.api, "ConfigMap", "a"), 0);
	assert_true(fake_api_has(w.api, "Secret", "b", "s"));
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gets_its_defaults),
	    cmocka_unit_test(is_emptied_pods_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
