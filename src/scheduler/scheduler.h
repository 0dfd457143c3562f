/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives each pending pod a node: takes pods off a queue (queue.h) in order of priority, filters and scores the nodes of
 * its cache (cache.h, filter.h, score.h: all pure), assumes the best one and binds the pod through its binding
 * subresource. A pod that fits nowhere gets the condition PodScheduled=False, an event that says why for each node,
 * perhaps room by preemption, and waits for a change that can help.
 */
#ifndef PROA_SCHEDULER_SCHEDULER_H
#define PROA_SCHEDULER_SCHEDULER_H

#include <stdbool.h>

struct client;
struct informers;
struct scheduler;

#define SCHEDULER_NAME_DEFAULT "default-scheduler"
#define SCHEDULER_TURN_MAX 256	    /* pods in one turn of the loop: 256 × 50 µs leave the server its share */
#define SCHEDULER_BINDINGS_MAX 2048 /* under way at once; beyond it the queue waits for the store */

struct scheduler_config {
	struct client *client;	     /* borrowed */
	struct informers *informers; /* to share with others; NULL: own ones */
	const char *name;	     /* spec.schedulerName to serve; NULL: SCHEDULER_NAME_DEFAULT */
};

struct scheduler *scheduler_start(const struct scheduler_config *c);
void scheduler_stop(struct scheduler *s); /* NULL-safe */

#endif
