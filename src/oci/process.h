/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `process` of the configuration, carried out by the process itself between the container's set-up and its exec. Used
 * for the first process and for exec's alike.
 */
#ifndef PROA_OCI_PROCESS_H
#define PROA_OCI_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "oci/filter.h"

struct arena;
struct json;

struct process {
	const struct json *spec;
	struct filter filter;
	const char *keyring;	  /* the session keyring's name, or NULL: the caller's is kept */
	int preserve_fds;	  /* 3 … 2 + n stay open */
	int listen_fds;		  /* the last of these come from socket activation */
	bool keep_groups;	  /* annotation run.oci.keep_original_groups: those of the caller stay */
	int proc;		  /* private /proc, for attributes; -1: not needed */
	int notify_socket;	  /* connected to seccomp's listenerPath; -1 */
	const char *notify_state; /* what goes with the listener's descriptor */
	int hook_output[2];	  /* of startContainer hooks: see hooks_output; -1 */
	/* set by process_prepare */
	const char **args, **env;
	const char *path; /* what will be executed */
};

void process_reset_signals(void);
/* Making that /proc is a file system and, unless it goes with an old root, an RCU grace period when it is closed. */
bool process_needs_proc(const struct json *spec);
/* Of the user namespace just entered, where it has one. */
void process_become_root(bool keep_groups);
/*
 * Through the host's /proc. Only who is privileged on the host may lower it: the container's maker, for pid; nobody
 * else may write to a process that is hidden from its container: it itself before that, pid 0.
 */
int process_oom_score(const struct json *spec, pid_t pid);
/* Scheduling, which needs the runtime's rights. */
int process_limits(const struct process *p);
/* Last of what does: from then on few descriptors may be had. */
int process_rlimits(const struct json *list);
/* linux.memoryPolicy, NULL: as it is. For the calling process and its children. */
int process_memory_policy(const struct json *policy);
/* In the container's root: cwd, environment, and the executable looked up. root: O_PATH of /. */
int process_prepare(struct arena *a, struct process *p, int root);
/* Closes what isn't needed while waiting to be started: a created container keeps nothing of its maker's. */
int process_close_others(const struct process *p, int sync, int listener);
/* Privileges dropped, descriptors but sync closed, filter installed: what follows is the container's. */
int process_drop(struct process *p, int sync);
/* Returns on failure only. */
int process_exec(const struct process *p);
/* Masks of a list of names; unknown ones are a warning, as the specification has it. */
unsigned long long process_caps(const struct json *list);
/* "0-3,5" for sched_setaffinity of the calling process. */
int process_set_affinity(const char *list);
/* Words that this runtime knows, for features. */
extern const char *const process_capability_names[];

#endif
