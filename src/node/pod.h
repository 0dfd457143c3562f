/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pod worker: one state machine for each pod of this node, driven by the API watch, the runtime's events, timers
 * and probes. Events record and schedule; pod_sync decides, at the end of the loop's turn.
 *
 *     NEW ──► VOLUMES ──► SANDBOX ──► RUNNING ──► STOPPING ──► REMOVING ──► FINISHED ──► DELETING ──► GONE
 *      │         │           │          ▲  │          ▲           │  ▲         │
 *      │         └───────────┴──────────┼──┼──────────┘           │  │         └ waits until the API object is deleted
 *      │                                └──┴─ sandbox lost ► VOLUMES │
 *      └─────────────────────────────────────────────────────────────┘ deleted before anything was made
 *
 * VOLUMES: waits for the objects that volumes and environments refer to, and makes the volumes. SANDBOX: namespaces and
 * network. RUNNING: pod_plan says which containers to start. STOPPING: containers are told to end. REMOVING: the
 * sandbox, the address and the volumes go. FINISHED: the status is final; the API object may live on. DELETING: it is
 * being deleted with grace period 0. GONE: memory goes when the last job that holds the pod ends.
 */
#ifndef PROA_NODE_POD_H
#define PROA_NODE_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/vec.h"
#include "network/network.h"
#include "node/container.h"
#include "node/pod_plan.h"
#include "node/volume.h"

struct agent;
struct arena;
struct bytes;
struct container_status;
struct exec_run;
struct hook;
struct loop_defer;
struct loop_timer;
struct node_ref;
struct object;
struct pod;
struct probe;
struct status;
struct token;

enum pod_state {
	POD_NEW,
	POD_VOLUMES,
	POD_SANDBOX,
	POD_RUNNING,
	POD_STOPPING,
	POD_REMOVING,
	POD_FINISHED,
	POD_DELETING,
	POD_GONE,
};

enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBE_KINDS };

struct pod_container {
	struct container c; /* first: pod_plan and pod_status take pointers to it */
	struct pod *pod;
	struct probe *probes[PROBE_KINDS];
	struct hook *hook; /* postStart or preStop under way */
	char *image_ref;   /* "sha256:…" held by image_use */
	char *termination_path, *log_path;
	int stop_signal;       /* 0: SIGTERM */
	int64_t stop_by_ms;    /* monotonic; 0: not being stopped */
	bool stop_sent;	       /* the runtime was told */
	bool fallback_to_logs; /* terminationMessagePolicy */
	int64_t probe_grace_s; /* the failed probe's own terminationGracePeriodSeconds; -1: the pod's */
};

/* A change of resources, see pod_resize.c. */
struct pod_resizing {
	bool look;	    /* the spec, or the room on the node, may be another */
	const char *reason; /* static; Deferred or Infeasible: what the spec asks for is not allocated. NULL: it is */
	char *message;
	struct resources_given resources; /* of the pod as a whole: spec.resources */
	bool under_way;			  /* not all that is allocated is applied */
	bool widened;			  /* the pod's group is large enough for what was and what is to be */
	bool last;	    /* the round under way brings the group to its size: nothing is left after it */
	unsigned calls;	    /* under way at the runtime */
	char *error, *told; /* of the last round; what an event has told */
	int64_t retry_ms;   /* monotonic: when a failed round is tried again; 0: at once */
};

struct pod {
	struct agent *agent;
	unsigned refs; /* the agent's map, and each job or request under way */
	char *ns, *name, *uid;
	char *dir;		     /* DATA_DIR/pods/UID: volumes, upper directories */
	char *log_dir;		     /* LOG_DIR/NS_NAME_UID */
	const struct object *object; /* as the API has it, or last had it */
	enum pod_state state;
	struct pod_container **containers; /* init containers first, then main, then ephemeral */
	enum restart_policy *policies;	   /* of each */
	size_t n_containers;
	enum restart_policy restart_policy;
	bool host_network;
	VEC(struct volume) volumes;
	VEC(struct node_ref *) object_refs;
	VEC(struct token *) tokens;
	char ip[NETWORK_IP_MAX]; /* "" until there is one */
	bool sandbox_made;	 /* the runtime knows the pod */
	bool sandbox_ready;	 /* with its network */
	bool volumes_ready;
	bool busy;	     /* one operation of the pod as a whole is under way (sandbox, removal, delete) */
	bool listed;	     /* in the list that is being received */
	bool api_gone;	     /* the object isn't there any more */
	bool finished;	     /* nothing runs and nothing will */
	bool update_volumes; /* a referenced object changed */
	int64_t start_ns;
	int64_t stop_by_ms; /* monotonic: when the grace period ends; 0: not stopping */
	const char *reason; /* static; set when the pod as a whole was ended: DeadlineExceeded, … */
	char *message;
	char *problem; /* last FailedMount or FailedCreatePodSandBox message, so that an event tells it once */
	struct backoff sandbox_backoff;
	int64_t retry_ms; /* monotonic: when VOLUMES or SANDBOX is tried again; 0: by an event only */
	struct loop_defer *sync;
	struct loop_timer *timer;
	/* status writes */
	struct bytes *written; /* the status that the server was last given, serialised */
	struct bytes *sending;
	bool status_dirty;
	struct loop_timer *status_timer;
	int64_t status_backoff_ms;
	struct pod_resizing resize;
};

