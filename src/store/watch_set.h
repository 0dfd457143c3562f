/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watches of a store, found by what they watch: an event looks up those prefixes of its own key that somebody
 * watches, and so costs nothing to the others. Watches behind the current revision are caught up from the history
 * window first.
 */
#ifndef PROA_STORE_WATCH_SET_H
#define PROA_STORE_WATCH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "store/store.h"

struct history;
struct watch_set;

struct watch_length {
	size_t len;
	size_t groups;
};

struct watch_set {
	struct map groups; /* prefix -> struct watch_group */
	struct {
		struct watch_length *at; /* the lengths of the groups' prefixes, ascending */
		size_t n, cap;
	} lengths;
	struct list behind;  /* watches to be caught up from the window */
	struct list touched; /* got events of the commit being delivered: to be told of its end */
	struct list dead;    /* freed while delivering */
	unsigned delivering;
};

void watch_set_init(struct watch_set *ws);
void watch_set_release(struct watch_set *ws); /* frees all watches */
/* behind: there are changes after from_rev in the window; watch_set_catch_up must be called soon. */
struct store_watch *watch_set_add(struct watch_set *ws, const char *prefix, uint64_t from_rev, bool behind,
				  store_watch_fn fn, void *arg);
/* Delivers the events of one commit, then the flush to those that got any. */
void watch_set_deliver(struct watch_set *ws, const struct store_event *events, size_t n);
/* Delivers from the window to those that are behind. */
void watch_set_catch_up(struct watch_set *ws, const struct history *h);

#endif
