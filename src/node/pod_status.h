/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PodStatus from what the agent knows: a pure function, by the rules of upstream's kubelet (phase, conditions,
 * container statuses). Conditions keep their lastTransitionTime while their status doesn't change, and conditions that
 * others own are left alone.
 */
#ifndef PROA_NODE_POD_STATUS_H
#define PROA_NODE_POD_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/pod_plan.h"

struct arena;
struct container;
struct json;
struct resources_given;

struct pod_facts {
	const struct json *pod;	     /* the API object; its status is the previous one unless `previous` is set */
	const struct json *previous; /* the status that was last written, or NULL */
	const struct container *const *containers;
	const enum restart_policy *policies; /* of each container */
	size_t n_containers;
	enum restart_policy restart_policy; /* the pod's */
	const char *pod_ip, *host_ip;	    /* NULL: not known (yet) */
	bool sandbox_ready;
	bool finished; /* nothing runs any more and nothing will */
	bool deleting;
	const char *reason, *message; /* of the whole pod: DeadlineExceeded, …; reason set means it failed */
	const struct resources_given *resources;    /* of the pod as a whole; NULL: as its spec says */
	const char *resize_reason, *resize_message; /* of a resize that waits; NULL: none does */
	bool resizing;
	const char *resize_error; /* of the last try; NULL: none */
	int64_t start_ns;	  /* when the agent took the pod */
	int64_t now_ns;
};

/* A new status object in a. */
struct json *pod_status(struct arena *a, const struct pod_facts *f);
/* "Guaranteed", "Burstable", "BestEffort": from the resources of all containers. */
const char *pod_qos(const struct json *pod);
const char *pod_phase(const struct pod_facts *f);

#endif
