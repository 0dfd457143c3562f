/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a controller is made of: the environment it is started in, its queues, and its handlers on shared informers.
 * Queues are started when every informer is synced and freed before the controller's stop() is called; handlers are
 * removed by then too, so that stop() only frees.
 */
#ifndef PROA_CONTROLLERS_CONTROLLER_H
#define PROA_CONTROLLERS_CONTROLLER_H

#include <stdlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "client/events.h"
#include "client/informer.h"
#include "client/workqueue.h"
#include "controllers/controllers.h"

struct controller_env {
	struct client *client;
	struct loop *loop;
	struct informers *informers;
	const struct controllers_config *config;
	struct controllers *owner;
};

struct controller_ops {
	const char *name;				/* "replicaset-controller": also the source of its events */
	void *(*start)(const struct controller_env *e); /* NULL: not wanted by this configuration */
	void (*stop)(void *c);
};

extern const struct controller_ops namespace_controller, serviceaccount_controller, root_ca_controller,
    replicaset_controller, deployment_controller, garbage_controller, node_lifecycle_controller,
    taint_eviction_controller, node_ipam_controller, pod_gc_controller, endpoints_controller, endpointslice_controller,
    resourcequota_controller, disruption_controller, protection_controller;

extern const struct controller_ops certificates_controller, role_aggregation_controller, token_secret_controller,
    bootstrap_token_controller, trust_bundle_controller;

/* A queue that is started and freed with the others; name must be static. */
struct workqueue *controller_queue(const struct controller_env *e, const char *name, sync_fn sync, void *arg);
/* The shared informer with these handlers; NULL handlers: only to read. The resource must exist. */
struct informer *controller_watch(const struct controller_env *e, const char *group, const char *plural,
				  const struct informer_handlers *h);
struct recorder *controller_recorder(const struct controller_env *e, const char *component);

/*
 * The shared informers of every resource that can be listed, watched and deleted, one a group and plural; for
 * controllers that look at everything there is (garbage, namespaces). h is added to each with its own arg: a struct
 * anything_hook.
 */
struct anything {
	struct informer **at;
	size_t n;
};
struct anything_hook {
	void *arg;
	struct informer *informer;
};
struct anything controller_watch_anything(const struct controller_env *e, const struct informer_handlers *h);
void anything_release(struct anything *a);

/* Handlers that add the object's own key to a queue; arg is the queue. */
void enqueue_on_add(void *queue, struct object *obj);
void enqueue_on_update(void *queue, struct object *old, struct object *obj);
void enqueue_on_delete(void *queue, struct object *obj);
struct informer_handlers enqueue_handlers(struct workqueue *q);

/*
 * Writes the difference between the object and what its tree was edited to, as a merge patch; nothing when they are
 * equal (done is not called then and false is returned). subresource "status" or NULL. With guard, the patch names the
 * resourceVersion and fails with a conflict when somebody was faster.
 */
bool sync_patch(struct sync *s, struct client *c, struct object *o, struct json *edited, const char *subresource,
		bool guard, sync_done_fn done, void *arg);
/* Deletes with a uid precondition; that it is gone already is no failure. */
void sync_delete(struct sync *s, struct client *c, const struct object *o, const char *propagation, sync_done_fn done,
		 void *arg);

#endif
