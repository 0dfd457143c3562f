/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controllers: each watches some kinds and drives the cluster towards what their specs say, one `sync(key)` at a
 * time. They run in the server's process on its own objects (the in-process client) or anywhere over HTTP. A controller
 * is a row of the table in controllers.c and a file of its own; where its decisions are more than a few lines they are
 * pure functions (deployment_plan.h, …) without client or clock.
 */
#ifndef PROA_CONTROLLERS_CONTROLLERS_H
#define PROA_CONTROLLERS_CONTROLLERS_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct controllers;
struct informers;

#define NODE_MONITOR_GRACE_MS 40000 /* upstream's --node-monitor-grace-period: four missed lease renewals */
#define NODE_CIDR_BITS_DEFAULT 24   /* upstream's --node-cidr-mask-size-ipv4 */
#define POD_GC_TERMINATED_MAX 12500 /* upstream's --terminated-pod-gc-threshold */

struct arena;
struct certificate_authority;
struct json;

struct token_signer {
	void *self;
	char *(*sign)(void *self, struct arena *a, const struct json *claims); /* in a; NULL: failed */
};

struct controllers_config {
	struct client *client;	     /* borrowed; freed after controllers_stop */
	struct informers *informers; /* borrowed, to be shared with the scheduler; NULL: own ones */
	const char *cluster_cidr;    /* "10.42.0.0/16": nodes get their podCIDR from it; NULL: they don't */
	int node_cidr_bits;	     /* 0: NODE_CIDR_BITS_DEFAULT */
	const char *root_ca_pem;     /* published as ConfigMap kube-root-ca.crt in each namespace; NULL: not */
	const struct certificate_authority *ca;	 /* api/csr.h: signs certificate requests; NULL: nobody does */
	const struct token_signer *token_signer; /* of Secrets with service account tokens; NULL: they stay empty */
	int64_t node_monitor_grace_ms;		 /* 0: NODE_MONITOR_GRACE_MS */
	unsigned terminated_pods_max;		 /* 0: POD_GC_TERMINATED_MAX */
};

/* Strings are copied. Nothing is written before all caches are filled. */
struct controllers *controllers_start(const struct controllers_config *c);
void controllers_stop(struct controllers *c); /* NULL-safe */
/* Nothing waits and nothing is in progress (delayed retries apart): for tests and simulation. */
bool controllers_idle(const struct controllers *c);

#endif
