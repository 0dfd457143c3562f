/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's insides: what its files share. See agent.h for what it is. */
#ifndef PROA_NODE_AGENT_INTERNAL_H
#define PROA_NODE_AGENT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "node/agent.h"

struct client_watch;
struct image_pulls;
struct image_store;
struct informer;
struct kubelet_api;
struct loop_timer;
struct network;
struct node_status;
struct object_refs;
struct pod;
struct recorder;
struct runtime;

struct agent {
	struct agent_config cfg; /* strings are ours; tls is not kept */
	struct loop *loop;
	struct client *client;
	struct runtime *runtime;
	struct image_store *images;
	struct image_pulls *pulls;
	struct network *network; /* NULL until it is up */
	struct recorder *events;
	struct object_refs *refs;
	struct informer *services;
	struct client_watch *watch; /* of this node's pods */
	struct node_status *node;
	struct kubelet_api *api;
	struct map pods;  /* uid -> struct pod */
	bool pods_synced; /* the first list is complete: what isn't in it is an orphan */
	bool ready_told;
	bool closing;	/* agent_free was called; memory goes with the last job */
	unsigned jobs;	/* worker jobs and requests that hold this struct */
	int64_t memory; /* capacity, bytes */
	/* agent_stop_pods */
	bool stopping;
	int stop_grace_s;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

void agent_job_begin(struct agent *a);
void agent_job_end(struct agent *a); /* may free a when it is closing */
/* A pod has gone: a stop that waits for it may be complete. */
void agent_pod_gone(struct agent *a);
void agent_failed(struct agent *a, const char *message);
/* The node is registered: network and pods may start. pod_cidr NULL: the Node has none. */
void agent_registered(struct agent *a, const char *pod_cidr);
/* The server knows that this node is Ready. */
void agent_node_ready(struct agent *a);

#endif
