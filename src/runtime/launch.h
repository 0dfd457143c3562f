/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a process in a container: the container's first one, or one more (exec). launch() forks; the child builds
 * its surroundings (inside.c) and executes the command, telling its parent through a sync socket how that went:
 *
 *   TTY     with the terminal's master descriptor, before READY or success
 *   READY   set up, waiting for one byte (only with a gate)
 *   FAILED  what and why; the child exits
 *   (end of file without FAILED) the command is running
 */
#ifndef PROA_RUNTIME_LAUNCH_H
#define PROA_RUNTIME_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/cgroup.h"
#include "runtime/spec.h"

struct launch {
	const struct container_spec *spec;
	const struct cgroup_layout *layout;
	const char *cgroup; /* path of the container's group */
	bool gate;
	int stdio[3];	/* not with tty; -1: /dev/null */
	const int *fds; /* what mounts refer to */
	int n_fds;
	int shm;	 /* detached mount for /dev/shm, or -1: the host's */
	int pid_ns;	 /* namespace for the process; -1: see below */
	bool new_pid_ns; /* a new one; else, with pid_ns -1, the host's */
	bool host_ipc;
	bool host_network;
	const char
	    *mountpoint; /* a directory of ours: in the container's mount namespace it is covered by the rootfs */
	int seccomp;	 /* file with the compiled filter, or -1 */
	/* exec: pidfd of a process of the container, else -1; container's own spec for what p doesn't say */
	int target;
	const struct container_spec *container;
};

enum sync_kind { SYNC_TTY = 1, SYNC_READY, SYNC_FAILED };
struct sync_message {
	int kind;
	int error;     /* negative errno */
	int code;      /* HTTP-like: 400 the container's fault, 500 ours */
	int exit_code; /* what upstream reports for it: 127 not found, 126 not executable, 128 other */
	char text[400];
};

/* ret_sync: the parent's end, non-blocking. 0 or negative errno (nothing was started). */
int launch(const struct launch *l, pid_t *ret_pid, int *ret_sync);

/* The child's side (inside.c); does not return. sync is its end of the socket. */
_Noreturn void inside(const struct launch *l, int sync, bool v2_joined);

#define SECCOMP_INSNS_MAX 4096 /* BPF_MAXINSNS: the kernel takes no longer program */

#endif
