/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do next with the containers of a pod that has its sandbox: a pure function of what is known and of the time.
 *
 * Init containers run one after another, each to success; a sidecar has to be started before what follows it starts.
 * Then all main containers start. Ended containers are started again as the restart policy says, with back-off. When
 * no main container runs or will run, sidecars are stopped in reverse order and the pod is finished.
 */
#ifndef PROA_NODE_POD_PLAN_H
#define PROA_NODE_POD_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct container;

enum restart_policy { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };

enum plan_step {
	PLAN_KEEP,
	PLAN_START,
	PLAN_WAIT, /* would start, but its back-off isn't over */
	PLAN_STOP,
};

struct plan {
	bool initialized; /* every init container has done its part */
	bool init_failed; /* one ended badly and may not be restarted: the pod has failed */
	bool finished;	  /* nothing runs, nothing will */
	int64_t wake_ms;  /* when to plan again if nothing happens; -1: not needed */
};

/* Whether a container that ended so is started again. policy is the container's own or else the pod's. */
bool plan_restarts(enum restart_policy policy, const struct container *c);
/* steps has n elements, in the order of c: init containers first. policies likewise. */
void pod_plan(const struct container *const *c, const enum restart_policy *policies, size_t n, int64_t now_ms,
	      enum plan_step *steps, struct plan *ret);

#endif
