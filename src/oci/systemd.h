/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systemd cgroup driver: a transient scope around the container's first process, made over systemd's own bus
 * (org.freedesktop.systemd1, StartTransientUnit) by a minimal D-Bus client.
 */
#ifndef PROA_OCI_SYSTEMD_H
#define PROA_OCI_SYSTEMD_H

#include <sys/types.h>

struct cgroup;
struct json;

/* path: "SLICE:PREFIX:NAME", or NULL for the default. */
int systemd_plan(struct cgroup *g, const char *path, const char *id);
int systemd_start_scope(struct cgroup *g, const struct json *config, const char *id, pid_t pid);
void systemd_stop_scope(const struct cgroup *g);

#endif
