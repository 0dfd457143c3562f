/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a process of a container, the first one or one more (exec): what runtime and child share across the clone. The
 * child is a copy of the runtime, so nothing needs to be written down for it.
 */
#ifndef PROA_OCI_MAKER_H
#define PROA_OCI_MAKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "oci/container.h"
#include "oci/mounts.h"
#include "oci/namespaces.h"
#include "oci/process.h"

struct maker {
	struct container *c;
	struct namespaces ns;
	struct mounts mounts;
	struct process process;
	int sync, child_sync; /* the pair of sync.h */
	int listener;	      /* create: what `start` connects to; -1: the sync pair goes on (run, exec) */
	int console;	      /* where a terminal's master goes; -1 */
	bool hooked;	      /* the container's hooks have begun: poststop is owed */
	int time_offsets;     /* the child's own; -1 */
	/* exec */
	int target;	 /* pidfd of the container's first process; -1: this makes the first one */
	int target_root; /* its /, where that isn't the mount namespace's */
	const char *affinity_final;
	pid_t pid;
};
#define MAKER_INIT(container)                                                                                          \
	{                                                                                                              \
		.c = (container), .ns = {.fds = {-1, -1, -1, -1, -1, -1, -1, -1}}, .sync = -1, .child_sync = -1,       \
		.listener = -1, .console = -1, .time_offsets = -1, .target = -1, .target_root = -1,                    \
		.process = {.proc = -1, .notify_socket = -1, .hook_output = {-1, -1}},                                 \
	}

/* What is needed of process, filter, keyring, notification, descriptors. */
int maker_process(struct maker *m, const struct json *process, int preserve_fds, bool new_keyring, bool no_filter);
/* Clones the child; m->pid. */
int maker_clone(struct maker *m);
/* Goes through the steps until the child waits to be started. */
int maker_until_created(struct maker *m);
/* Lets it exec over `sync`; returns when the command runs. */
int maker_start(int sync);
/* Kills and reaps it. */
void maker_abandon(struct maker *m);
/* Waits for it: its exit status as a shell gives it. */
int maker_wait(struct maker *m);

/* The child's side (child.c). v2_joined: it was cloned into its v2 group; staged: groups and namespaces are joined. */
_Noreturn void child_run(struct maker *m, bool v2_joined, bool staged);
_Noreturn void child_stage(struct maker *m, bool v2_joined);
/* For both: CLONE_NEW* that one clone makes. */
unsigned maker_clone_flags(const struct maker *m);

#endif
