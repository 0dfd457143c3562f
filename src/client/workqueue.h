/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of keys ("ns/name") that wait to be synced, and the one pattern by which every controller works on them.
 *
 * A key that is added while it waits is kept once; added while it is being synced, it is synced once more afterwards.
 *The same key is never synced twice at a time. Syncs start in the turn's end (never inside workqueue_add).
 *
 * A sync may have to wait for requests. It works like this:
 *
 *	static void sync(void *arg, struct sync *s)
 *	{
 *		struct object *rs = informer_get_key(c->sets, s->key);
 *		if (!rs)
 *			return;                          // nothing left to do: done
 *		struct json *t = object_tree(rs, &s->arena);
 *		sync_request(s, c->client, &(struct client_request){ .verb = CLIENT_CREATE, … }, created, c);
 *	}                                                // not done yet: the request holds the sync open
 *
 *	static void created(struct sync *s, void *arg, const struct status *err, struct object *pod)
 *	{
 *		if (err)
 *			sync_fail(s, err);               // the key is tried again with back-off
 *		else
 *			sync_request(s, …);              // one thing after another
 *	}
 *
 * When the function has returned and nothing holds the sync any more it is finished: after a failure the key is added
 * again with exponential back-off, otherwise its back-off is forgotten. s->arena is freed then.
 */
#ifndef PROA_CLIENT_WORKQUEUE_H
#define PROA_CLIENT_WORKQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "client/client.h"

struct loop;
struct workqueue;
struct sync_state;

#define WORKQUEUE_BACKOFF_MS_MIN 5	 /* client-go's ItemExponentialFailureRateLimiter: 5 ms … */
#define WORKQUEUE_BACKOFF_MS_MAX 1000000 /* … to 1000 s */
#define WORKQUEUE_WORKERS_DEFAULT 16	 /* keys in progress at once: bounds memory, not throughput (nothing blocks) */
#define WORKQUEUE_TURN_MAX 64 /* syncs started in one turn, so that the server in the same loop gets its share */

struct sync {
	const char *key;
	struct arena arena; /* lives until the sync is finished */
	struct sync_state *state;
};

typedef void (*sync_fn)(void *arg, struct sync *s);

struct workqueue_config {
	struct loop *loop;
	const char *name;			/* for logs; must outlive the queue */
	unsigned workers;			/* 0: WORKQUEUE_WORKERS_DEFAULT */
	int64_t backoff_ms_min, backoff_ms_max; /* 0: the defaults above */
	sync_fn sync;
	void *arg;
};

struct workqueue *workqueue_new(const struct workqueue_config *c);
/*
 * Drops what waits. Syncs in progress keep what they need and end without effect; sync_stopped tells them. The memory
 * behind arg must live until the client that runs their requests was freed.
 */
void workqueue_free(struct workqueue *q);

/* Nothing is started until workqueue_start: handlers may add keys before the informers are synced. */
void workqueue_start(struct workqueue *q);
void workqueue_add(struct workqueue *q, const char *key);
void workqueue_add_ns(struct workqueue *q, const char *ns, const char *name); /* ns "" or NULL: key is the name alone */
void workqueue_add_object(struct workqueue *q, const struct object *o);
/* The earliest wish wins; <= 0 adds at once. */
void workqueue_add_after(struct workqueue *q, const char *key, int64_t ms);
void workqueue_add_rate_limited(struct workqueue *q, const char *key);
void workqueue_forget(struct workqueue *q, const char *key);		 /* back-off starts anew */
unsigned workqueue_failures(const struct workqueue *q, const char *key); /* in a row */
size_t workqueue_len(const struct workqueue *q);			 /* waiting now */
size_t workqueue_busy(const struct workqueue *q);			 /* in progress */
bool workqueue_idle(const struct workqueue *q);				 /* neither; delayed keys don't count */

/* "ns/name" into its halves; ns is "" when there is none. Both in a. */
void key_split(const char *key, struct arena *a, const char **ret_ns, const char **ret_name);

/* ---- inside a sync ---- */
typedef void (*sync_done_fn)(struct sync *s, void *arg, const struct status *err, struct object *obj);
/*
 * client_do that holds the sync open until done was called. r->done and r->arg are not used. done NULL: a failure fails
 * the sync; otherwise done decides and calls sync_fail.
 */
void sync_request(struct sync *s, struct client *c, const struct client_request *r, sync_done_fn done, void *arg);
/* Holds the sync open for something else than a request; each hold needs its release, also when the queue was freed. */
void sync_hold(struct sync *s);
void sync_release(struct sync *s);
/* The sync has failed; the first failure is logged (conflicts only when debugging). err is copied. */
void sync_fail(struct sync *s, const struct status *err);
void sync_failf(struct sync *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool sync_failed(const struct sync *s);
/* Sync the key again this long after the end of this pass, if it succeeds. */
void sync_again_after(struct sync *s, int64_t ms);
bool sync_stopped(const struct sync *s);
void *sync_arg(const struct sync *s); /* the queue's arg; not when stopped */
/* A done for requests about objects that may have gone meanwhile: 404 and 409 are no failures. */
void sync_ignore_missing(struct sync *s, void *arg, const struct status *err, struct object *obj);
/* Takes a reference that is dropped with the sync; returns o. What callbacks of requests look at has to be kept. */
struct object *sync_keep(struct sync *s, struct object *o);

#endif
