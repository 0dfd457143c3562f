/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch: the store's changes as a stream of events.
 *
 * resourceVersion "" and "0": first an ADDED for each object there is, then what changes. N: what changed after N; when
 * the window no longer reaches back to it, an ERROR event with a 410 ends the stream. sendInitialEvents=true: the
 * objects, then a BOOKMARK with the annotation k8s.io/initial-events-end. A selector turns a change across its border
 * into ADDED or DELETED.
 *
 *     INITIAL ──> LIVE <──> PAUSED ──> (window gone) ERROR 410, end
 *
 * A reader that doesn't keep up has at most WATCH_QUEUE_BYTES waiting for it: then its watch pauses, and goes on from
 * the store's window when they are taken. So being slow costs only itself, nothing is dropped, and the bound beyond
 * which it must list again is the window's (STORE_HISTORY_BYTES_MAX, STORE_HISTORY_EVENTS_MAX).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/list.h"
#include "server/registry.h"
#include "server/server_internal.h"
#include "server/watch.h"
#include "store/store.h"

#define WATCH_SECONDS_MIN 1800	/* a watch without timeoutSeconds ends between this and twice this, as upstream: */
				/* so that clients spread over servers again */
#define WATCH_SECONDS_MAX 86400 /* longest that may be asked for */
#define WATCH_QUEUE_BYTES (256 * 1024) /* a few network round trips' worth of events */

struct watcher {
	struct server *server;
	struct list link; /* in the server's watches */
	struct watch_sink *sink;
	struct store_watch *watch;
	struct loop_timer *timer; /* end of life */
	struct frame_form form;
	struct label_selector *labels;
	struct field_selector *fields;
	struct {
		struct object *
		    *at; /* references to the objects as they were at `from`; [initial_at, n) are to be sent */
		size_t n, cap;
	} initial;
	size_t initial_at;
	uint64_t from; /* events after this follow the initial ones */
	uint64_t told; /* revision of the last event or bookmark */
	bool bookmarks;
	bool initial_end; /* a bookmark is due behind the initial objects */
	bool paused, ended;
};

static void watcher_free(struct watcher *w)
{
	for (size_t i = w->initial_at; i < w->initial.n; i++)
		object_unref(w->initial.at[i]);
	VEC_RELEASE(&w->initial);
	list_remove(&w->link);
	store_watch_free(w->watch);
	loop_timer_free(w->timer);
	if (w->bookmarks)
		w->server->n_bookmark_watches--;
	free(w);
}

/* ---- sending ---- */

static void send_frame(struct watcher *w, struct bytes *frame)
{
	if (frame && !w->ended)
		watch_sink_write(w->sink, frame);
	bytes_unref(frame);
}

static void send_object(struct watcher *w, enum frame_type type, struct object *o)
{
	send_frame(w, frame_object(&w->form, type, o));
}

static void send_bookmark(struct watcher *w, uint64_t rev, bool initial_end)
{
	send_frame(w, frame_bookmark(&w->form, rev, initial_end));
	w->told = rev;
}

static void end(struct watcher *w)
{
	if (w->ended)
		return;
	w->ended = true;
	watch_sink_end(w->sink);
}

static void send_expired(struct watcher *w, uint64_t rev, uint64_t compacted)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	status_set_reason(&err, 410, "Expired", "too old resource version: %" PRIu64 " (%" PRIu64 ")", rev, compacted);
	send_frame(w, frame_error(&w->form, &err));
	end(w);
}

static bool matches(const struct watcher *w, const struct object *o)
{
	return o && label_selector_match(w->labels, o) && field_selector_match(w->fields, o);
}

/* An object that left the selection: its last state inside it, at the revision at which it left. */
static void send_left(struct watcher *w, const struct store_event *ev)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object *o = object_from_tree(ev->prev->resource, ev->prev->key, ev->rev, object_tree(ev->prev, &a));
	send_object(w, FRAME_DELETED, o);
	object_unref(o);
}

static void send_event(struct watcher *w, const struct store_event *ev)
{
	bool was = ev->type != STORE_CREATED && matches(w, ev->prev);
	bool is = ev->type != STORE_DELETED && matches(w, ev->obj);
	if (!was && !is)
		return;
	w->told = ev->rev;
	if (is)
		send_object(w, was ? FRAME_MODIFIED : FRAME_ADDED, ev->obj);
	else if (ev->type == STORE_DELETED)
		send_object(w, FRAME_DELETED, ev->obj);
	else
		send_left(w, ev);
}

static void on_change(void *arg, const struct store_event *ev)
{
	struct watcher *w = arg;
	if (!ev || w->ended)
		return;
	if (ev->type == STORE_EXPIRED) {
		send_expired(w, w->told, ev->rev);
		return;
	}
	send_event(w, ev);
	if (watch_sink_queued(w->sink) > WATCH_QUEUE_BYTES) {
		w->paused = true;
		store_watch_pause(w->watch);
	}
}

