/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's cgroup counts, in the form of runc's events. */
#ifndef PROA_OCI_STATS_H
#define PROA_OCI_STATS_H

#include <stdint.h>

struct arena;
struct container;
struct json;

int stats_read(struct arena *a, const struct container *c, struct json **ret);
int64_t stats_oom_kills(const struct container *c);
/* A descriptor that becomes readable (v1: eventfd, v2: POLLPRI) when memory ran out; -1: this machine doesn't tell. */
int stats_watch_oom(const struct container *c);

#endif
