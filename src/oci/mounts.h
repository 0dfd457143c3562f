/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's file system: root, mounts in their order, /dev, masks, and the change of root. Targets are resolved
 * inside the rootfs by descriptor and mounted on by descriptor (runtime/rootfs.h), so that nothing in the rootfs can
 * lead a mount elsewhere.
 */
#ifndef PROA_OCI_MOUNTS_H
#define PROA_OCI_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct container;
struct mount_plan;
struct namespaces;

struct mounts {
	struct mount_plan *plans;
	size_t n;
	int root_tree; /* the rootfs, detached; -1 until prepared */
	int nodes;     /* linux.devices made for a user namespace, detached at first; -1 */
	int null;      /* the host's /dev/null */
	int proc;      /* a /proc that nobody else has mounted anything on */
	int root;      /* O_PATH: what becomes / */
	int empty;     /* what covers masked directories; -1 until needed */
	bool own_user_ns, own_mount_ns, own_cgroup_ns, joined_cgroup_ns, privileged_maker;
};

/* In the runtime: reads options; with rights over the host's mounts also detaches what is bound (its paths may be out
 * of reach for the container's user namespace, and idmapped mounts need it). */
int mounts_prepare(struct arena *a, const struct container *c, const struct namespaces *ns, struct mounts *ret);
/* The rest in the container's first process, host still visible: everything is mounted. */
int mounts_make(struct mounts *m, const struct container *c);
/* The root becomes /. */
int mounts_enter(struct mounts *m, const struct container *c);
/* A private proc of the caller's pid namespace, or the host's own once it has been looked at. */
int mounts_open_proc(void);

#endif
