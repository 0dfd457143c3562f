/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments from creation to deletion, through all controllers and the scheduler, on virtual time. */
#include "kubelet.h"

#include "controllers/deployment_plan.h"

#define DEPLOYMENT                                                                                                     \
	"{'metadata':{'name':'web','namespace':'default'},'spec':{'replicas':%d,'selector':{'matchLabels':{'app':"     \
	"'web'}},'template':{'metadata':{'labels':{'app':'web'}},'spec':{'containers':[{'name':'c','image':'%s',"      \
	"'resources':{'requests':{'cpu':'100m'}}}]}}}}"

static void create(struct world *w, int replicas, const char *image)
{
	char json[800];
	snprintf(json, sizeof(json), DEPLOYMENT, replicas, image);
	fake_api_create(w->api, "Deployment", json);
}

static int64_t status(struct world *w, const char *kind, const char *name, const char *field)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	return json_path_int(json_get(fake_api_tree(w->api, &a, kind, "default", name), "status"), field, 0);
}

static void condition_is(struct world *w, const char *type, const char *value, const char *reason)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *c = meta_condition(fake_api_tree(w->api, &a, "Deployment", "default", "web"), type);
	assert_str(json_path_str(c, "status"), value);
	assert_str(json_path_str(c, "reason"), reason);
}

static void namespace(struct world *w, const char *name)
{
	char json[100];
	snprintf(json, sizeof(json), "{'metadata':{'name':'%s'}}", name);
	fake_api_create(w->api, "Namespace", json);
	sim_settle(w->loop);
}

static void rolls_out(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "4");
	world_add_node(&w, "b", "4");
	create(&w, 3, "v1");
	world_run(&w, 1000);
	assert_int_equal(world_ready(&w, "default"), 3);
	assert_int_equal(fake_api_count(w.api, "ReplicaSet", "default"), 1);
	assert_int_equal(fake_api_requests(w.api, CLIENT_CREATE, "ReplicaSet"), 1);
	assert_int_equal(status(&w, "Deployment", "web", "availableReplicas"), 3);
	assert_int_equal(status(&w, "Deployment", "web", "updatedReplicas"), 3);
	condition_is(&w, "Available", "True", "MinimumReplicasAvailable");
	condition_is(&w, "Progressing", "True", "NewReplicaSetAvailable");
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *d = fake_api_tree(w.api, &a, "Deployment", "default", "web");
	assert_str(meta_annotation(d, DEPLOYMENT_REVISION), "1");
	struct json *pod = fake_api_nth(w.api, &a, "Pod", "default", 0);
	assert_non_null(meta_label(pod, "pod-template-hash"));
	assert_str(json_path_str(meta_controller(pod), "kind"), "ReplicaSet");
	assert_true(str_has_prefix(meta_name(pod), "web-"));
	world_stop(&w);
}

static void updates_and_rolls_back(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "8");
	create(&w, 4, "v1");
	world_run(&w, 1000);
	fake_api_patch(w.api, "Deployment", "default", "web",
		       "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'v2'}]}}}}");
	world_run(&w, 1000);
	assert_int_equal(fake_api_count(w.api, "ReplicaSet", "default"), 2);
	assert_int_equal(world_ready(&w, "default"), 4);
	assert_int_equal(fake_api_count(w.api, "Pod", "default"), 4);
	condition_is(&w, "Progressing", "True", "NewReplicaSetAvailable");
	{
		_cleanup_arena_ struct arena a = ARENA_INIT;
		for (size_t i = 0; i < 4; i++) {
			struct json *c =
			    json_at(json_path(fake_api_nth(w.api, &a, "Pod", "default", i), "spec.containers"), 0);
			assert_str(json_path_str(c, "image"), "v2");
		}
		struct json *d = fake_api_tree(w.api, &a, "Deployment", "default", "web");
		assert_str(meta_annotation(d, DEPLOYMENT_REVISION), "2");
	}
	/* kubectl rollout undo puts the old template back: its set is used again under a new revision */
	fake_api_patch(
	    w.api, "Deployment", "default", "web",
	    "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'v1','resources':{'requests':{'cpu':"
	    "'100m'}}}]}}}}");
	world_run(&w, 1000);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	assert_int_equal(fake_api_count(w.api, "ReplicaSet", "default"), 2);
	assert_str(meta_annotation(fake_api_tree(w.api, &a, "Deployment", "default", "web"), DEPLOYMENT_REVISION), "3");
	assert_int_equal(world_ready(&w, "default"), 4);
	world_stop(&w);
}

/* New pods never become ready: the old ones have to stay, up to maxUnavailable, and the deadline passes. */
static void stops_at_a_bad_update(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "8");
	create(&w, 4, "v1");
	world_run(&w, 1000);
	w.hold = true;
	fake_api_patch(
	    w.api, "Deployment", "default", "web",
	    "{'spec':{'progressDeadlineSeconds':60,'template':{'spec':{'containers':[{'name':'c','image':'bad'}]}}}}");
	world_run(&w, 5000);
	assert_int_equal(world_ready(&w, "default"), 3);	      /* 25 % of 4 may be missing */
	assert_int_equal(fake_api_count(w.api, "Pod", "default"), 5); /* and 25 % may be more */
	condition_is(&w, "Progressing", "True", "ReplicaSetUpdated");
	world_run(&w, 70000);
	condition_is(&w, "Progressing", "False", "ProgressDeadlineExceeded");
	condition_is(&w, "Available", "True", "MinimumReplicasAvailable");
	world_stop(&w);
}

