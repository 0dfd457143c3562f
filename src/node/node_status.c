/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node_status.h"

#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "node/image_pulls.h"

/* Freed by its owner while requests are under way: the last answer frees it then. */
struct node_status {
	struct agent *agent;
	struct node_facts facts;
	int port;
	bool registered, network_ready, ready_known;
	bool freed;
	unsigned requests;
	bool lease_busy, status_busy, dirty;
	char *node_uid;
	struct bytes *written; /* the status that the server has */
	const struct object *lease;
	struct loop_timer *register_timer, *lease_timer, *status_timer;
	int64_t register_backoff_ms, status_backoff_ms;
};

static void release(struct node_status *n)
{
	free(n->node_uid);
	bytes_unref(n->written);
	object_unref(n->lease);
	free(n);
}

static void request(struct node_status *n, struct client_request r)
{
	n->requests++;
	r.arg = n;
	client_do(n->agent->client, &r);
}

/* At the head of every answer: false when nobody waits for it any more. */
static bool answered(struct node_status *n)
{
	n->requests--;
	if (n->freed && n->requests == 0)
		release(n);
	else if (!n->freed)
		return true;
	return false;
}

static int64_t raise(int64_t *backoff_ms)
{
	*backoff_ms = *backoff_ms ? MIN_OF(*backoff_ms * 2, NODE_RETRY_MS_MAX) : NODE_RETRY_MS_FIRST;
	return *backoff_ms;
}

static struct node_describe describe(const struct node_status *n)
{
	const struct agent_config *c = &n->agent->cfg;

	return (struct node_describe){.facts = &n->facts,
				      .name = c->node_name,
				      .ip = c->node_ip,
				      .version = c->version,
				      .labels = c->node_labels,
				      .port = n->port,
				      .ready = n->network_ready,
				      .not_ready_message = "container runtime network not ready",
				      .images = image_pulls_node_images(n->agent->pulls),
				      .now_ns = now_ns()};
}

/* ---- status ---- */

static void write_status(void *arg);

static void on_status(void *arg, const struct status *err, struct object *obj)
{
	struct node_status *n = arg;

	if (!answered(n))
		return;
	n->status_busy = false;
	if (err) {
		log_warn("node status not written node=%s error=%s", n->agent->cfg.node_name, err->message);
		n->dirty = true;
		loop_timer_start(n->status_timer, raise(&n->status_backoff_ms));
		return;
	}
	n->status_backoff_ms = 0;
	bytes_unref(n->written);
	n->written = bytes_ref(obj->json);
	if (n->network_ready && !n->dirty && !n->ready_known) {
		n->ready_known = true;
		agent_node_ready(n->agent);
	}
	if (n->dirty)
		write_status(n);
	else
		loop_timer_start(n->status_timer, NODE_REPORT_MS);
}

static void write_status(void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct node_status *n = arg;
	struct json *patch = json_new(&a, JSON_OBJECT), *node = NULL;
	struct node_describe d = describe(n);
	struct json_error e;

	n->dirty = n->status_busy;
	if (n->status_busy)
		return;
	n->status_busy = true;
	if (n->written)
		json_parse(&a, n->written->data, n->written->len, &node, &e);
	json_set(&a, patch, "status", node_object_status(&a, &d, json_get(node, "status")));
	request(n, (struct client_request){.verb = CLIENT_PATCH,
					   .resource = resource_find("", "v1", "nodes"),
					   .name = n->agent->cfg.node_name,
					   .subresource = "status",
					   .body = patch,
					   .patch_type = "application/strategic-merge-patch+json",
					   .done = on_status});
}

void node_status_changed(struct node_status *n)
{
	if (n->registered && n->network_ready)
		write_status(n);
}

/* ---- lease ---- */

static void renew(void *arg);

static void on_lease(void *arg, const struct status *err, struct object *obj)
{
	struct node_status *n = arg;

	if (!answered(n))
		return;
	n->lease_busy = false;
	object_unref(n->lease);
	n->lease = NULL;
	if (!err) {
		n->lease = object_ref(obj);
		loop_timer_start(n->lease_timer, LEASE_RENEW_MS);
		return;
	}
	if (err->code != 409) /* somebody else's write: read it again */
		log_warn("node lease not renewed node=%s error=%s", n->agent->cfg.node_name, err->message);
	loop_timer_start(n->lease_timer, err->code == 409 || err->code == 404 ? 100 : 1000);
}

static struct json *lease_body(struct node_status *n, struct arena *a)
{
	const char *name = n->agent->cfg.node_name;
	struct json *lease, *spec, *owner;
	char text[TIME_RFC3339_MAX];

	if (n->lease) {
		lease = object_tree(n->lease, a);
	} else {
		lease = meta_object_new(a, "coordination.k8s.io/v1", "Lease", "kube-node-lease", name);
		if (n->node_uid) {
			owner = json_new(a, JSON_OBJECT);
			json_set_str(a, owner, "apiVersion", "v1");
			json_set_str(a, owner, "kind", "Node");
			json_set_str(a, owner, "name", name);
			json_set_str(a, owner, "uid", n->node_uid);
			meta_set_owner(a, lease, owner);
		}
	}
	spec = json_object_in(a, lease, "spec");
	json_set_str(a, spec, "holderIdentity", name);
	json_set_int(a, spec, "leaseDurationSeconds", LEASE_DURATION_S);
	json_set_str(a, spec, "renewTime", time_format_micro(now_ns(), text));
	return lease;
}

