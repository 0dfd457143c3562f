/* SPDX-License-Identifier: Apache-2.0 */
#include "kubelet.h"

#include "api/taints.h"

static bool tainted(struct world *w, const char *node, const char *key, const char *effect)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *taints = json_path(fake_api_tree(w->api, &a, "Node", NULL, node), "spec.taints");
	JSON_EACH(t, taints)
		if (str_eq(json_path_str(t, "key"), key) && str_eq(json_path_str(t, "effect"), effect))
			return true;
	return false;
}

#define POD(name, node, tolerations)                                                                                   \
	"{'metadata':{'name':'" name "','namespace':'default'},'spec':{'nodeName':'" node                              \
	"','tolerations':[" tolerations "]}}"

static void a_silent_node_loses_its_pods(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	world_add_node(&w, "alive", "4");
	world_add_node(&w, "dead", "4");
	fake_api_create(w.api, "Pod", POD("quick", "dead", ""));
	fake_api_create(w.api, "Pod",
			POD("patient", "dead",
			    "{'key':'node.kubernetes.io/unreachable','operator':'Exists','effect':'NoExecute',"
			    "'tolerationSeconds':300}"));
	fake_api_create(w.api, "Pod", POD("daemon", "dead", "{'operator':'Exists'}"));
	fake_api_create(w.api, "Pod", POD("elsewhere", "alive", ""));
	world_run(&w, 30000);
	assert_false(tainted(&w, "dead", TAINT_UNREACHABLE, "NoExecute"));
	world_run(&w, 30000);
	assert_true(tainted(&w, "dead", TAINT_UNREACHABLE, "NoExecute"));
	assert_true(tainted(&w, "dead", TAINT_UNREACHABLE, "NoSchedule"));
	assert_false(tainted(&w, "alive", TAINT_UNREACHABLE, "NoExecute"));
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *node = fake_api_tree(w.api, &a, "Node", NULL, "dead");
	assert_str(meta_condition_status(node, "Ready"), "Unknown");
	assert_str(json_path_str(meta_condition(node, "Ready"), "reason"), "NodeStatusUnknown");
	assert_false(fake_api_has(w.api, "Pod", "default", "quick"));
	assert_true(fake_api_has(w.api, "Pod", "default", "patient"));
	struct json *pod = fake_api_tree(w.api, &a, "Pod", "default", "patient");
	assert_str(meta_condition_status(pod, "Ready"), "False");
	world_run(&w, 330000);
	assert_false(fake_api_has(w.api, "Pod", "default", "patient"));
	assert_true(fake_api_has(w.api, "Pod", "default", "daemon"));
	assert_true(fake_api_has(w.api, "Pod", "default", "elsewhere"));
	/* It speaks again. */
	fake_api_patch(w.api, "Lease", "kube-node-lease", "dead", "{'spec':{'leaseTransitions':1}}");
	fake_api_patch(w.api, "Node", NULL, "dead", "{'status':{'conditions':[{'type':'Ready','status':'True'}]}}");
	sim_run_ms(w.loop, 100);
	assert_false(tainted(&w, "dead", TAINT_UNREACHABLE, "NoExecute"));
	assert_false(tainted(&w, "dead", TAINT_UNREACHABLE, "NoSchedule"));
	world_stop(&w);
}

static void ranges_are_given_once(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, &(struct controllers_config){.cluster_cidr = "10.42.0.0/22"});
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	for (size_t i = 0; i < 5; i++)
		world_add_node(&w, names[i], "1");
	sim_run_ms(w.loop, 100);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *seen[5];
	for (size_t i = 0; i < 5; i++) {
		seen[i] = json_path_str(fake_api_tree(w.api, &a, "Node", NULL, names[i]), "spec.podCIDR");
		if (i == 4) {
			assert_null(seen[i]); /* four ranges in a /22 */
			break;
		}
		assert_true(str_has_prefix(seen[i], "10.42.") && str_has_suffix(seen[i], ".0/24"));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(seen[i], seen[k]);
	}
	fake_api_delete(w.api, "Node", NULL, "b", NULL);
	sim_run_ms(w.loop, 100);
	assert_str(json_path_str(fake_api_tree(w.api, &a, "Node", NULL, "e"), "spec.podCIDR"), seen[1]);
	world_stop(&w);
}

