/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container runtime, as the node agent uses it: asynchronous on the agent's loop. Every pod has a proa-shim of its
 * own, which owns the pod's namespaces, supervises its containers and writes their logs; this side starts shims, talks
 * to them over RUN_DIR/pods/<uid>/shim.sock and takes them over again after a restart (runtime_recover). Requests are
 * queued until the shim listens, so that no caller has to wait between runtime_pod_create and the next call.
 *
 * Callbacks: every operation with a `done` calls it exactly once, in a later turn or in this one, never after
 * runtime_free. err is NULL on success; else code 4xx: the container's own fault (message for the user), 404: no such
 * pod or container, 409: exists or wrong state, 5xx: ours or the machine's. Reasons used: "StartError" (code 400, the
 * command cannot be executed: upstream's exit code 128 or 127), "CreateContainerConfigError" (user, mounts).
 * Pods and containers are named by pod uid and container id. Strings passed in are copied before the call returns.
 * Descriptors passed in are duplicated: they stay the caller's and may be closed after the call.
 */
#ifndef PROA_RUNTIME_RUNTIME_H
#define PROA_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/spec.h"

struct loop;
struct runtime;
struct status;

struct runtime_config {
	const char *run_dir; /* shims and sockets are below RUN_DIR/pods, 0700; compiled filters in RUN_DIR/seccomp */
	const char *cgroup_root; /* "proa-<cluster id>": created at the root of every hierarchy. May have slashes */
	const char *shim;	 /* path of the proa-shim executable */
	int64_t log_size_max;	 /* rotate a container's log beyond this; 0: 10 MiB */
	int log_files_max;	 /* how many to keep, the current one included; 0: 5 */
};

struct runtime_events {
	/* The container is running, or has exited (st->state). For exits known at recovery: called after on_pod. */
	void (*on_container)(void *arg, const char *pod_uid, const struct container_status *st);
	/* The pod's shim is gone without being told to: its processes were killed, cgroup and directory removed. */
	void (*on_pod_lost)(void *arg, const char *pod_uid, const char *why);
};

/* 0 or negative errno with err set: not root, no cgroups, no executable shim. */
int runtime_new(struct loop *l, const struct runtime_config *c, const struct runtime_events *ev, void *arg,
		struct runtime **ret, struct status *err);
void runtime_free(struct runtime *r); /* pods keep running */
const char *runtime_version(void);

/*
 * Finds the pods that run already: on_pod for each one that was taken over, with its containers' states (also for
 * exited containers not yet removed); then done. What is damaged or whose shim is dead is cleaned up (processes,
 * cgroup, directory) and reported by on_pod_lost. Call once, before any other operation.
 */
typedef void (*runtime_recovered_fn)(void *arg, const char *pod_uid, const struct container_status *containers, int n);
typedef void (*runtime_done_fn)(void *arg, const struct status *err);
void runtime_recover(struct runtime *r, runtime_recovered_fn on_pod, runtime_done_fn done, void *arg);

/* ---- pods ---- */
/* done: the namespaces exist, runtime_pod_netns works. 409 when there is one with that uid. */
void runtime_pod_create(struct runtime *r, const struct pod_spec *s, runtime_done_fn done, void *arg);
/* A new descriptor of the pod's network namespace, the caller's to close; -ENOENT, -EOPNOTSUPP with host_network. */
int runtime_pod_netns(struct runtime *r, const char *pod_uid);
int runtime_pod_pid(struct runtime *r, const char *pod_uid); /* of its shim; -ENOENT */
void runtime_pod_update(struct runtime *r, const char *pod_uid, const struct spec_resources *res, runtime_done_fn done,
			void *arg);
/*
 * Kills whatever still runs (without grace: stop containers first), removes namespaces, cgroup and directory, ends the
 * shim. An unknown pod is no error. done comes when all of it is gone.
 */
void runtime_pod_remove(struct runtime *r, const char *pod_uid, runtime_done_fn done, void *arg);

/* ---- containers ---- */
/*
 * Makes the container; with start it also runs its command (one round trip: what the agent wants), else it waits for
 * runtime_container_start. fds: O_PATH descriptors that mounts refer to by source_fd_index. On failure nothing is left.
 */
