/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's /dev: linux.devices, the nodes and links that every container has, and its console. Where mknod isn't
 * permitted (a user namespace) the host's nodes are bound instead.
 */
#ifndef PROA_OCI_DEVICES_H
#define PROA_OCI_DEVICES_H

#include <stddef.h>

struct container;
struct json;

struct device_sources {
	int host_dev; /* the host's /dev, to bind from */
	int made;     /* nodes of linux.devices, "0", "1"…, in a file system that our maker made; -1 */
};
/*
 * In the runtime, for a container with a user namespace: linux.devices as nodes in a detached tmpfs, which are bound in
 * the container. ret_tree: -1 when there are none.
 */
int devices_premake(const struct container *c, int *ret_tree);
/* While the host's file system is still visible. */
int devices_open(struct device_sources *ret, const struct container *c);
int devices_make(const struct device_sources *s, int root, const struct container *c);

#endif
