/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The revisioned keyspace. One global revision counts every change. Committed objects are in memory, ordered by key;
 * a history window of changes serves watches and consistent chunked lists; a backend makes changes durable.
 *
 * Writes are prepared in the loop's turn against the latest state, uncommitted changes included, and become one durable
 * commit with all others of that turn (and of those that arrived while the last commit was running). done() is called
 * after the commit; only then do readers and watchers see the change. When a commit fails, every write that was in it
 * or built on it fails with the same error and the revision counter goes back: nothing half-done stays.
 *
 * Volatile writes (store_write.lazy) are applied and answered at once and are committed with the next durable write or
 * within STORE_LAZY_MS_MAX (events) or STORE_RENEWAL_MS_MAX (lease renewals and heartbeats).
 */
#ifndef PROA_STORE_STORE_H
#define PROA_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct json;
struct loop;
struct object;
struct resource;
struct store;
struct store_watch;

#define STORE_LAZY_MS_MAX 5000
/* A renewal is worthless after some 40 s and made again by then: writing it down is of no use but to keep what is in
 * memory only small. An idle cluster writes below 0.1 kB/s this way. */
#define STORE_RENEWAL_MS_MAX 300000
/*
 * The window of changes ends at the first of two bounds, the bytes counted beyond what live objects hold anyway. What
 * is older than STORE_COMPACT_MS is cut down to STORE_HISTORY_BYTES_KEPT, so that an idle store is small and a busy one
 * still serves clients that page through a list or resume a watch.
 */
#define STORE_HISTORY_EVENTS_MAX 100000
#define STORE_HISTORY_BYTES_MAX (8u << 20)
#define STORE_HISTORY_BYTES_KEPT (2u << 20)
#define STORE_COMPACT_MS 300000		 /* as upstream: a list can be continued for one to two times this */
#define STORE_VALUE_BYTES_MAX (3u << 19) /* 1.5 MiB, etcd's request limit */

/*
 * What stands between an object's bytes and the disk: encryption at rest. In memory everything is plain. key is the
 * object's storage key, which a value should be bound to, so that it is worth nothing under another.
 */
struct store_codec {
	void *self;
	/* In a worker thread, one call at a time. 0 with *ret (NULL: stored as it is), or negative errno. */
	int (*seal)(void *self, const char *key, const struct bytes *plain, struct bytes **ret);
	/*
	 * While loading. 0 with *ret (NULL: it is plain), or negative errno with a reason in why. *ret_stale: seal
	 * would write it otherwise now; once such a value is superseded it leaves history and disk.
	 */
	int (*open)(void *self, const char *key, const void *p, size_t len, struct bytes **ret, bool *ret_stale,
		    char *why, size_t why_len);
};

#define STORE_SEALED_PREFIX "k8s:enc:" /* upstream's mark of what is not plain; no object begins so */

struct store_config {
	struct loop *loop;
	const char *dir; /* created 0700; "" or NULL: memory only (tests, simulation) */
	/* The row of the resource table a key belongs to, or NULL; for the objects' index. */
	const struct resource *(*resource_of_key)(const char *key);
	const struct store_codec *codec; /* borrowed; NULL: values are written as they are */
};

/* Reads everything back. 0 or negative errno with a reason in err. A second store on the same dir: -EBUSY. */
int store_open(const struct store_config *c, struct store **ret, char *err, size_t err_len);
/* Commits what is pending, waiting here, and calls done of every write: before those who would be told go away. */
void store_settle(struct store *s);
/* Commits what is pending, then closes. Calls done of every pending write first. */
void store_close(struct store *s);

/* Do commits get through? */
enum store_health {
	STORE_WORKS,
	STORE_FAILING, /* the last one failed; it is tried again every STORE_PROBE_MS, also when nobody writes */
	STORE_STALLED, /* one is at work for longer than STORE_STALL_MS: the disk does not answer */
};
#define STORE_STALL_MS 10000 /* the slowest flash card takes a second */
#define STORE_PROBE_MS 5000
enum store_health store_health(const struct store *s);