void runtime_container_create(struct runtime *r, const char *pod_uid, const struct container_spec *s, const int *fds,
			      int n_fds, bool start, runtime_done_fn done, void *arg);
void runtime_container_start(struct runtime *r, const char *pod_uid, const char *id, runtime_done_fn done, void *arg);
/* One signal to the container's first process. 409 when it does not run. */
void runtime_container_signal(struct runtime *r, const char *pod_uid, const char *id, int signum, runtime_done_fn done,
			      void *arg);
/*
 * signum (0: SIGTERM), and SIGKILL to everything in it after grace_ms, kept by the shim even when the agent is away.
 * grace_ms 0 kills at once. Again with a shorter grace: shortens. done: accepted; the exit comes by on_container.
 */
void runtime_container_stop(struct runtime *r, const char *pod_uid, const char *id, int signum, int64_t grace_ms,
			    runtime_done_fn done, void *arg);
/* Forgets an exited or created container and removes its cgroup; 409 while it runs. Its log and upperdir are the
 * caller's. */
void runtime_container_remove(struct runtime *r, const char *pod_uid, const char *id, runtime_done_fn done, void *arg);
void runtime_container_update(struct runtime *r, const char *pod_uid, const char *id, const struct spec_resources *res,
			      runtime_done_fn done, void *arg);
/* The last known state, without asking anybody. False: no such container. */
bool runtime_container_status(struct runtime *r, const char *pod_uid, const char *id, struct container_status *ret);
/* Window size of the container's terminal. */
void runtime_container_resize(struct runtime *r, const char *pod_uid, const char *id, int rows, int columns,
			      runtime_done_fn done, void *arg);

/* ---- streams ---- */
/*
 * Runs a process in the container, with its namespaces, cgroup, user (unless p->user or run_as_* are set), capabilities
 * and filter. Of p are used: args, env (added to and replacing the container's), cwd, user fields, tty. fds: its stdin,
 * stdout, stderr; -1: /dev/null. With tty fds are ignored and started hands over the terminal's master, the receiver's
 * to close; resize by TIOCSWINSZ on it. started, then exited; only started when it carries an error. kill_on_close:
 * SIGKILL when the agent's connection goes (probes).
 */
typedef void (*runtime_exec_started_fn)(void *arg, int tty_fd, int pid, const struct status *err);
typedef void (*runtime_exec_exited_fn)(void *arg, int exit_code, const struct status *err);
void runtime_exec(struct runtime *r, const char *pod_uid, const char *id, const struct container_spec *p,
		  const int fds[3], runtime_exec_started_fn started, runtime_exec_exited_fn exited, void *arg);
/* SIGKILL to an exec'd process, by the pid that started told. */
void runtime_exec_kill(struct runtime *r, const char *pod_uid, int pid, runtime_done_fn done, void *arg);
/*
 * Connects descriptors (pipes or sockets; -1: not wanted) to the container's own streams: fds[0] is read into its
 * stdin, its output from now on is written to fds[1] and fds[2]. The shim closes its copies when the container exits;
 * it drops an attach whose reader stalls (ATTACH_STALL_MS). Several at a time are fine, ATTACH_MAX.
 */
void runtime_attach(struct runtime *r, const char *pod_uid, const char *id, const int fds[3], runtime_done_fn done,
		    void *arg);
/* Starts a new log file now (the old one is renamed as at the size limit): for those who rotate by themselves. */
void runtime_container_reopen_log(struct runtime *r, const char *pod_uid, const char *id, runtime_done_fn done,
				  void *arg);

/* ---- usage: read from the cgroup at once, a few small files ---- */
struct runtime_stats {
	int64_t cpu_usage_ns;	    /* since creation */
	int64_t memory_usage;	    /* bytes, page cache included */
	int64_t memory_working_set; /* usage without inactive file pages: what eviction looks at */
	int64_t memory_rss;
	int64_t page_faults, major_page_faults;
	int64_t pids;
};
int runtime_container_stats(struct runtime *r, const char *pod_uid, const char *id, struct runtime_stats *ret);
int runtime_pod_stats(struct runtime *r, const char *pod_uid, struct runtime_stats *ret);

#endif
