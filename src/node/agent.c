/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting: runtime recovered → node registered → pod range known → network up → pods watched → Ready.
 * Ending: agent_free leaves everything running; agent_stop_pods ends every pod first.
 */
#include "node/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "client/events.h"
#include "client/informer.h"
#include "image/image.h"
#include "io/loop.h"
#include "network/network.h"
#include "node/agent_internal.h"
#include "node/kubelet_api.h"
#include "node/node_status.h"
#include "node/image_pulls.h"
#include "node/object_refs.h"
#include "node/pod.h"
#include "runtime/runtime.h"

/* A pod that the runtime has and the API hasn't told about yet. */
struct recovered {
	int n;
	struct container_status at[];
};

struct agent_start_state {
	struct map recovered; /* uid -> struct recovered */
	struct map lost;      /* uid -> why it could not be taken over (owned), until its pod appears */
	struct client_watch *node_watch;
	char *node_selector, *pods_selector;
};

/* Everything of the start that is not needed later; one agent a process is the rule, but nothing relies on it. */
struct agent_full {
	struct agent a; /* first */
	struct agent_start_state s;
};

static struct agent_start_state *start_state(struct agent *a)
{
	return &((struct agent_full *)a)->s;
}

/* ---- configuration ---- */

static char *copy_or(const char *s, const char *fallback)
{
	return xstrdup(s ? s : fallback);
}

static void copy_config(struct agent_config *to, const struct agent_config *c)
{
	*to = *c;
	to->tls = (struct agent_tls){0};
	to->node_name = xstrdup(c->node_name);
	to->node_ip = xstrdup(c->node_ip);
	to->run_dir = xstrdup(c->run_dir);
	to->data_dir = xstrdup(c->data_dir);
	to->image_dir = c->image_dir ? xstrdup(c->image_dir) : xasprintf("%s/images", c->data_dir);
	to->registries = copy_or(c->registries, REGISTRIES_FILE);
	to->log_dir = c->log_dir ? xstrdup(c->log_dir) : xasprintf("%s/logs", c->data_dir);
	to->shim_path = xstrdup(c->shim_path);
	to->cluster_id = copy_or(c->cluster_id, "proa");
	to->cgroup_root = c->cgroup_root ? xstrdup(c->cgroup_root) : xasprintf("proa-%s", to->cluster_id);
	to->listen = copy_or(c->listen, "0.0.0.0:10250");
	to->cluster_dns = xstrdup(c->cluster_dns);
	to->cluster_domain = copy_or(c->cluster_domain, "cluster.local");
	to->pod_cidr = xstrdup(c->pod_cidr);
	to->cluster_cidr = copy_or(c->cluster_cidr, "10.42.0.0/16");
	to->version = copy_or(c->version, "v1.37.0+proa");
	to->node_labels = xstrdup(c->node_labels);
	to->pods_max = c->pods_max ? c->pods_max : AGENT_PODS_MAX_DEFAULT;
}

static void release_config(struct agent_config *c)
{
	const char *const strings[] = {c->node_name,	c->node_ip,	c->run_dir,	   c->data_dir,
				       c->image_dir,	c->log_dir,	c->shim_path,	   c->cgroup_root,
				       c->listen,	c->cluster_dns, c->cluster_domain, c->pod_cidr,
				       c->cluster_cidr, c->cluster_id,	c->version,	   c->node_labels};

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free((void *)strings[i]);
}

/* ---- memory that jobs hold ---- */

static void destroy(struct agent *a)
{
	image_store_close(a->images);
	release_config(&a->cfg);
	map_release(&start_state(a)->recovered, free);
	map_release(&start_state(a)->lost, free);
	free(start_state(a)->node_selector);
	free(start_state(a)->pods_selector);
	free(a);
}

void agent_job_begin(struct agent *a)
{
	a->jobs++;
}

void agent_job_end(struct agent *a)
{
	if (--a->jobs == 0 && a->closing)
		destroy(a);
}

void agent_failed(struct agent *a, const char *message)
{
	log_error("node agent cannot go on node=%s error=%s", a->cfg.node_name, message);
	if (a->cfg.on_failed)
		a->cfg.on_failed(a->cfg.arg, message);
}

void agent_node_ready(struct agent *a)
{
	if (a->ready_told)
		return;
	a->ready_told = true;
	if (a->cfg.on_ready)
		a->cfg.on_ready(a->cfg.arg);
}

/* ---- what is left on disk of pods that nobody knows ---- */

static bool pod_known(void *arg, const char *uid)
{
	return map_has(&((struct agent *)arg)->pods, uid);
}

