/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a write moves: prepared (write.c) -> queued -> in a commit (commit.c) -> applied to the tree, the window and the
 * watches (write.c). A lazy one is applied first, when nothing durable is before it, and waits in `unsaved` for the
 * next commit. Revisions are given out when a write is prepared; a failed commit empties the queue and takes them back.
 *
 * So that a revision somebody saw is never given out again after a crash, although the lazy write that had it is lost,
 * the backend keeps a ceiling that is ahead of the counter; starting goes on from the ceiling, closing lowers it.
 */
#ifndef PROA_STORE_INTERNAL_H
#define PROA_STORE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "store/history.h"
#include "store/store.h"
#include "store/tree.h"
#include "store/watch_set.h"

#define STORE_KEY_MAX 1024		 /* the longest possible: prefix, group and resource, 63 + 253 bytes of names */
#define STORE_QUEUE_MAX 65536		 /* writes waiting for the disk; requests in flight are bounded far below */
#define STORE_UNSAVED_MAX 16384		 /* lazy writes not yet on disk; beyond, they wait for it as others do */
#define STORE_BATCH_BYTES_MAX (8u << 20) /* of one commit: bounds the log's growth and the time of one */
#define STORE_CEILING_STEP 1000		 /* revisions reserved ahead; one extra row each so many changes */
#define STORE_PRUNE_BATCH                                                                                              \
	256		  /* rows that left the window are deleted in groups: their pages are shared;                  \
			   * with a codec at once, for what they say */
#define STORE_FIRST_REV 1 /* of an empty store: 0 means "any" to clients */

struct commit_job;
struct loop_defer;
struct loop_timer;
struct store_backend;
struct store_backend_ops;

/* A write on its way. */
struct pending {
	struct list link;
	struct object *obj, *prev; /* references; as in store_event */
	uint64_t rev;
	enum store_event_type type;
	bool lazy, renewal;
	void (*done)(void *arg, enum store_error result, struct object *obj);
	void *arg;
};

/* What the writes on their way make of a key. */
struct latest {
	struct object *obj; /* reference; NULL: deleted */
	size_t n;	    /* writes on their way */
};

struct store {
	struct loop *loop;
	const struct resource *(*resource_of_key)(const char *key);
	const struct store_codec *codec;
	const struct store_backend_ops *ops;
	struct store_backend *backend;

	struct tree tree;
	struct history history;
	struct watch_set watches;
	uint64_t rev;	     /* of what is visible */
	uint64_t rev_latest; /* given out */

	struct map latest; /* key -> struct latest */
	struct list queue; /* struct pending, in order of revision */
	size_t n_queue;
	struct list unsaved;
	size_t n_unsaved;

	struct commit_job *job; /* at work now, or NULL */
	int64_t job_since_ms;
	uint64_t ceiling; /* the durable one */
	struct {
		uint64_t *at; /* rows that left the window but not yet the disk */
		size_t n, cap;
	} prune;

	struct loop_defer *turn;
	struct loop_timer *lazy_timer, *compact_timer;
	uint64_t compact_mark, compact_floor; /* the revision at the last STORE_COMPACT_MS, and at the one before */
	bool compact_waiting;
	enum { LAZY_IDLE, LAZY_RENEWAL, LAZY_SOON } lazy_waiting; /* what the timer runs for */
	bool lazy_soon;						  /* something unsaved is not just a renewal */
	bool lazy_due;						  /* the timer fired: commit what is unsaved */
	bool closing;
	bool failing; /* the last commit failed; logged once until one succeeds */
	bool probing; /* commit even without anything to write, to see whether that works again */
	struct loop_timer *probe_timer;
};

/* load.c. Once, into an empty store: 0 or negative errno with a reason. */
int store_load(struct store *s, char *err, size_t err_len);

/* write.c */
struct pending *store_queue_first(struct store *s);
void store_pending_free(struct pending *p);
/* Makes the writes of the list visible, in order: tree, window, done(), watches. Lazy ones go to unsaved if keep_lazy.
 */
void store_apply(struct store *s, struct list *writes, bool keep_lazy);
/* Fails the writes of the list and all that are queued; takes back their revisions. */
void store_fail_all(struct store *s, struct list *writes, enum store_error why);
void store_history_left(void *arg, const struct store_event *ev); /* for history_trim; arg: the store */
void store_compact_fired(void *arg);

/* commit.c */
void store_pump(struct store *s); /* does what can be done with the queue now */
void store_lazy_fired(void *arg);
void store_probe_fired(void *arg);
void store_drain(struct store *s); /* commits everything, waiting here; for closing */

#endif
