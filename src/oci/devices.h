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
};
/* While the host's file system is still visible. */
int devices_open(struct device_sources *ret, const struct container *c);
int devices_make(const struct device_sources *s, int root, const struct container *c);

#endif
