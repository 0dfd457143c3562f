/* SPDX-License-Identifier: Apache-2.0 */
/* A container's network interfaces: its own loopback, and linux.netDevices, interfaces of the host moved into it. */
#ifndef PROA_OCI_NET_DEVICES_H
#define PROA_OCI_NET_DEVICES_H

struct maker;

int net_loopback_up(void); /* in a new network namespace */
int net_devices_take(const struct maker *m);

#endif
