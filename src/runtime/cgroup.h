/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups: v1, v2 and both at once (hybrid) behind one list of hierarchies, each with the ops of its version.
 * A group is one relative path ("proa-x/burstable/pod<uid>/<id>") that exists in every hierarchy.
 *
 * Processes join by themselves (v1: "0" into tasks, which needs no RCU grace period; v2: CLONE_INTO_CGROUP), so that
 * starting a container never waits for the kernel. Limits whose controller this machine does not have are skipped
 * (cgroup_layout_controllers tells); a limit that its controller refuses is an error.
 * Sources: kernel documentation admin-guide/cgroup-v1, admin-guide/cgroup-v2.
 */
#ifndef PROA_RUNTIME_CGROUP_H
#define PROA_RUNTIME_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/spec.h"

#define CGROUP_HIERARCHIES_MAX 16 /* v1 has 13 controllers, each at most one hierarchy, one named, and v2 */
#define CGROUP_PATH_MAX 512	  /* of a group, relative; root name, qos, pod uid and a 128-character id fit */
#define CGROUP_MOUNT_MAX 128

enum cgroup_controller {
	CGROUP_CPU = 1 << 0,
	CGROUP_CPUACCT = 1 << 1,
	CGROUP_CPUSET = 1 << 2,
	CGROUP_MEMORY = 1 << 3,
	CGROUP_DEVICES = 1 << 4,
	CGROUP_FREEZER = 1 << 5,
	CGROUP_BLKIO = 1 << 6,
	CGROUP_PIDS = 1 << 7,
	CGROUP_HUGETLB = 1 << 8,
	CGROUP_NET_CLS = 1 << 9,
	CGROUP_NET_PRIO = 1 << 10,
	CGROUP_PERF_EVENT = 1 << 11,
	CGROUP_RDMA = 1 << 12,
	CGROUP_MISC = 1 << 13,
};

struct cgroup_ops;
struct cgroup_hierarchy {
	const struct cgroup_ops *ops;
	char mount[CGROUP_MOUNT_MAX]; /* "/sys/fs/cgroup/memory" */
	char controllers_text[64];    /* as mounted: "cpu,cpuacct", "name=systemd"; "" for v2 */
	unsigned controllers;	      /* enum cgroup_controller */
	bool v2;
};

struct cgroup_layout {
	struct cgroup_hierarchy h[CGROUP_HIERARCHIES_MAX];
	size_t n;
};

/* Reads /proc/self/mountinfo. -ENOENT: no cgroup file system is mounted. */
int cgroup_layout_detect(struct cgroup_layout *ret);
/* The pure part: text is a mountinfo file; controllers of a v2 hierarchy are not filled in. Returns how many, or
 * -ENOENT. */
int cgroup_layout_parse(const char *text, struct cgroup_layout *ret);
unsigned cgroup_layout_controllers(const struct cgroup_layout *l);
const struct cgroup_hierarchy *cgroup_layout_v2(const struct cgroup_layout *l); /* NULL on pure v1 */

/* Creates path and its parents in every hierarchy; existing ones are fine. On failure what it made is gone again. */
int cgroup_create(const struct cgroup_layout *l, const char *path);
/* -EOPNOTSUPP: a limit needs a controller that the machine doesn't have; see cgroup_unsupported. */
int cgroup_apply(const struct cgroup_layout *l, const char *path, const struct spec_resources *r);
/* The first controller that these limits need and the machine doesn't have: NULL, or its name with words around it. */
const char *cgroup_unsupported(const struct cgroup_layout *l, const struct spec_resources *r);
/* Allows the usual device nodes and mknod; all: everything. extra: further ones. */
struct cgroup_device {
	char type;	      /* 'c', 'b' or 'a' */
	int64_t major, minor; /* -1: any */
	const char *permissions;
};
/* Device rules in their order: a later one overrides. Nothing is allowed before the first, and the usual nodes are
 * after the last. */
#define CGROUP_RULES_MAX 1024 /* ten instructions each: far below what the kernel's verifier takes in one program */
struct cgroup_rule {
	bool allow;
	struct cgroup_device device;
};
const struct cgroup_rule *cgroup_usual_rules(size_t *ret_n);
int cgroup_apply_rules(const struct cgroup_layout *l, const char *path, const struct cgroup_rule *rules, size_t n);
int cgroup_apply_devices(const struct cgroup_layout *l, const char *path, bool all, const struct cgroup_device *extra,
			 size_t n_extra);
/* The calling process joins. v2_done: it was cloned into its v2 group already. */
int cgroup_join(const struct cgroup_layout *l, const char *path, bool v2_done);
/* systemd's scopes: makes path in every hierarchy but the v2 one that it is in already, and moves pid there. */
int cgroup_adopt(const struct cgroup_layout *l, const char *path, pid_t pid);
int cgroup_join_in(const struct cgroup_hierarchy *h, const char *path); /* one hierarchy only */
/* O_PATH descriptor of the v2 directory for CLONE_INTO_CGROUP, or -ENOENT on pure v1. */
int cgroup_open_v2(const struct cgroup_layout *l, const char *path);
/* O_PATH descriptor of path where that controller is (v2: also when only the controller's name is known). -ENOENT: the
 * machine has no such controller, or there is no such group. */
int cgroup_open(const struct cgroup_layout *l, enum cgroup_controller controller, const char *path, bool *ret_v2);
/* One file of a group. read: NUL-terminated, at most max - 1 bytes. */
int cgroup_file_write(int dir, const char *file, const char *text);
int cgroup_file_read(int dir, const char *file, char *out, size_t max);
/* The processes in path and below, malloc'd; those of other pid namespaces (0) are left out. */
int cgroup_pids(const struct cgroup_layout *l, const char *path, pid_t **ret, size_t *ret_n);
/*
 * Stops or continues every process in path and below, and waits until that is so. Stops by v2's freezer wherever there
 * is v2, continues in every hierarchy: others may have stopped them in another. cgroup_frozen: by any.
 */
int cgroup_freeze(const struct cgroup_layout *l, const char *path, bool frozen);
bool cgroup_frozen(const struct cgroup_layout *l, const char *path);
/* What is frozen by v1 doesn't hear SIGKILL, and a container may have frozen groups below its own: all are thawed. */
void cgroup_let_end(const struct cgroup_layout *l, const char *path);
/* Whether a process that joins path, which need not be there yet, would be stopped: it or one above it is frozen. */
bool cgroup_would_freeze(const struct cgroup_layout *l, const char *path);
/* Waits until no process is left in path; whoever is in it has been killed. */
int cgroup_wait_empty(const struct cgroup_layout *l, const char *path);
/* SIGKILL to every process in path and below. Returns how many were seen (v1) or 1, 0 when empty, or negative errno. */
int cgroup_kill(const struct cgroup_layout *l, const char *path);
bool cgroup_populated(const struct cgroup_layout *l, const char *path);
/* Removes path and all below; -EBUSY while a process is in it. Missing is fine. */
int cgroup_remove(const struct cgroup_layout *l, const char *path);
int64_t cgroup_oom_kills(const struct cgroup_layout *l, const char *path); /* 0 when unknown */
struct runtime_stats;
int cgroup_stats(const struct cgroup_layout *l, const char *path, struct runtime_stats *ret);

/* v1 cpu.shares to v2 cpu.weight as the kubelet does it: 2..262144 onto 1..10000, linear. Pure. */
uint64_t cgroup_weight_of_shares(int64_t shares);

#endif
