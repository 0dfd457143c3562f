/* SPDX-License-Identifier: Apache-2.0 */
/* linux.netDevices: interfaces of the host moved into the container's network namespace. */
#ifndef PROA_OCI_NET_DEVICES_H
#define PROA_OCI_NET_DEVICES_H

struct maker;

int net_devices_take(const struct maker *m);

#endif