uint64_t store_revision(const struct store *s);	   /* committed */
uint64_t store_compacted(const struct store *s);   /* changes up to here are no longer in the window */
uint64_t store_oldest_list(const struct store *s); /* the oldest state that store_each_at gives */
/* Committed object, borrowed until the end of this turn (object_ref to keep), or NULL. */
struct object *store_get(struct store *s, const char *key);
/* The latest, uncommitted changes included: what a write must be prepared against. */
struct object *store_get_latest(struct store *s, const char *key);

/* In key order from the first key >= start (NULL: prefix) below prefix; stop by returning false. */
void store_each(struct store *s, const char *prefix, const char *start, bool (*fn)(void *arg, struct object *o),
		void *arg);
/* As of a past revision from store_oldest_list() on; false: compacted (410 Expired). rev 0: now. */
bool store_each_at(struct store *s, uint64_t rev, const char *prefix, const char *start,
		   bool (*fn)(void *arg, struct object *o), void *arg);
uint64_t store_count(struct store *s, const char *prefix); /* committed keys below prefix */

enum store_error {
	STORE_OK = 0,
	STORE_CONFLICT = -1, /* the key's latest revision is not expect_rev */
	STORE_EXISTS = -2,   /* create, but it is there */
	STORE_MISSING = -3,  /* update or delete, but it is not there */
	STORE_FULL = -4,     /* no space: 507 */
	STORE_TOO_LARGE = -5,
	STORE_IO = -6, /* the backend failed: 500 */
};

struct store_write {
	const char *key;
	const struct resource *resource;
	struct json *tree;   /* new value; metadata.resourceVersion is set by the store. NULL: delete */
	bool create;	     /* must not exist */
	uint64_t expect_rev; /* 0: any existing one */
	bool lazy, renewal;  /* renewal: lazy, and superseded within seconds */
	/* obj: what was written, or for a delete the last state with the deletion's revision; NULL on failure. */
	void (*done)(void *arg, enum store_error result, struct object *obj);
	void *arg;
};

/* Checks at once (STORE_CONFLICT, … are returned and done is not called); STORE_OK: done follows, never before this
 * returns. */
enum store_error store_write(struct store *s, const struct store_write *w);

enum store_event_type { STORE_CREATED, STORE_UPDATED, STORE_DELETED, STORE_EXPIRED };
struct store_event {
	enum store_event_type type;
	uint64_t rev;	     /* STORE_EXPIRED: changes up to here are lost; there are no objects */
	struct object *obj;  /* new state; for STORE_DELETED the last state with the deletion's revision in its JSON */
	struct object *prev; /* NULL for STORE_CREATED */
};

/*
 * Delivers every change below prefix with a revision > from_rev, in order, none twice: first those of the window, in a
 * later turn, then live ones in the turn of their commit. Also called with ev == NULL after each commit's events were
 * delivered to this watch's owner (for bookmarks, flush). NULL with *ret_expired: from_rev is older than the window.
 */
typedef void (*store_watch_fn)(void *arg, const struct store_event *ev);
struct store_watch *store_watch_new(struct store *s, const char *prefix, uint64_t from_rev, store_watch_fn fn,
				    void *arg, bool *ret_expired);
void store_watch_free(struct store_watch *w); /* also from its own callback */
/*
 * For receivers that cannot take more now; from the watch's callback or in the turn that made it. What happens
 * meanwhile stays in the window, where it costs this watch nothing, and is delivered after store_watch_resume(). When
 * the window has left it behind by then, it gets STORE_EXPIRED, once, and nothing after that.
 */
void store_watch_pause(struct store_watch *w);
void store_watch_resume(struct store_watch *w);	      /* in a later turn events come again */
bool store_watch_behind(const struct store_watch *w); /* not everything up to store_revision() was delivered */

#endif
