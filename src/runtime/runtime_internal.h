/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side: runtime.c (pods), runtime_calls.c (containers), runtime_recover.c. */
#ifndef PROA_RUNTIME_RUNTIME_INTERNAL_H
#define PROA_RUNTIME_RUNTIME_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "base/status.h"
#include "runtime/cgroup.h"
#include "runtime/frame.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

struct arena;
struct json;
struct loop_fd;
struct loop_timer;

struct runtime {
	struct loop *loop;
	char *run_dir, *pods_dir, *cgroup_root;
	int64_t log_size_max;
	int log_files_max;
	int exe; /* read-only clone of the shim's executable */
	struct cgroup_layout layout;
	struct runtime_events events;
	void *arg;
	struct map pods; /* uid -> struct pod */
	uint64_t last_id;
	/* recovery */
	runtime_recovered_fn on_pod;
	runtime_done_fn recovered;
	void *recover_arg;
	int recovering; /* pods that have not answered yet, and the scan itself */
};

struct request {
	struct list link;
	uint64_t id;
	int type;
	runtime_done_fn done;
	runtime_exec_started_fn started;
	runtime_exec_exited_fn exited;
	void *arg;
};

struct pod {
	struct runtime *r;
	char *uid, *dir;
	struct pod_state state;
	int pidfd;
	struct loop_fd *pid_watch, *conn_watch;
	struct frame_conn frames;
	struct list requests;
	struct map containers; /* id -> struct container_status, malloc'd */
	bool created, removing, dead;
	int protocol; /* frame.h; of its shim */
	/* Told once the shim and all traces are gone. */
	runtime_done_fn gone;
	void *gone_arg;
	struct status why; /* of a failed creation */
	struct loop_timer *retry;
	int retries;
	char *lost; /* why, to report to on_pod_lost; NULL: nobody need know */
};

/* runtime.c */
bool pod_uid_valid(const char *s);
struct pod *pod_find(struct runtime *r, const char *uid);
struct pod *pod_new(struct runtime *r, const char *uid);
int pod_watch(struct pod *p, int pidfd, int conn);
void pod_cleanup(struct pod *p, const char *lost); /* its shim is gone: removes what is left, tells, frees p */
void call_later(struct runtime *r, runtime_done_fn done, void *arg, int code, const char *message);
/* Sends; the answer completes the request. On failure done is called with the error, and NULL is returned. */
struct request *pod_call(struct pod *p, int type, struct arena *a, struct json *body, const int *fds, int n_fds,
			 runtime_done_fn done, void *arg);
/* runtime_recover.c */
void recover_answered(struct pod *p, const struct json *body);
void recover_step(struct runtime *r); /* one fewer to wait for */

#define KILL_RETRIES_MAX 12 /* of a dead shim's processes: 2 ms doubling to 1 s, together 5 s */

#endif