static void scales(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "16");
	create(&w, 2, "v1");
	world_run(&w, 1000);
	fake_api_patch(w.api, "Deployment", "default", "web", "{'spec':{'replicas':10}}");
	world_run(&w, 1000);
	assert_int_equal(world_ready(&w, "default"), 10);
	assert_int_equal(fake_api_requests(w.api, CLIENT_CREATE, "Pod"), 10 /* bindings are creates too */ + 10);
	fake_api_patch(w.api, "Deployment", "default", "web", "{'spec':{'replicas':1}}");
	world_run(&w, 1000);
	assert_int_equal(fake_api_count(w.api, "Pod", "default"), 1);
	assert_int_equal(status(&w, "Deployment", "web", "replicas"), 1);
	world_stop(&w);
}

static void survives_failing_creates(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "16");
	fake_api_fail(w.api, CLIENT_CREATE, "Pod", 500, 3);
	create(&w, 5, "v1");
	world_run(&w, 60000);
	assert_int_equal(fake_api_count(w.api, "Pod", "default"), 5);
	assert_int_equal(world_ready(&w, "default"), 5);
	world_stop(&w);
}

static void replaces_lost_pods_and_takes_orphans(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "16");
	create(&w, 2, "v1");
	world_run(&w, 1000);
	char name[260];
	{
		_cleanup_arena_ struct arena a = ARENA_INIT;
		snprintf(name, sizeof(name), "%s", meta_name(fake_api_nth(w.api, &a, "Pod", "default", 0)));
	}
	fake_api_delete(w.api, "Pod", "default", name, NULL);
	world_run(&w, 1000);
	assert_int_equal(world_ready(&w, "default"), 2);
	/* A pod whose label is taken away is let go, and another one made. */
	{
		_cleanup_arena_ struct arena a = ARENA_INIT;
		snprintf(name, sizeof(name), "%s", meta_name(fake_api_nth(w.api, &a, "Pod", "default", 0)));
	}
	fake_api_patch(w.api, "Pod", "default", name, "{'metadata':{'labels':{'app':'other'}}}");
	world_run(&w, 1000);
	assert_int_equal(fake_api_count(w.api, "Pod", "default"), 3);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	assert_null(meta_controller(fake_api_tree(w.api, &a, "Pod", "default", name)));
	/* And given back: adopted, so that one is too many. */
	fake_api_patch(w.api, "Pod", "default", name, "{'metadata':{'labels':{'app':'web'}}}");
	world_run(&w, 1000);
	assert_int_equal(fake_api_count(w.api, "Pod", "default"), 2);
	world_stop(&w);
}

static void recreates(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "16");
	create(&w, 3, "v1");
	world_run(&w, 1000);
	fake_api_patch(
	    w.api, "Deployment", "default", "web",
	    "{'spec':{'strategy':{'type':'Recreate'},'template':{'spec':{'containers':[{'name':'c','image':'v2'}]}}}}");
	world_run(&w, 2000);
	assert_int_equal(world_ready(&w, "default"), 3);
	assert_int_equal(fake_api_count(w.api, "Pod", "default"), 3);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	assert_str(json_path_str(json_at(json_path(fake_api_nth(w.api, &a, "Pod", "default", 0), "spec.containers"), 0),
				 "image"),
		   "v2");
	world_stop(&w);
}

static void pauses(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "16");
	create(&w, 3, "v1");
	world_run(&w, 1000);
	fake_api_patch(w.api, "Deployment", "default", "web", "{'spec':{'paused':true}}");
	fake_api_patch(w.api, "Deployment", "default", "web",
		       "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'v2'}]}}}}");
	world_run(&w, 2000);
	assert_int_equal(fake_api_count(w.api, "ReplicaSet", "default"), 1);
	condition_is(&w, "Progressing", "Unknown", "DeploymentPaused");
	fake_api_patch(w.api, "Deployment", "default", "web", "{'spec':{'paused':false}}");
	world_run(&w, 2000);
	assert_int_equal(fake_api_count(w.api, "ReplicaSet", "default"), 2);
	condition_is(&w, "Progressing", "True", "NewReplicaSetAvailable");
	world_stop(&w);
}

static void deletes_everything_below(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "16");
	create(&w, 3, "v1");
	world_run(&w, 1000);
	fake_api_delete(w.api, "Deployment", "default", "web", "Background");
	world_run(&w, 2000);
	assert_int_equal(fake_api_count(w.api, "ReplicaSet", NULL), 0);
	assert_int_equal(fake_api_count(w.api, "Pod", NULL), 0);
	world_stop(&w);
}

/* A quiet cluster writes nothing. */
static void settles(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	namespace(&w, "default");
	world_add_node(&w, "a", "16");
	create(&w, 3, "v1");
	world_run(&w, 5000);
	unsigned before = 0, after = 0;
	static const char *const kinds[] = {"Pod", "ReplicaSet", "Deployment", "Event"};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		for (int v = CLIENT_GET; v <= CLIENT_DELETE; v++)
			before += fake_api_requests(w.api, v, kinds[i]);
	world_run(&w, 30000);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		for (int v = CLIENT_GET; v <= CLIENT_DELETE; v++)
			after += fake_api_requests(w.api, v, kinds[i]);
	assert_int_equal(before, after);
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rolls_out),
	    cmocka_unit_test(updates_and_rolls_back),
	    cmocka_unit_test(stops_at_a_bad_update),
	    cmocka_unit_test(scales),
	    cmocka_unit_test(survives_failing_creates),
	    cmocka_unit_test(replaces_lost_pods_and_takes_orphans),
	    cmocka_unit_test(recreates),
	    cmocka_unit_test(pauses),
	    cmocka_unit_test(deletes_everything_below),
	    cmocka_unit_test(settles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