const char *pod_state_name(enum pod_state s);
bool pod_can_move(enum pod_state from, enum pod_state to);

/* ---- life (pod.c) ---- */
struct pod *pod_worker_new(struct agent *a, const struct object *o);
struct pod *pod_ref(struct pod *p);
void pod_unref(struct pod *p);
void pod_close(struct pod *p);				 /* stops everything about it here; what runs keeps running */
void pod_changed(struct pod *p, const struct object *o); /* the API object was changed */
void pod_api_deleted(struct pod *p);
void pod_wake(struct pod *p); /* sync at the end of this turn */
void pod_move(struct pod *p, enum pod_state to);
bool pod_deleting(const struct pod *p);
/* The pod as a whole ends: phase Failed with this reason. */
void pod_fail(struct pod *p, const char *reason, const char *message);
/* Tells why it cannot start, once, and tries again with back-off. */
void pod_problem(struct pod *p, const char *reason, const struct status *err);
struct pod_container *pod_container_named(struct pod *p, const char *name);
struct pod_container *pod_container_by_id(struct pod *p, const char *id);
struct json *pod_tree(const struct pod *p, struct arena *a);
/* The Container spec in that tree. */
const struct json *pod_container_spec(const struct json *tree, const struct pod_container *pc);
void pod_event(struct pod *p, struct pod_container *pc, const char *type, const char *reason, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

/* ---- sandbox (pod_sandbox.c) ---- */
void pod_sandbox_make(struct pod *p);
void pod_sandbox_remove(struct pod *p);
void pod_sandbox_lost(struct pod *p, const char *why);
/* The runtime has the pod already: its containers' states are taken over. */
void pod_adopt(struct pod *p, const struct container_status *containers, int n);
/* The record knows the pod, the runtime doesn't: what ran has ended. */
void pod_adopt_nothing(struct pod *p);
/* No record either (the node was rebooted): restart counts are those of the API's status. */
void pod_take_history(struct pod *p);
/* The API says that it has ended: its containers are as the status says, nothing is reported. */
void pod_ended_before(struct pod *p);

/* ---- volumes (pod_volumes.c) ---- */
void pod_volumes_need(struct pod *p); /* starts to watch what is referred to and asks for tokens */
/* 0: all there. -EAGAIN: something isn't known yet. Other errors: err says what is missing or wrong. */
int pod_volumes_make(struct pod *p, struct status *err);
void pod_volumes_update(struct pod *p);
void pod_volumes_remove(struct pod *p);	 /* what is on disk */
void pod_volumes_release(struct pod *p); /* memory, watches, tokens */
void pod_volume_input(struct pod *p, struct json *tree, struct arena *a, struct volume_input *ret);

/* ---- containers (pod_start.c, pod_stop.c) ---- */
void pod_container_start(struct pod_container *pc);
/* What the runtime tells. */
void pod_container_running(struct pod_container *pc, const struct container_status *st);
void pod_container_exited(struct pod_container *pc, const struct container_status *st);
/* grace_ms counts from now; message is for the Killing event, NULL: the usual one. Again: only shortens. */
void pod_container_stop(struct pod_container *pc, int64_t grace_ms, const char *message);
void pod_container_free(struct pod_container *pc);
void pod_stop_containers(struct pod *p); /* in STOPPING: tells those that may be told by now */
bool pod_any_alive(const struct pod *p);
int64_t pod_grace_ms(const struct pod *p);

/* ---- what survives the agent (pod_record.c) ---- */
void pod_record_save(struct pod *p);
/* Fills restarts, ids, exits and times from the record; false: there is none. */
bool pod_record_load(struct pod *p);
void pod_record_remove(struct agent *a, const char *uid);

/* ---- resources that change (pod_resize.c) ---- */
void pod_resize(struct pod *p);	       /* in RUNNING, at each sync */
void pod_resize_room(struct agent *a); /* somebody needs less: pods that wait for room look again */
void pod_resize_release(struct pod *p);
/* The pod's group, a container, is made with what this (or its spec in it), from pod_allocated_tree, says. */
void pod_resize_made(struct pod *p, const struct json *tree);
void pod_resize_started(struct pod_container *pc, const struct json *container);
/* The pod's object with what the node has set aside for its containers. */
struct json *pod_allocated_tree(const struct pod *p, struct arena *a);

/* ---- status (pod_report.c) ---- */
void pod_report(struct pod *p);		      /* computes the status and sends it when it differs */
bool pod_report_settled(const struct pod *p); /* the server has the latest */
void pod_delete_object(struct pod *p);
void pod_report_release(struct pod *p);

/* ---- files in containers (pod_files.c) ---- */
struct pod_files {
	const char *hosts, *resolv, *hostname; /* paths; in the arena */
	const char *hostname_text;
};
int pod_files_write(struct pod *p, const struct json *tree, struct arena *a, struct pod_files *ret, struct status *err);
/* The pod's own host name, cut to what the kernel takes. */
const char *pod_hostname(const struct json *tree, struct arena *a);

#endif
