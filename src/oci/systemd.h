/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systemd cgroup driver: a transient scope around the container's first process, made over the bus of the service
 * manager (org.freedesktop.systemd1): its own socket where we may, else the bus that it is on. The user's manager for
 * who isn't root. The scope is delegated: below it, and for limits that the manager has no word for, the files are
 * ours.
 *
 * Limits are told to the manager too, which would else write its own again at its next reload.
 */
#ifndef PROA_OCI_SYSTEMD_H
#define PROA_OCI_SYSTEMD_H

#include <sys/types.h>

struct cgroup;
struct json;

/* path: "SLICE:PREFIX:NAME"; empty parts and NULL: system.slice (user.slice), proa, the id. Sets unit, slice and path.
 */
int systemd_plan(struct cgroup *g, const char *path, const char *id);
/* Moves pid into a new scope, waits until it is there; path is where that is. */
int systemd_start_scope(struct cgroup *g, const struct json *config, const char *id, pid_t pid);
int systemd_set_limits(const struct cgroup *g, const struct json *resources);
/* Whatever is left of it; without it there is nothing to do. */
void systemd_stop_scope(const struct cgroup *g);

#endif
