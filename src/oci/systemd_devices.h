/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources.devices as systemd's DevicePolicy and DeviceAllow: it writes its own idea of a scope's devices
 * whenever it is reloaded, which would otherwise be that all are allowed.
 */
#ifndef PROA_OCI_SYSTEMD_DEVICES_H
#define PROA_OCI_SYSTEMD_DEVICES_H

struct buf;
struct json;

/* Appends the properties. It knows only what is allowed: a prohibition within something wider cannot be told. */
int systemd_put_devices(struct buf *b, const struct json *rules);

#endif
