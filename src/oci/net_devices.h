/* SPDX-License-Identifier: Apache-2.0 */
/* A container's network interfaces: its own loopback, and linux.netDevices, interfaces of the host moved into it. */
#ifndef PROA_OCI_NET_DEVICES_H
#define PROA_OCI_NET_DEVICES_H

#include <stdbool.h>
#include <sys/types.h>

struct container;

int net_loopback_up(void); /* in a new network namespace */

bool net_devices_any(const struct container *c);
/*
 * In the host's network namespace: each goes to pid's, with its attributes and its permanent global addresses, and is
 * up there. Its name in there may be a template, "eth%d". When that fails half way, what was moved is where the kernel
 * puts it when the namespace ends: a device of its own back on the host, a virtual one nowhere.
 */
int net_devices_move(const struct container *c, pid_t pid);

#endif
