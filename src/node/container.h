/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent knows of one container of a pod. Plain data: the pod worker (pod.c) fills it from what the runtime
 * reports, pod_plan.c decides from it what to do next, pod_status.c tells the API server about it.
 *
 * The declared transitions (container_can_move):
 *
 *     WAITING ──► STARTING ──► RUNNING ──► STOPPING
 *        ▲           │            │            │
 *        └── error ──┤            ▼            ▼
 *                    └─────────► EXITED ◄──────┘ ──► STARTING (again)
 *
 * WAITING: never ran in this sandbox. An error before it ran (image, configuration) goes back to WAITING, or to EXITED
 * when it had run before; waiting_reason says why and retry_ms when it is tried again.
 */
#ifndef PROA_NODE_CONTAINER_H
#define PROA_NODE_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "node/backoff.h"

struct json;

enum container_kind {
	CONTAINER_INIT,	   /* runs to its end before the next one starts */
	CONTAINER_SIDECAR, /* an init container with restartPolicy Always: runs beside the others */
	CONTAINER_MAIN,
	CONTAINER_EPHEMERAL, /* for debugging: started once, never again */
};

enum container_stage {
	STAGE_WAITING,
	STAGE_STARTING,
	STAGE_RUNNING,
	STAGE_STOPPING, /* told to end: still running for the API */
	STAGE_EXITED,
};

struct container_exit {
	bool valid;
	int code, signal;
	const char *reason; /* static: Completed, Error, OOMKilled, … */
	char *message;	    /* from its terminationMessagePath or log; NULL: none */
	char *id;	    /* of the incarnation that ended */
	int64_t started_ns, finished_ns;
};

/* ResourceRequirements as JSON: what the node has set aside, and what is in force. NULL: never started. */
struct resources_given {
	char *allocated, *applied;
};

struct container {
	char *name;
	enum container_kind kind;
	enum container_stage stage;
	unsigned restarts;
	char *id;	    /* of the current or latest incarnation; NULL: none yet */
	char *image_id;	    /* "sha256:…", NULL: not resolved yet */
	char *image_digest; /* "docker.io/library/nginx@sha256:…", as the status shows it; NULL: the image has none */
	char *pull_error;   /* of the last pull, for the back-off's message */
	int64_t started_ns;
	const char *waiting_reason; /* static; NULL: what is usual for the pod's stage */
	char *waiting_message;
	bool started;		    /* the startup probe passed, or there is none (and it runs) */
	bool ready;		    /* the readiness probe says so, or there is none (and it is started) */
	struct container_exit exit; /* of the current incarnation once it ended */
	struct container_exit last; /* of the one before */
	struct resources_given resources;
	bool start_again;	     /* ended for a change of its resources: whatever the restart policy says */
	int64_t exited_ms, retry_ms; /* monotonic; retry_ms 0: no failed try to wait for */
	struct backoff restart_backoff, pull_backoff;
};

const char *container_stage_name(enum container_stage s);
bool container_can_move(enum container_stage from, enum container_stage to);
/* Asserts that the move is declared, and traces it. */
void container_move(struct container *c, enum container_stage to);
void container_release(struct container *c);
void resources_given_release(struct resources_given *g);
void container_exit_release(struct container_exit *e);
/* It runs no more and never again: what "terminal" means depends on the policy, see pod_plan.h. */
static inline bool container_is_alive(const struct container *c)
{
	return c->stage == STAGE_STARTING || c->stage == STAGE_RUNNING || c->stage == STAGE_STOPPING;
}
/* reason must be static; message is copied. NULL, NULL clears. */
void container_set_waiting(struct container *c, const char *reason, const char *message);

#endif