static bool image_user_known(void *arg, const char *id, const char *user)
{
	(void)id;
	return str_has_prefix(user, IMAGE_USER_LOCAL) || pod_known(arg, user);
}

static void collect_dir(struct agent *a, const char *dir)
{
	DIR *d = opendir(dir);

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, e->d_name);
		const char *uid = strrchr(e->d_name, '_');

		uid = uid ? uid + 1 : e->d_name;
		if (e->d_name[0] == '.' || pod_known(a, uid))
			continue;
		volumes_unmount_below(path);
		fs_remove_tree(path);
	}
	closedir(d);
}

static void collect(struct agent *a)
{
	_cleanup_free_ char *pods = xasprintf("%s/pods", a->cfg.data_dir);

	network_collect(a->network, pod_known, a);
	image_uses_keep(a->images, image_user_known, a);
	collect_dir(a, pods);
	collect_dir(a, a->cfg.log_dir);
}

/* ---- pods from the API ---- */

static bool pod_is_over(const struct object *o)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *phase = json_path_str(object_tree(o, &a), "status.phase");

	return str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
}

/* A pod that we haven't seen in this process: new, or one that ran (or ended) under an earlier one. */
static void pod_appears(struct agent *a, const struct object *o)
{
	struct recovered *r = map_remove(&start_state(a)->recovered, o->uid);
	_cleanup_free_ char *lost = map_remove(&start_state(a)->lost, o->uid);
	struct pod *p = pod_worker_new(a, o);
	bool known = pod_record_load(p);

	map_set(&a->pods, p->uid, p);
	if (r) {
		log_info("pod adopted pod=%s/%s uid=%s containers=%d", p->ns, p->name, p->uid, r->n);
		pod_adopt(p, r->at, r->n);
	} else if (known && p->finished) {
		pod_move(p, POD_REMOVING); /* what is left of it goes, if anything is */
	} else if (pod_is_over(o)) {
		p->finished = true;
		pod_ended_before(p);
		pod_move(p, POD_FINISHED);
	} else {
		if (known) /* its shim is gone: nothing of it runs */
			pod_adopt_nothing(p);
		else
			pod_take_history(p);
		log_info("pod accepted pod=%s/%s uid=%s", p->ns, p->name, p->uid);
		if (lost)
			pod_event(p, NULL, "Warning", "SandboxChanged",
				  "Pod sandbox changed, it will be killed and re-created: %s.", lost);
	}
	free(r);
	pod_wake(p);
}

/* What the list didn't have is gone from the API. */
static void list_complete(struct agent *a)
{
	struct agent_start_state *s = start_state(a);

	MAP_EACH(slot, &a->pods)
		if (!((struct pod *)slot->value)->listed)
			pod_api_deleted(slot->value);
	/* Pods that run here and are in no list: deleted while we were away. */
	MAP_EACH(slot, &s->recovered) {
		log_info("orphaned pod removed uid=%s", slot->key);
		runtime_pod_remove(a->runtime, slot->key, NULL, NULL);
		network_detach(a->network, slot->key);
	}
	map_release(&s->recovered, free);
	s->recovered = (struct map)MAP_INIT;
	map_release(&s->lost, free);
	s->lost = (struct map)MAP_INIT;
	if (!a->pods_synced)
		collect(a);
	a->pods_synced = true;
}

static void on_pod(void *arg, enum client_event_type type, struct object *obj)
{
	struct agent *a = arg;
	struct pod *p = obj ? map_get(&a->pods, obj->uid) : NULL;

	switch (type) {
	case CLIENT_RELIST_BEGIN:
		MAP_EACH(slot, &a->pods)
			((struct pod *)slot->value)->listed = false;
		break;
	case CLIENT_ADDED:
	case CLIENT_MODIFIED:
		if (!p) {
			pod_appears(a, obj);
			p = map_get(&a->pods, obj->uid);
		} else if (p->object->rev != obj->rev) {
			pod_changed(p, obj);
		}
		p->listed = true;
		break;
	case CLIENT_DELETED:
		if (p) {
			pod_changed(p, obj);
			pod_api_deleted(p);
		}
		break;
	case CLIENT_SYNCED:
		list_complete(a);
		break;
	}
}

/* ---- starting ---- */