/* As much of the initial objects as the reader takes. */
static void send_initial(struct watcher *w)
{
	while (w->initial_at < w->initial.n && watch_sink_queued(w->sink) <= WATCH_QUEUE_BYTES) {
		struct object *o = w->initial.at[w->initial_at++];
		send_object(w, FRAME_ADDED, o);
		object_unref(o);
	}
	if (w->initial_at < w->initial.n)
		return;
	VEC_RELEASE(&w->initial);
	w->initial_at = 0;
	w->told = w->from;
	if (w->initial_end)
		send_bookmark(w, w->from, true);
	w->initial_end = false;
}

static void pump(struct watcher *w)
{
	if (w->ended)
		return;
	if (w->initial.n || w->initial_end)
		send_initial(w);
	if (w->paused && !w->initial.n && watch_sink_queued(w->sink) <= WATCH_QUEUE_BYTES) {
		w->paused = false;
		store_watch_resume(w->watch);
	}
}

/* ---- bookmarks ---- */

/* Tells where the watch is, when that is news: everything up to now was delivered in the turns of the commits. */
static void bookmark(struct watcher *w)
{
	uint64_t now = store_revision(w->server->store);
	if (w->bookmarks && !w->ended && !w->paused && !store_watch_behind(w->watch) && w->told < now)
		send_bookmark(w, now, false);
}

void watch_bookmarks(struct server *s)
{
	LIST_EACH_SAFE(it, &s->watches)
		bookmark(LIST_ENTRY(it, struct watcher, link));
}

/* ---- begin and end ---- */

static void watch_expired(void *arg)
{
	struct watcher *w = arg;
	bookmark(w);
	end(w);
}

void watch_end_all(struct server *s)
{
	LIST_EACH_SAFE(it, &s->watches)
		watch_expired(LIST_ENTRY(it, struct watcher, link));
}

void watch_abort_all(struct server *s)
{
	LIST_EACH_SAFE(it, &s->watches)
		watch_sink_abort(LIST_ENTRY(it, struct watcher, link)->sink);
}

static void on_drain(void *arg)
{
	pump(arg);
}

static void on_gone(void *arg)
{
	watcher_free(arg);
}

static const struct watch_sink_events sink_events = {on_drain, on_gone};

static bool collect(void *arg, struct object *o)
{
	struct watcher *w = arg;
	if (matches(w, o))
		VEC_PUSH(&w->initial, object_ref(o));
	return true;
}

static int64_t life_seconds(const struct list_options *o)
{
	uint16_t spread;
	if (o->seconds)
		return MIN_OF(o->seconds, WATCH_SECONDS_MAX);
	env->random(&spread, sizeof(spread));
	return WATCH_SECONDS_MIN + spread % WATCH_SECONDS_MIN;
}

static void watch_start(struct request *r, const struct list_options *o)
{
	struct server *s = r->server;
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	const struct resource *stored = registry_storage_row(r->route.resource);
	bool initial = o->initial_set ? o->initial : o->rev == 0, expired = false;
	uint64_t now = store_revision(s->store);
	struct watcher *w = NEW(struct watcher);
	*w = (struct watcher){.server = s,
			      .form = {.request = r, .row = r->route.resource},
			      .labels = o->labels,
			      .fields = o->fields,
			      .bookmarks = o->bookmarks,
			      .initial_end = o->initial_set && initial && o->bookmarks,
			      .from = initial || !o->rev ? now : o->rev};
	w->told = w->from;
	list_init(&w->link);
	w->sink = watch_sink_new(r, &sink_events, w);
	if (!w->sink) {
		free(w);
		return;
	}
	list_add_tail(&s->watches, &w->link);
	w->timer = loop_timer_new(s->loop, watch_expired, w);
	loop_timer_start(w->timer, life_seconds(o) * 1000);
	if (w->bookmarks && s->n_bookmark_watches++ == 0)
		loop_timer_start(s->bookmarks, BOOKMARK_MS);
	resource_key(stored, stored->namespaced && *r->route.ns ? r->route.ns : NULL, NULL, &prefix);
	w->watch = store_watch_new(s->store, buf_str(&prefix), w->from, on_change, w, &expired);
	if (expired) {
		send_expired(w, w->from, store_compacted(s->store));
		return;
	}
	if (!initial)
		return;
	store_each(s->store, buf_str(&prefix), NULL, collect, w);
	store_watch_pause(w->watch);
	w->paused = true;
	pump(w);
}

void handle_watch(struct request *r)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct list_options o;
	if (list_options_parse(r, true, &o, &err) < 0)
		reply_status(r, &err);
	else
		watch_start(r, &o);
}
