/* SPDX-License-Identifier: Apache-2.0 */
/* Lifecycle hooks: postStart and preStop, by exec, httpGet, tcpSocket or sleep. */
#ifndef PROA_NODE_HOOK_H
#define PROA_NODE_HOOK_H

#include <stdbool.h>
#include <stdint.h>

struct pod_container;

#define HOOK_POST_START_MS_MAX                                                                                         \
	(10 * 60 * 1000) /* upstream has no bound; a hook that hangs must not hold the container for ever */

/* Runs the postStart hook, if there is one. Its failure stops the container (event FailedPostStartHook). */
void hook_post_start(struct pod_container *pc);
/*
 * Runs the preStop hook, at most for grace_ms, then done(pc). False: there is none, done isn't called.
 */
bool hook_pre_stop(struct pod_container *pc, int64_t grace_ms, void (*done)(struct pod_container *pc));
void hook_cancel(struct pod_container *pc); /* no done follows */

#endif
