/* SPDX-License-Identifier: Apache-2.0 */
#include "kubelet.h"

#include "api/object.h"
#include "api/resource.h"
#include "base/log.h"

static void on_pod(void *arg, enum client_event_type type, struct object *pod)
{
	struct world *w = arg;
	if (!pod || type == CLIENT_DELETED || w->hold)
		return;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *t = object_tree(pod, &a);
	if (str_empty(json_path_str(t, "spec.nodeName")) || json_path_str(t, "status.phase") || meta_deleting(t))
		return;
	fake_api_patch(w->api, "Pod", pod->ns, pod->name,
		       "{'status':{'phase':'Running','podIP':'10.0.0.1','conditions':[{'type':'Ready','status':'True',"
		       "'lastTransitionTime':'2026-09-21T13:33:20Z'}]}}");
}

void world_start(struct world *w, const struct controllers_config *extra)
{
	*w = (struct world){0};
	log_init("test");
	w->loop = sim_new(7);
	w->api = fake_api_new(w->loop);
	struct client *c = fake_api_client(w->api);
	w->informers = informers_new(c);
	struct controllers_config config = extra ? *extra : (struct controllers_config){0};
	config.client = c;
	config.informers = w->informers;
	w->controllers = controllers_start(&config);
	w->scheduler = scheduler_start(&(struct scheduler_config){.client = c, .informers = w->informers});
	w->pods = client_watch_start(
	    c, &(struct client_watch_request){.resource = resource_by_plural("", "pods"), .fn = on_pod, .arg = w});
	sim_settle(w->loop);
}

void world_stop(struct world *w)
{
	client_watch_stop(w->pods);
	scheduler_stop(w->scheduler);
	controllers_stop(w->controllers);
	informers_free(w->informers);
	fake_api_free(w->api);
	sim_free(w->loop);
}

void world_add_node(struct world *w, const char *name, const char *cpu)
{
	char json[600];
	snprintf(
	    json, sizeof(json),
	    "{'metadata':{'name':'%s','labels':{'kubernetes.io/hostname':'%s'}},'status':{'allocatable':{'cpu':'%s',"
	    "'memory':'8Gi','pods':'110'},'conditions':[{'type':'Ready','status':'True'}]}}",
	    name, name, cpu);
	fake_api_create(w->api, "Node", json);
	snprintf(json, sizeof(json), "{'metadata':{'name':'%s','namespace':'kube-node-lease'},'spec':{}}", name);
	fake_api_create(w->api, "Lease", json);
	sim_settle(w->loop);
}

void world_run(struct world *w, int64_t ms)
{
	for (; ms > 0; ms -= 10000) {
		sim_run_ms(w->loop, ms < 10000 ? ms : 10000);
		for (size_t i = 0;; i++) {
			_cleanup_arena_ struct arena a = ARENA_INIT;
			struct json *lease = fake_api_nth(w->api, &a, "Lease", NULL, i);
			char patch[100];
			if (!lease)
				break;
			snprintf(patch, sizeof(patch), "{'spec':{'leaseTransitions':%lld}}", (long long)++w->renewals);
			if (!str_has_prefix(meta_name(lease), "dead"))
				fake_api_patch(w->api, "Lease", meta_ns(lease), meta_name(lease), patch);
		}
		sim_settle(w->loop);
	}
}

size_t world_ready(struct world *w, const char *ns)
{
	size_t ready = 0;
	for (size_t i = 0;; i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct json *pod = fake_api_nth(w->api, &a, "Pod", ns, i);
		if (!pod)
			return ready;
		ready += str_eq(meta_condition_status(pod, "Ready"), "True") && !meta_deleting(pod);
	}
}