/* Nodes keep what they have when larger ranges are asked for, and no new one overlaps it. */
static void ranges_of_other_sizes_are_kept_clear_of(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, &(struct controllers_config){.cluster_cidr = "10.42.0.0/20", .node_cidr_bits = 22});
	fake_api_create(w.api, "Node", "{\"metadata\":{\"name\":\"old\"},\"spec\":{\"podCIDR\":\"10.42.5.0/24\"}}");
	fake_api_create(w.api, "Node", "{\"metadata\":{\"name\":\"wide\"},\"spec\":{\"podCIDR\":\"10.42.8.0/21\"}}");
	sim_run_ms(w.loop, 100);
	world_add_node(&w, "a", "1");
	world_add_node(&w, "b", "1");
	sim_run_ms(w.loop, 100);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	assert_str(json_path_str(fake_api_tree(w.api, &a, "Node", NULL, "a"), "spec.podCIDR"), "10.42.0.0/22");
	assert_null(json_path_str(fake_api_tree(w.api, &a, "Node", NULL, "b"), "spec.podCIDR"));
	fake_api_delete(w.api, "Node", NULL, "old", NULL);
	sim_run_ms(w.loop, 100);
	assert_str(json_path_str(fake_api_tree(w.api, &a, "Node", NULL, "b"), "spec.podCIDR"), "10.42.4.0/22");
	world_stop(&w);
}

static void pods_of_gone_nodes_go(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, &(struct controllers_config){.terminated_pods_max = 2});
	world_add_node(&w, "a", "4");
	fake_api_create(w.api, "Pod", POD("p", "a", ""));
	fake_api_create(w.api, "Pod", POD("lost", "never-was", ""));
	sim_run_ms(w.loop, 1000);
	fake_api_delete(w.api, "Node", NULL, "a", NULL);
	sim_run_ms(w.loop, 10000);
	assert_true(fake_api_has(w.api, "Pod", "default", "p"));
	sim_run_ms(w.loop, 35000);
	assert_false(fake_api_has(w.api, "Pod", "default", "p"));
	assert_false(fake_api_has(w.api, "Pod", "default", "lost"));
	world_stop(&w);
}

static void old_finished_pods_go(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, &(struct controllers_config){.terminated_pods_max = 2});
	world_add_node(&w, "a", "4");
	w.hold = true;
	fake_api_create(w.api, "Pod", POD("p1", "a", ""));
	fake_api_create(w.api, "Pod", POD("p2", "a", ""));
	fake_api_create(w.api, "Pod", POD("p3", "a", ""));
	for (int i = 2; i > 0; i--) {
		char name[8];
		snprintf(name, sizeof(name), "p%d", i);
		fake_api_patch(w.api, "Pod", "default", name, "{'status':{'phase':'Succeeded'}}");
	}
	sim_run_ms(w.loop, 100);
	assert_int_equal(fake_api_count(w.api, "Pod", NULL), 3);
	fake_api_patch(w.api, "Pod", "default", "p3", "{'status':{'phase':'Failed'}}");
	sim_run_ms(w.loop, 100);
	assert_int_equal(fake_api_count(w.api, "Pod", NULL), 2);
	assert_false(fake_api_has(w.api, "Pod", "default", "p2")); /* it had finished first */
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_silent_node_loses_its_pods),
	    cmocka_unit_test(ranges_are_given_once),
	    cmocka_unit_test(ranges_of_other_sizes_are_kept_clear_of),
	    cmocka_unit_test(pods_of_gone_nodes_go),
	    cmocka_unit_test(old_finished_pods_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
