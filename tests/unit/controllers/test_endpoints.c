/* SPDX-License-Identifier: Apache-2.0 */
#include "kubelet.h"

#define SERVICE                                                                                                        \
	"{'metadata':{'name':'web','namespace':'default'},'spec':{'selector':{'app':'web'},'ports':[{'name':'http','"  \
	"port':80,"                                                                                                    \
	"'targetPort':'serve'}]}}"

static void pod(struct world *w, const char *name, const char *ip, bool ready)
{
	char json[600];
	snprintf(
	    json, sizeof(json),
	    "{'metadata':{'name':'%s','namespace':'default','labels':{'app':'web'}},'spec':{'nodeName':'a','containers'"
	    ":[{"
	    "'name':'c','ports':[{'name':'serve','containerPort':8080}]}]},'status':{'phase':'Running','podIP':'%s',"
	    "'conditions':[{'type':'Ready','status':'%s'}]}}",
	    name, ip, ready ? "True" : "False");
	fake_api_create(w->api, "Pod", json);
	sim_run_ms(w->loop, 10);
}

static void follow_the_pods(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	world_add_node(&w, "a", "4");
	fake_api_create(w.api, "Service", SERVICE);
	sim_run_ms(w.loop, 10);
	assert_int_equal(fake_api_count(w.api, "EndpointSlice", "default"), 1);
	pod(&w, "p1", "10.0.0.1", true);
	pod(&w, "p2", "10.0.0.2", false);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *s = json_at(json_get(fake_api_tree(w.api, &a, "Endpoints", "default", "web"), "subsets"), 0);
	assert_str(json_path_str(json_at(json_get(s, "addresses"), 0), "ip"), "10.0.0.1");
	assert_str(json_path_str(json_at(json_get(s, "notReadyAddresses"), 0), "ip"), "10.0.0.2");
	assert_int_equal(json_path_int(json_at(json_get(s, "ports"), 0), "port", 0), 8080);
	assert_int_equal(fake_api_count(w.api, "EndpointSlice", "default"), 1);
	struct json *slice = fake_api_nth(w.api, &a, "EndpointSlice", "default", 0);
	assert_str(meta_label(slice, "kubernetes.io/service-name"), "web");
	assert_int_equal(json_len(json_get(slice, "endpoints")), 2);
	assert_true(json_path_bool(json_at(json_get(slice, "endpoints"), 0), "conditions.ready", false));
	assert_false(json_path_bool(json_at(json_get(slice, "endpoints"), 1), "conditions.ready", true));

	fake_api_patch(w.api, "Pod", "default", "p2", "{'status':{'conditions':[{'type':'Ready','status':'True'}]}}");
	fake_api_delete(w.api, "Pod", "default", "p1", NULL);
	sim_run_ms(w.loop, 10);
	s = json_at(json_get(fake_api_tree(w.api, &a, "Endpoints", "default", "web"), "subsets"), 0);
	assert_int_equal(json_len(json_get(s, "addresses")), 1);
	assert_str(json_path_str(json_at(json_get(s, "addresses"), 0), "ip"), "10.0.0.2");
	slice = fake_api_nth(w.api, &a, "EndpointSlice", "default", 0);
	assert_int_equal(json_len(json_get(slice, "endpoints")), 1);

	fake_api_delete(w.api, "Service", "default", "web", "Background");
	sim_run_ms(w.loop, 100);
	assert_false(fake_api_has(w.api, "Endpoints", "default", "web"));
	assert_int_equal(fake_api_count(w.api, "EndpointSlice", NULL), 0);
	world_stop(&w);
}

static void are_cut_into_slices(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	world_add_node(&w, "a", "4");
	fake_api_create(w.api, "Service", SERVICE);
	for (int i = 0; i < 205; i++) {
		char name[16], ip[16];
		snprintf(name, sizeof(name), "p%d", i);
		snprintf(ip, sizeof(ip), "10.0.1.%d", i);
		pod(&w, name, ip, true);
	}
	assert_int_equal(fake_api_count(w.api, "EndpointSlice", "default"), 3);
	size_t n = 0;
	for (size_t i = 0; i < 3; i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		n += json_len(json_get(fake_api_nth(w.api, &a, "EndpointSlice", "default", i), "endpoints"));
	}
	assert_int_equal(n, 205);
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(follow_the_pods),
	    cmocka_unit_test(are_cut_into_slices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
