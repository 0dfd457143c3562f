/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RUN_DIR/pods/<uid>/pod.json: who looks after the pod. The agent writes it before it starts a shim (pid 0), the shim
 * replaces it once the pod exists. Small, written by rename; whatever cannot be read back exactly counts as damaged.
 * A process is identified by pid, start time and boot, since pids are used again.
 */
#ifndef PROA_RUNTIME_STATE_H
#define PROA_RUNTIME_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/cgroup.h"

#define STATE_FILE_MAX 4096
#define BOOT_ID_MAX 40

struct pod_state {
	char uid[65];
	char cgroup[CGROUP_PATH_MAX];
	int pid;	    /* 0: not yet */
	int64_t start_time; /* field 22 of /proc/PID/stat, clock ticks since boot */
	char boot_id[BOOT_ID_MAX];
	bool host_network;
};

int state_write(const char *dir, const struct pod_state *s);
/* -ENOENT: no file; -EBADMSG: damaged. */
int state_read(const char *dir, struct pod_state *ret);
int state_parse(const char *text, unsigned long len, struct pod_state *ret); /* the pure part */
int state_boot_id(char out[BOOT_ID_MAX]);
int64_t state_start_time(int pid); /* or -ESRCH, also for a zombie */
/* The process it names runs still. */
bool state_alive(const struct pod_state *s);

#endif
