/* SPDX-License-Identifier: Apache-2.0 */
#include "kubelet.h"

#include "base/env.h"

static int64_t status(struct world *w, const char *member)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *s = json_get(fake_api_tree(w->api, &a, "PodDisruptionBudget", "default", "b"), "status");
	return json_path_int(s, member, -1);
}

static void pod(struct world *w, const char *name, const char *owner)
{
	char text[512];
	snprintf(text, sizeof(text),
		 "{'metadata':{'name':'%s','namespace':'default','labels':{'app':'a'}%s%s%s},'spec':{},"
		 "'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True'}]}}",
		 name,
		 owner ? ",'ownerReferences':[{'apiVersion':'apps/"
			 "v1','kind':'StatefulSet','name':'s','controller':true,'uid':'"
		       : "",
		 owner ? owner : "", owner ? "'}]" : "");
	fake_api_create(w->api, "Pod", text);
}

#define BUDGET(spec)                                                                                                   \
	"{'metadata':{'name':'b','namespace':'default','generation':1},'spec':{'selector':{'matchLabels':{'app':'a'}}" \
	","                                                                                                            \
	"" spec "}}"

static void counts_healthy_pods(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	w.hold = true;
	fake_api_create(w.api, "PodDisruptionBudget", BUDGET("'minAvailable':1"));
	sim_run_ms(w.loop, 100);
	assert_int_equal(status(&w, "disruptionsAllowed"), 0);
	assert_int_equal(status(&w, "expectedPods"), 0);
	pod(&w, "one", NULL);
	pod(&w, "two", NULL);
	pod(&w, "three", NULL);
	sim_run_ms(w.loop, 100);
	assert_int_equal(status(&w, "currentHealthy"), 3);
	assert_int_equal(status(&w, "desiredHealthy"), 1);
	assert_int_equal(status(&w, "disruptionsAllowed"), 2);
	assert_int_equal(status(&w, "observedGeneration"), 1);
	/* Evicted, and not yet seen as deleted: no longer healthy. After two minutes it is believed to have stayed. */
	char text[160], at[TIME_RFC3339_MAX];
	snprintf(text, sizeof(text), "{'status':{'disruptedPods':{'one':'%s'}}}", time_format(now_ns(), at));
	fake_api_patch(w.api, "PodDisruptionBudget", "default", "b", text);
	sim_run_ms(w.loop, 100);
	assert_int_equal(status(&w, "currentHealthy"), 2);
	sim_run_ms(w.loop, 130000);
	assert_int_equal(status(&w, "currentHealthy"), 3);
	world_stop(&w);
}

static void percentages_are_of_the_scale(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	w.hold = true;
	fake_api_create(w.api, "StatefulSet", "{'metadata':{'name':'s','namespace':'default'},'spec':{'replicas':10}}");
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *uid = meta_uid(fake_api_tree(w.api, &a, "StatefulSet", "default", "s"));
	fake_api_create(w.api, "PodDisruptionBudget", BUDGET("'maxUnavailable':'30%'"));
	pod(&w, "one", uid);
	pod(&w, "two", uid);
	sim_run_ms(w.loop, 100);
	assert_int_equal(status(&w, "expectedPods"), 10);
	assert_int_equal(status(&w, "desiredHealthy"), 7);
	assert_int_equal(status(&w, "disruptionsAllowed"), 0);
	world_stop(&w);
}

static void pods_of_nobody_have_no_scale(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	w.hold = true;
	fake_api_create(w.api, "PodDisruptionBudget", BUDGET("'maxUnavailable':1"));
	pod(&w, "one", NULL);
	sim_run_ms(w.loop, 100);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *b = fake_api_tree(w.api, &a, "PodDisruptionBudget", "default", "b");
	assert_str(json_path_str(meta_condition(b, "DisruptionAllowed"), "reason"), "SyncFailed");
	assert_int_equal(status(&w, "disruptionsAllowed"), 0);
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counts_healthy_pods),
	    cmocka_unit_test(percentages_are_of_the_scale),
	    cmocka_unit_test(pods_of_nobody_have_no_scale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
