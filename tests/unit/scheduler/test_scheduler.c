/* SPDX-License-Identifier: Apache-2.0 */
/* From pending pods to bindings, against an API in memory on virtual time. */
#include "build.h"

#include "api/meta.h"
#include "client/client.h"
#include "client/informer.h"
#include "fake_api.h"
#include "scheduler/scheduler.h"
#include "sim.h"

struct world {
	struct loop *loop;
	struct fake_api *api;
	struct scheduler *scheduler;
};

static void start(struct world *w)
{
	w->loop = sim_new(3);
	w->api = fake_api_new(w->loop);
	w->scheduler = scheduler_start(&(struct scheduler_config){.client = fake_api_client(w->api)});
	sim_settle(w->loop);
}

static void stop(struct world *w)
{
	scheduler_stop(w->scheduler);
	fake_api_free(w->api);
	sim_free(w->loop);
}

static void node(struct world *w, const char *name)
{
	char json[200];
	snprintf(json, sizeof(json),
		 "{'metadata':{'name':'%s'},'status':{'allocatable':{'cpu':'1','memory':'1Gi','pods':'10'}}}", name);
	fake_api_create(w->api, "Node", json);
	sim_settle(w->loop);
}

static void pod(struct world *w, const char *name, const char *more)
{
	char json[400];
	snprintf(json, sizeof(json),
		 "{'metadata':{'name':'%s','namespace':'d'},'spec':{%s'containers':[{'name':'c','resources':{'requests'"
		 ":{'cpu':"
		 "'600m'}}}]}}",
		 name, more);
	fake_api_create(w->api, "Pod", json);
	sim_settle(w->loop);
}

static const char *node_of(struct world *w, const char *name)
{
	static char out[64];
	_cleanup_arena_ struct arena a = ARENA_INIT;
	snprintf(out, sizeof(out), "%s",
		 str_or(json_path_str(fake_api_tree(w->api, &a, "Pod", "d", name), "spec.nodeName"), "none"));
	return out;
}

static bool event(struct world *w, const char *reason, const char *message)
{
	for (size_t i = 0;; i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct json *e = fake_api_nth(w->api, &a, "Event", NULL, i);
		if (!e)
			return false;
		if (str_eq(json_path_str(e, "reason"), reason) && str_eq(json_path_str(e, "message"), message))
			return true;
	}
}

static void waits_for_room(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	pod(&w, "p1", "");
	assert_true(event(&w, "FailedScheduling", "no nodes available to schedule pods"));
	node(&w, "a");
	sim_run_ms(w.loop, 1000);
	assert_string_equal(node_of(&w, "p1"), "a");
	assert_true(event(&w, "Scheduled", "Successfully assigned d/p1 to a"));
	pod(&w, "p2", "");
	assert_string_equal(node_of(&w, "p2"), "none");
	assert_true(event(&w, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu."));
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *c = meta_condition(fake_api_tree(w.api, &a, "Pod", "d", "p2"), "PodScheduled");
	assert_string_equal(json_path_str(c, "status"), "False");
	assert_string_equal(json_path_str(c, "reason"), "Unschedulable");
	fake_api_delete(w.api, "Pod", "d", "p1", NULL);
	sim_run_ms(w.loop, 3000);
	assert_string_equal(node_of(&w, "p2"), "a");
	stop(&w);
}

static void leaves_others_alone(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	node(&w, "a");
	pod(&w, "other", "'schedulerName':'mine',");
	pod(&w, "gated", "'schedulingGates':[{'name':'g'}],");
	sim_run_ms(w.loop, 5000);
	assert_string_equal(node_of(&w, "other"), "none");
	assert_string_equal(node_of(&w, "gated"), "none");
	fake_api_patch(w.api, "Pod", "d", "gated", "{'spec':{'schedulingGates':null}}");
	sim_run_ms(w.loop, 100);
	assert_string_equal(node_of(&w, "gated"), "a");
	stop(&w);
}

static void tries_a_failed_binding_again(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	node(&w, "a");
	pod(&w, "p1", "'schedulingGates':[{'name':'g'}],");
	fake_api_fail(w.api, CLIENT_CREATE, "Pod", 500, 1); /* its binding */
	fake_api_patch(w.api, "Pod", "d", "p1", "{'spec':{'schedulingGates':null}}");
	sim_run_ms(w.loop, 10);
	assert_string_equal(node_of(&w, "p1"), "none");
	sim_run_ms(w.loop, 2000);
	assert_string_equal(node_of(&w, "p1"), "a");
	stop(&w);
}

static void preempts(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	node(&w, "a");
	pod(&w, "low", "");
	pod(&w, "high", "'priority':1000,");
	sim_run_ms(w.loop, 5000);
	assert_false(fake_api_has(w.api, "Pod", "d", "low"));
	assert_string_equal(node_of(&w, "high"), "a");
	stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_for_room),
	    cmocka_unit_test(leaves_others_alone),
	    cmocka_unit_test(tries_a_failed_binding_again),
	    cmocka_unit_test(preempts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