static void on_lease_read(void *arg, const struct status *err, struct object *obj)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct node_status *n = arg;

	if (!answered(n))
		return;
	if (!err)
		n->lease = object_ref(obj);
	if (err && err->code != 404) {
		n->lease_busy = false;
		loop_timer_start(n->lease_timer, 1000);
		return;
	}
	request(n, (struct client_request){.verb = err ? CLIENT_CREATE : CLIENT_UPDATE,
					   .resource = resource_find("coordination.k8s.io", "v1", "leases"),
					   .ns = "kube-node-lease",
					   .name = n->agent->cfg.node_name,
					   .body = lease_body(n, &a),
					   .done = on_lease});
}

static void renew(void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct node_status *n = arg;

	if (n->lease_busy)
		return;
	n->lease_busy = true;
	request(n, (struct client_request){.verb = n->lease ? CLIENT_UPDATE : CLIENT_GET,
					   .resource = resource_find("coordination.k8s.io", "v1", "leases"),
					   .ns = "kube-node-lease",
					   .name = n->agent->cfg.node_name,
					   .body = n->lease ? lease_body(n, &a) : NULL,
					   .done = n->lease ? on_lease : on_lease_read});
}

/* ---- registration ---- */

static void take_node(struct node_status *n, const struct object *obj)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *node = object_tree(obj, &a);

	n->registered = true;
	free(n->node_uid);
	n->node_uid = xstrdup(obj->uid);
	bytes_unref(n->written);
	n->written = bytes_ref(obj->json);
	renew(n);
	agent_registered(n->agent, json_path_str(node, "spec.podCIDR"));
}

static void register_again(struct node_status *n, const struct status *err)
{
	log_warn("node not registered node=%s error=%s", n->agent->cfg.node_name, err->message);
	loop_timer_start(n->register_timer, raise(&n->register_backoff_ms));
}

static void on_labelled(void *arg, const struct status *err, struct object *obj)
{
	struct node_status *n = arg;

	if (!answered(n))
		return;
	if (err)
		register_again(n, err);
	else
		take_node(n, obj);
}

/* It is there from before: only its labels are brought up to date; the status follows. */
static void label_node(struct node_status *n)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct node_describe d = describe(n);
	struct json *node = node_object(&a, &d), *patch = json_new(&a, JSON_OBJECT);

	json_set_path(&a, patch, "metadata.labels", json_clone(&a, json_path(node, "metadata.labels")));
	request(n, (struct client_request){.verb = CLIENT_PATCH,
					   .resource = resource_find("", "v1", "nodes"),
					   .name = n->agent->cfg.node_name,
					   .body = patch,
					   .patch_type = "application/merge-patch+json",
					   .done = on_labelled});
}

static void on_created(void *arg, const struct status *err, struct object *obj)
{
	struct node_status *n = arg;

	if (!answered(n))
		return;
	if (!err)
		take_node(n, obj);
	else if (err->code == 409)
		label_node(n);
	else
		register_again(n, err);
}

static void register_node(void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct node_status *n = arg;
	struct node_describe d = describe(n);

	request(n, (struct client_request){.verb = CLIENT_CREATE,
					   .resource = resource_find("", "v1", "nodes"),
					   .name = n->agent->cfg.node_name,
					   .body = node_object(&a, &d),
					   .done = on_created});
}

/* ---- life ---- */

struct node_status *node_status_new(struct agent *a)
{
	struct node_status *n = NEW(struct node_status);

	n->agent = a;
	node_facts_read(&n->facts, a->cfg.data_dir, a->cfg.pods_max);
	n->register_timer = loop_timer_new(a->loop, register_node, n);
	n->lease_timer = loop_timer_new(a->loop, renew, n);
	n->status_timer = loop_timer_new(a->loop, write_status, n);
	return n;
}

void node_status_start(struct node_status *n)
{
	register_node(n);
}

void node_status_network_ready(struct node_status *n)
{
	n->network_ready = true;
	write_status(n);
}

void node_status_set_port(struct node_status *n, int port)
{
	n->port = port;
}

void node_status_free(struct node_status *n)
{
	if (!n)
		return;
	loop_timer_free(n->register_timer);
	loop_timer_free(n->lease_timer);
	loop_timer_free(n->status_timer);
	n->freed = true;
	if (n->requests == 0)
		release(n);
}

void node_allocatable(const struct node_status *n, int64_t *cpu_milli, int64_t *memory, int64_t *storage)
{
	*cpu_milli = n->facts.cpus * 1000;
	*memory = n->facts.memory;
	*storage = n->facts.storage - n->facts.storage / 10;
}

int64_t node_memory(const struct node_status *n)
{
	return n->facts.memory;
}
