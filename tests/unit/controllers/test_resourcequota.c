/* SPDX-License-Identifier: Apache-2.0 */
#include "kubelet.h"

static const char *used(struct world *w, struct arena *a, const char *name)
{
	struct json *u = json_path(fake_api_tree(w->api, a, "ResourceQuota", "default", "q"), "status.used");
	return str_or(json_str(json_get(u, name)), "-");
}

#define POD(name, cpu)                                                                                                 \
	"{'metadata':{'name':'" name "','namespace':'default'},'spec':{'containers':[{'name':'c','resources':"         \
	"{'requests':{'cpu':'" cpu "'}}}]}}"

static void counts_what_is_there_and_what_goes(void **state)
{
	(void)state;
	struct world w;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	world_start(&w, NULL);
	fake_api_create(w.api, "Pod", POD("one", "100m"));
	fake_api_create(w.api, "Pod", POD("two", "200m"));
	fake_api_create(w.api, "ConfigMap", "{'metadata':{'name':'m','namespace':'default'}}");
	fake_api_create(w.api, "ResourceQuota",
			"{'metadata':{'name':'q','namespace':'default'},'spec':{'hard':"
			"{'pods':'5','requests.cpu':'1','count/configmaps':'3','count/jobs.batch':'1'}}}");
	sim_run_ms(w.loop, 10);
	assert_str(used(&w, &a, "pods"), "2");
	assert_str(used(&w, &a, "requests.cpu"), "300m");
	assert_str(used(&w, &a, "count/configmaps"), "1");
	assert_str(used(&w, &a, "count/jobs.batch"), "0");
	/* A pod that ended uses nothing, one that went neither. */
	fake_api_patch(w.api, "Pod", "default", "one", "{'status':{'phase':'Succeeded'}}");
	fake_api_delete(w.api, "ConfigMap", "default", "m", NULL);
	sim_run_ms(w.loop, 1000);
	assert_str(used(&w, &a, "pods"), "1");
	assert_str(used(&w, &a, "requests.cpu"), "200m");
	assert_str(used(&w, &a, "count/configmaps"), "0");
	/* A new limit is counted at once. */
	fake_api_patch(w.api, "ResourceQuota", "default", "q", "{'spec':{'hard':{'count/pods':'9','pods':null}}}");
	sim_run_ms(w.loop, 10);
	assert_str(used(&w, &a, "count/pods"), "2");
	assert_str(used(&w, &a, "pods"), "-");
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counts_what_is_there_and_what_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