static void watch_pods(struct agent *a)
{
	struct agent_start_state *s = start_state(a);

	s->pods_selector = xasprintf("spec.nodeName=%s", a->cfg.node_name);
	a->services =
	    informer_new(a->client, &(struct client_watch_request){.resource = resource_find("", "v1", "services")});
	a->watch =
	    client_watch_start(a->client, &(struct client_watch_request){.resource = resource_find("", "v1", "pods"),
									 .field_selector = s->pods_selector,
									 .fn = on_pod,
									 .arg = a});
}

static void start_network(struct agent *a, const char *pod_cidr)
{
	_cleanup_status_ struct status err = STATUS_INIT;

	if (a->network)
		return;
	if (network_new(&(struct network_config){.id = a->cfg.cluster_id,
						 .pod_cidr = pod_cidr,
						 .run_dir = a->cfg.run_dir,
						 .masquerade = true,
						 .cluster_cidr = a->cfg.cluster_cidr},
			&a->network, &err) < 0) {
		agent_failed(a, err.message);
		return;
	}
	log_info("pod network is up pod_cidr=%s", pod_cidr);
	node_status_network_ready(a->node);
	watch_pods(a);
}

static void on_node(void *arg, enum client_event_type type, struct object *obj)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct agent *a = arg;
	const char *cidr;

	if ((type != CLIENT_ADDED && type != CLIENT_MODIFIED) || a->network)
		return;
	cidr = json_path_str(object_tree(obj, &arena), "spec.podCIDR");
	if (!str_empty(cidr))
		start_network(a, cidr);
}

void agent_registered(struct agent *a, const char *pod_cidr)
{
	struct agent_start_state *s = start_state(a);

	if (!str_empty(pod_cidr) || a->cfg.pod_cidr) {
		start_network(a, !str_empty(pod_cidr) ? pod_cidr : a->cfg.pod_cidr);
		return;
	}
	log_info("waiting for the node's pod range node=%s", a->cfg.node_name);
	s->node_selector = xasprintf("metadata.name=%s", a->cfg.node_name);
	s->node_watch =
	    client_watch_start(a->client, &(struct client_watch_request){.resource = resource_find("", "v1", "nodes"),
									 .field_selector = s->node_selector,
									 .fn = on_node,
									 .arg = a});
}

static void on_recovered_pod(void *arg, const char *uid, const struct container_status *containers, int n)
{
	struct agent *a = arg;
	struct recovered *r = xmalloc(sizeof(*r) + (size_t)n * sizeof(*containers));

	r->n = n;
	if (n)
		memcpy(r->at, containers, (size_t)n * sizeof(*containers));
	free(map_set(&start_state(a)->recovered, uid, r));
}

static void on_recovered(void *arg, const struct status *err)
{
	struct agent *a = arg;

	if (err) {
		agent_failed(a, err->message);
		return;
	}
	node_status_start(a->node);
}

/* ---- what the runtime tells ---- */

static void on_container(void *arg, const char *uid, const struct container_status *st)
{
	struct agent *a = arg;
	struct pod *p = map_get(&a->pods, uid);
	struct pod_container *pc = p ? pod_container_by_id(p, st->id) : NULL;
	struct recovered *r = p ? NULL : map_get(&start_state(a)->recovered, uid);

	/* Between the recovery and the list of pods: remembered with what was recovered. */
	for (int i = 0; r && i < r->n; i++)
		if (str_eq(r->at[i].id, st->id))
			r->at[i] = *st;
	if (!pc)
		return;
	if (st->state == CONTAINER_RUNNING)
		pod_container_running(pc, st);
	else if (st->state == CONTAINER_EXITED)
		pod_container_exited(pc, st);
}

static void on_pod_lost(void *arg, const char *uid, const char *why)
{
	struct agent *a = arg;
	struct pod *p = map_get(&a->pods, uid);

	free(map_remove(&start_state(a)->recovered, uid));
	if (p)
		pod_sandbox_lost(p, why);
	else if (!a->pods_synced)
		free(map_set(&start_state(a)->lost, uid, xstrdup(why)));
}

/* ---- life ---- */

int agent_new(const struct agent_config *c, struct agent **ret, char *err, size_t err_len)
{
	struct agent_full *full;
	struct agent *a;
	int r;

	if (str_empty(c->node_name) || str_empty(c->node_ip) || !c->run_dir || !c->data_dir || !c->shim_path) {
		snprintf(err, err_len, "the node agent needs a node name, an address, its directories and the shim");
		return -EINVAL;
	}
	full = NEW(struct agent_full);
	a = &full->a;
	copy_config(&a->cfg, c);
	a->loop = c->loop;
	a->client = c->client;
	r = kubelet_api_new(a, &c->tls, &a->api, err, err_len);
	if (r < 0) {
		destroy(a);
		return r;
	}
	*ret = a;
	return 0;
}

