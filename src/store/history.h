/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window of recent changes, in order of revision: a ring that holds references to the states before and after
 * each. It is bounded by STORE_HISTORY_EVENTS_MAX and by the bytes of the states that only it keeps alive (superseded
 * ones and those of deletions).
 */
#ifndef PROA_STORE_HISTORY_H
#define PROA_STORE_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct history {
	struct store_event *ring; /* cap is 0 or a power of two */
	size_t first, n, cap;
	size_t bytes;	    /* of states that are not live any more */
	uint64_t compacted; /* changes up to here have left */
};

#define HISTORY_INIT                                                                                                   \
	{                                                                                                              \
		0                                                                                                      \
	}

void history_release(struct history *h);
/* The references move to the window. */
void history_add(struct history *h, const struct store_event *ev);
static inline struct store_event *history_at(const struct history *h, size_t i)
{
	return &h->ring[(h->first + i) & (h->cap - 1)];
}
/* Index of the first change with a revision > rev (h->n: none). */
size_t history_after(const struct history *h, uint64_t rev);
/* Drops what is over the bounds, and what is not newer than old_rev and over STORE_HISTORY_BYTES_KEPT; left is told of
 * each event before its references go. */
void history_trim(struct history *h, uint64_t old_rev, void (*left)(void *arg, const struct store_event *ev),
		  void *arg);
/* Drops all changes up to rev, bounds or not. */
void history_cut(struct history *h, uint64_t rev, void (*left)(void *arg, const struct store_event *ev), void *arg);

#endif
