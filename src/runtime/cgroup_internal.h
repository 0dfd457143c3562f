/* SPDX-License-Identifier: Apache-2.0 */
/* What cgroup.c and the two versions share. dir: an O_PATH descriptor of the group's directory in that hierarchy. */
#ifndef PROA_RUNTIME_CGROUP_INTERNAL_H
#define PROA_RUNTIME_CGROUP_INTERNAL_H

#include "runtime/cgroup.h"
#include "runtime/runtime.h"

struct cgroup_ops {
	/* A new group of this hierarchy is usable as it is. */
	bool (*plain)(const struct cgroup_hierarchy *h);
	/* After mkdir of child below parent: what makes it usable. 1: the parent has to be prepared first. */
	int (*prepare)(const struct cgroup_hierarchy *h, int parent, int child);
	int (*apply)(const struct cgroup_hierarchy *h, int dir, const struct spec_resources *r);
	int (*rules)(int dir, const struct cgroup_rule *rules, size_t n);
	const char *join_file; /* takes "0", the writer */
	int64_t (*oom_kills)(const struct cgroup_hierarchy *h, int dir);
	void (*stats)(const struct cgroup_hierarchy *h, int dir, struct runtime_stats *s);
};

extern const struct cgroup_ops cgroup_v1_ops, cgroup_v2_ops;

#define CGROUP_FILE_MAX 4096 /* the largest files read here (memory.stat) are below 2 KiB */
#define CGROUP_FULL_MAX (CGROUP_MOUNT_MAX + CGROUP_PATH_MAX + 64) /* with the name of a file */

int cgroup_open_in(const struct cgroup_hierarchy *h, const char *path); /* O_PATH, or negative errno */
int cgroup_write(int dir, const char *file, const char *text);
int cgroup_write_int(int dir, const char *file, int64_t n);
/* NUL-terminated content, or negative errno. */
int cgroup_read(int dir, const char *file, char out[CGROUP_FILE_MAX]);
int64_t cgroup_read_int(int dir, const char *file); /* 0 when it cannot be read */
/* The number after "key " at a line's start, or fallback. */
int64_t cgroup_key(const char *text, const char *key, int64_t fallback);

#endif