static int make_directories(struct agent *a, char *err, size_t err_len)
{
	_cleanup_free_ char *records = xasprintf("%s/agent", a->cfg.run_dir);
	_cleanup_free_ char *pods = xasprintf("%s/pods", a->cfg.data_dir);
	/* Of volumes and records nothing is anybody else's (CVE-2024-25621), also where an older agent made them. */
	const struct {
		const char *path;
		mode_t mode;
		bool own;
	} dirs[] = {{a->cfg.run_dir, 0711, false},
		    {records, 0700, true},
		    {a->cfg.data_dir, 0700, false},
		    {pods, 0700, true},
		    {a->cfg.log_dir, 0711, false}};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int r = fs_mkdir_p(dirs[i].path, dirs[i].mode);

		if (r == 0 && dirs[i].own && chmod(dirs[i].path, dirs[i].mode) < 0)
			r = -errno;
		if (r < 0) {
			snprintf(err, err_len, "cannot make %s: %s", dirs[i].path, strerror(-r));
			return r;
		}
	}
	fs_spread_children(pods);
	fs_spread_children(a->cfg.log_dir);
	return 0;
}

static void on_images(void *arg)
{
	node_status_changed(((struct agent *)arg)->node);
}

int agent_start(struct agent *a, char *err, size_t err_len)
{
	static const struct runtime_events events = {.on_container = on_container, .on_pod_lost = on_pod_lost};
	_cleanup_status_ struct status why = STATUS_INIT;
	int r = make_directories(a, err, err_len);

	if (r == 0)
		r = image_store_open(a->cfg.image_dir, &a->images, err, err_len);
	if (r < 0)
		return r;
	r = runtime_new(a->loop,
			&(struct runtime_config){
			    .run_dir = a->cfg.run_dir, .cgroup_root = a->cfg.cgroup_root, .shim = a->cfg.shim_path},
			&events, a, &a->runtime, &why);
	if (r < 0) {
		snprintf(err, err_len, "%s", str_or(why.message, strerror(-r)));
		return r;
	}
	a->events = recorder_new(a->client, "kubelet", a->cfg.node_name);
	a->refs = object_refs_new(a->client);
	a->node = node_status_new(a);
	a->pulls = image_pulls_new(a->loop, a->images, a->cfg.registries, on_images, a);
	a->memory = node_memory(a->node);
	r = kubelet_api_start(a->api, err, err_len);
	if (r < 0)
		return r;
	node_status_set_port(a->node, kubelet_api_port(a->api));
	runtime_recover(a->runtime, on_recovered_pod, on_recovered, a);
	return 0;
}

int agent_reload_tls(struct agent *a, const struct agent_tls *t, char *err, size_t err_len)
{
	return kubelet_api_reload(a->api, t, err, err_len);
}

const char *agent_address(const struct agent *a)
{
	return kubelet_api_address(a->api);
}

static bool all_stopped(struct agent *a)
{
	MAP_EACH(slot, &a->pods)
		if (((struct pod *)slot->value)->state < POD_FINISHED)
			return false;
	return true;
}

void agent_pod_gone(struct agent *a)
{
	void (*stopped)(void *arg) = a->stopped;

	if (!a->stopping || !stopped || !all_stopped(a))
		return;
	a->stopped = NULL;
	network_free(TAKE_PTR(a->network));
	network_remove(a->cfg.cluster_id);
	stopped(a->stopped_arg);
}

void agent_stop_pods(struct agent *a, int grace_s, void (*done)(void *arg), void *arg)
{
	a->stopping = true;
	a->stop_grace_s = grace_s;
	a->stopped = done;
	a->stopped_arg = arg;
	client_watch_stop(a->watch);
	a->watch = NULL;
	MAP_EACH(slot, &a->pods)
		pod_wake(slot->value);
	agent_pod_gone(a);
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	a->closing = true;
	image_pulls_free(TAKE_PTR(a->pulls));
	client_watch_stop(a->watch);
	client_watch_stop(start_state(a)->node_watch);
	kubelet_api_free(a->api);
	MAP_EACH(slot, &a->pods) {
		pod_close(slot->value);
		pod_unref(slot->value);
	}
	map_release(&a->pods, NULL);
	node_status_free(a->node);
	informer_free(a->services);
	object_refs_free(a->refs);
	recorder_free(a->events);
	runtime_free(a->runtime);
	network_free(a->network);
	if (a->jobs == 0)
		destroy(a);
}
