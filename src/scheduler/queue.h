/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods that wait for a node. No clock of its own: the caller gives `now_ms`.
 *
 *   add ──▶ ACTIVE ──pop──▶ (attempt) ──fits: remove
 *             ▲                 │ doesn't fit
 *             │ back-off over   ▼
 *          BACKOFF ◀──event── UNSCHEDULABLE ──5 min──▶ ACTIVE
 *
 * Active pods are in order of priority, then of time. An event moves those unschedulable pods whose reasons it can
 * help; each has to wait out its back-off (1 s, doubled by each failure, 10 s at most) from its last attempt.
 */
#ifndef PROA_SCHEDULER_QUEUE_H
#define PROA_SCHEDULER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"

struct object;

#define QUEUE_BACKOFF_MS_MIN 1000  /* upstream's podInitialBackoffSeconds */
#define QUEUE_BACKOFF_MS_MAX 10000 /* upstream's podMaxBackoffSeconds */
#define QUEUE_UNSCHEDULABLE_MS_MAX                                                                                     \
	300000 /* then it is tried again without a reason, should an event have been missed */

enum queued_state { QUEUED_ACTIVE, QUEUED_BACKOFF, QUEUED_UNSCHEDULABLE, QUEUED_TAKEN };

struct queued_pod {
	struct object *obj; /* reference to the newest state */
	enum queued_state state;
	int32_t priority;
	uint64_t order; /* of arrival */
	unsigned attempts;
	int64_t ready_ms; /* back-off: until when; unschedulable: when it gives up waiting */
	int64_t backoff_until_ms;
	uint32_t reasons;
	bool moved; /* taken: an event came during the attempt */
	size_t heap_at;
	struct list link; /* unschedulable */
};

struct queue_heap {
	VEC(struct queued_pod *) at;
	bool (*before)(const struct queued_pod *a, const struct queued_pod *b);
};

struct queue {
	struct map by_uid;
	struct queue_heap active, backoff;
	struct list unschedulable; /* oldest first */
	uint64_t next_order;
};

void queue_init(struct queue *q);
void queue_release(struct queue *q);
/* A pod without a node, new or changed. A changed one that is unschedulable is tried again. */
void queue_add(struct queue *q, struct object *pod, int32_t priority, int64_t now_ms, bool spec_changed);
void queue_remove(struct queue *q, const char *uid);
/* The next pod to try, borrowed until queue_remove; it is TAKEN until queue_failed or queue_remove. NULL: none now. */
struct queued_pod *queue_pop(struct queue *q, int64_t now_ms);
/* It fits nowhere (reasons: what kept it off), or its binding failed (reasons 0: it is tried again after the back-off).
 */
void queue_failed(struct queue *q, const char *uid, uint32_t reasons, int64_t now_ms);
/* Something changed that can help pods with one of these reasons. */
void queue_event(struct queue *q, uint32_t reasons, int64_t now_ms);
/* When queue_pop has to be asked again at the latest; -1: never. */
int64_t queue_next_ms(const struct queue *q);
size_t queue_len(const struct queue *q);

#endif
