/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch: the store's changes as a stream of {"type":…,"object":…} lines (or protobuf frames).
 *
 * resourceVersion "" and "0": first an ADDED for each object there is, then what changes. N: what changed after N; when
 * the window no longer reaches back to it, an ERROR event with a 410 ends the stream. sendInitialEvents=true: the
 * objects, then a BOOKMARK with the annotation k8s.io/initial-events-end. A selector turns a change across its border
 * into ADDED or DELETED. A frame in the plain form is made once and shared by all watches.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/protobuf.h"
#include "api/resource.h"
#include "api/selector.h"
#include "api/table.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"
#include "io/loop.h"
#include "server/encode.h"
#include "server/list.h"
#include "server/registry.h"
#include "server/server_internal.h"
#include "store/store.h"

#define WATCH_SECONDS_MIN 1800	/* a watch without timeoutSeconds ends between this and twice this, as upstream: */
				/* so that clients spread over servers again */
#define WATCH_SECONDS_MAX 86400 /* longest that may be asked for */

struct watcher {
	struct request *request;
	struct store_watch *watch;
	struct loop_timer *timer; /* end of life */
	const struct resource *row;
	struct label_selector *labels;
	struct field_selector *fields;
	bool bookmarks;
	bool first_sent; /* of a Table: the columns go with the first event only */
	uint64_t told;	 /* revision of the last event or bookmark */
	uint64_t seen;	 /* revision up to which nothing was missed */
};

/* ---- shared frames ---- */

#define FRAME_CACHE_SLOTS 64 /* changes of one commit that several watches are told of in turn */

struct frame_slot {
	struct object *obj;
	const struct resource *row;
	const char *type;
	struct bytes *frame;
};

struct frame_cache {
	struct frame_slot slots[FRAME_CACHE_SLOTS];
	struct loop_defer *clear; /* frames are for one turn: an idle server keeps none */
};

static void frame_cache_clear(void *arg)
{
	struct frame_cache *c = arg;
	for (size_t i = 0; i < FRAME_CACHE_SLOTS; i++) {
		struct frame_slot *s = &c->slots[i];
		object_unref(s->obj);
		bytes_unref(s->frame);
		*s = (struct frame_slot){0};
	}
}

struct frame_cache *frame_cache_new(struct loop *l)
{
	struct frame_cache *c = NEW(struct frame_cache);
	c->clear = loop_defer_new(l, frame_cache_clear, c);
	return c;
}

void frame_cache_free(struct frame_cache *c)
{
	if (!c)
		return;
	frame_cache_clear(c);
	loop_defer_free(c->clear);
	free(c);
}

static struct bytes *make_frame(const char *type, const char *object, size_t len)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	buf_adds(&out, "{\"type\":\"");
	buf_adds(&out, type);
	buf_adds(&out, "\",\"object\":");
	buf_add(&out, object, len);
	buf_adds(&out, "}\n");
	return bytes_from_buf(&out);
}

static struct bytes *shared_frame(struct frame_cache *c, const char *type, struct object *o, const struct resource *row)
{
	struct frame_slot *s = &c->slots[o->rev % FRAME_CACHE_SLOTS];
	if (s->obj == o && s->row == row && s->type == type)
		return bytes_ref(s->frame);
	_cleanup_bytes_ struct bytes *json = registry_bytes(o, row);
	struct bytes *frame = make_frame(type, json->data, json->len);
	object_unref(s->obj);
	bytes_unref(s->frame);
	*s = (struct frame_slot){object_ref(o), row, type, bytes_ref(frame)};
	loop_defer_schedule(c->clear);
	return frame;
}

/* ---- events ---- */

static const char added[] = "ADDED", modified[] = "MODIFIED", deleted[] = "DELETED", bookmark[] = "BOOKMARK";

static void watcher_free(struct watcher *w)
{
	struct server *s = w->request->server;
	w->request->on_gone = NULL;
	store_watch_free(w->watch);
	loop_timer_free(w->timer);
	if (w->bookmarks)
		s->n_bookmark_watches--;
	w->request->state = NULL;
	request_unref(w->request);
	free(w);
}

static void watcher_gone(struct request *r)
{
	watcher_free(r->state);
}

static struct bytes *protobuf_frame(const char *type, const struct json *tree)
{
	_cleanup_buf_ struct buf object = BUF_INIT, out = BUF_INIT;
	if (protobuf_encode(tree, NULL, &object) < 0)
		return NULL;
	protobuf_watch_frame(type, buf_str(&object), object.len, &out);
	return bytes_from_buf(&out);
}

static struct bytes *tree_frame(struct watcher *w, const char *type, const struct json *tree)
{
	if (w->request->out.format == OUTPUT_PROTOBUF)
		return protobuf_frame(type, tree);
	_cleanup_buf_ struct buf object = BUF_INIT;
	json_write(&object, tree);
	return make_frame(type, buf_str(&object), object.len);
}

static struct bytes *event_frame(struct watcher *w, const char *type, struct object *o)
{
	struct request *r = w->request;
	if (r->out.as == AS_TABLE) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		struct table_meta m = {.rev = o->rev, .remaining = -1, .no_columns = w->first_sent};
		encode_table_object(r, o, &m, &out);
		w->first_sent = true;
		return make_frame(type, buf_str(&out), out.len);
	}
	if (r->out.as == AS_OBJECT && r->out.format == OUTPUT_JSON)
		return shared_frame(r->server->frames, type, o, w->row);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *tree = registry_tree(o, w->row, &a);
	if (r->out.as != AS_OBJECT)
		tree = partial_metadata(&a, tree, str_or(r->out.as_version, "v1"));
	return tree_frame(w, type, tree);
}

/* A reader that doesn't keep up is cut off by the HTTP side (http_limits.stream_queue_bytes_max) and resumes by itself.
 */
static void send_object(struct watcher *w, const char *type, struct object *o)
{
	_cleanup_bytes_ struct bytes *frame = event_frame(w, type, o);
	w->told = o->rev;
	if (frame)
		http_stream_write(w->request->http, frame);
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
	send_object(w, deleted, o);
	object_unref(o);
}

static void send_event(struct watcher *w, const struct store_event *ev)
{
	bool was = ev->type != STORE_CREATED && matches(w, ev->prev);
	bool is = ev->type != STORE_DELETED && matches(w, ev->obj);
	if (is)
		send_object(w, was ? modified : added, ev->obj);
	else if (was && ev->type == STORE_DELETED)
		send_object(w, deleted, ev->obj);
	else if (was)
		send_left(w, ev);
}

static void on_change(void *arg, const struct store_event *ev)
{
	struct watcher *w = arg;
	if (!ev) {
		w->seen = MAX_OF(w->seen, store_revision(w->request->server->store));
		return;
	}
	w->seen = ev->rev;
	send_event(w, ev);
}

/* ---- bookmarks ---- */

static void send_bookmark(struct watcher *w, uint64_t rev, bool initial_end)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf version = BUF_INIT;
	struct request *r = w->request;
	struct json *o = json_new(&a, JSON_OBJECT), *meta;
	bool partial = r->out.as == AS_PARTIAL || r->out.as == AS_PARTIAL_LIST;
	resource_api_version(w->row, &version);
	json_set_str(&a, o, "kind", partial ? "PartialObjectMetadata" : w->row->kind);
	json_set_str(&a, o, "apiVersion", partial ? "meta.k8s.io/v1" : buf_str(&version));
	meta = json_set(&a, o, "metadata", json_new(&a, JSON_OBJECT));
	json_set(&a, meta, "resourceVersion", json_new_strf(&a, "%" PRIu64, rev));
	if (initial_end)
		json_set_str(&a, json_object_in(&a, meta, "annotations"), "k8s.io/initial-events-end", "true");
	_cleanup_bytes_ struct bytes *frame = NULL;
	if (r->out.as == AS_TABLE) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		struct object *obj = object_from_tree(w->row, "", rev, o);
		struct table_meta m = {.rev = rev, .remaining = -1, .no_columns = w->first_sent};
		encode_table_object(r, obj, &m, &out);
		object_unref(obj);
		w->first_sent = true;
		frame = make_frame(bookmark, buf_str(&out), out.len);
	} else {
		frame = tree_frame(w, bookmark, o);
	}
	w->told = rev;
	if (frame)
		http_stream_write(r->http, frame);
}

void watch_bookmarks(struct server *s)
{
	uint64_t now = store_revision(s->store);
	LIST_EACH_SAFE(it, &s->requests) {
		struct request *r = LIST_ENTRY(it, struct request, link);
		struct watcher *w = r->on_gone == watcher_gone ? r->state : NULL;
		/* Changes up to now were delivered in the turns of their commits. */
		if (w && w->bookmarks && w->told < now && w->seen >= w->told)
			send_bookmark(w, now, false);
	}
}

/* ---- begin and end ---- */

void watch_end(struct request *r)
{
	if (r->on_gone != watcher_gone)
		return;
	struct watcher *w = r->state;
	struct http_request *http = r->http;
	if (w->bookmarks && store_revision(r->server->store) > w->told)
		send_bookmark(w, store_revision(r->server->store), false);
	http_stream_end(http);
}

static void watch_expired(void *arg)
{
	struct watcher *w = arg;
	watch_end(w->request);
}

static bool send_initial(void *arg, struct object *o)
{
	struct watcher *w = arg;
	if (matches(w, o))
		send_object(w, added, o);
	return true;
}

struct watch_options {
	uint64_t rev;	  /* 0: from now on */
	bool initial;	  /* the objects first */
	bool initial_end; /* and a bookmark behind them */
	bool bookmarks;
	int64_t seconds;
};

static int parse_watch(struct request *r, struct watch_options *o, struct status *err)
{
	const struct query *q = &r->query;
	const char *rev = query_get(q, "resourceVersion"), *seconds = query_get(q, "timeoutSeconds");
	const char *match = query_get(q, "resourceVersionMatch"), *initial = query_get(q, "sendInitialEvents");
	uint64_t now = store_revision(r->server->store);
	uint16_t spread;
	env->random(&spread, sizeof(spread));
	o->seconds = WATCH_SECONDS_MIN + spread % WATCH_SECONDS_MIN;
	o->bookmarks = query_bool(q, "allowWatchBookmarks");
	if (!str_empty(rev) && parse_u64(rev, &o->rev) < 0)
		return status_set(err, 400, "invalid resource version \"%s\"", rev);
	if (!str_empty(seconds)) {
		int64_t n;
		if (parse_i64(seconds, &n) < 0 || n < 0)
			return status_set(err, 400, "invalid timeoutSeconds \"%s\"", seconds);
		if (n)
			o->seconds = MIN_OF(n, WATCH_SECONDS_MAX);
	}
	o->initial = o->rev == 0;
	if (!str_empty(initial)) {
		if (!str_eq(str_or(match, ""), "NotOlderThan")) {
			status_cause(
			    err, "FieldValueForbidden", "resourceVersionMatch",
			    "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
			return status_invalid(err, "meta.k8s.io", "ListOptions", "");
		}
		o->initial = query_bool(q, "sendInitialEvents");
		o->initial_end = o->initial && o->bookmarks;
		if (o->rev > now)
			return too_large_revision(err, o->rev, now);
		if (o->initial)
			o->rev = 0;
	} else if (!str_empty(match)) {
		status_cause(
		    err, "FieldValueForbidden", "resourceVersionMatch",
		    "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
		return status_invalid(err, "meta.k8s.io", "ListOptions", "");
	}
	if (o->rev > now)
		return too_large_revision(err, o->rev, now);
	return 0;
}

static void send_expired(struct request *r, uint64_t rev)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json *tree;
	struct json_error bad;
	status_set_reason(&err, 410, "Expired", "too old resource version: %" PRIu64 " (%" PRIu64 ")", rev,
			  store_compacted(r->server->store));
	status_write_json(&err, &text);
	struct bytes *frame = NULL;
	if (r->out.format != OUTPUT_PROTOBUF)
		frame = make_frame("ERROR", buf_str(&text), text.len);
	else if (json_parse(&r->arena, buf_str(&text), text.len, &tree, &bad) == 0)
		frame = protobuf_frame("ERROR", tree);
	if (frame)
		http_stream_write(r->http, frame);
	bytes_unref(frame);
	http_stream_end(r->http);
}

static void watch_start(struct request *r, const struct watch_options *o, struct label_selector *labels,
			struct field_selector *fields)
{
	struct server *s = r->server;
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	const struct resource *stored = registry_storage_row(r->route.resource);
	uint64_t from = o->rev ? o->rev : store_revision(s->store);
	bool expired = false;
	resource_key(stored, stored->namespaced && *r->route.ns ? r->route.ns : NULL, NULL, &prefix);
	http_add_header(r->http, "cache-control", "no-cache, private");
	metrics_request(s, r, 200);
	http_stream_begin(r->http, 200, output_stream_type(r->out.format));
	struct watcher *w = NEW(struct watcher);
	*w = (struct watcher){.request = request_ref(r),
			      .row = r->route.resource,
			      .labels = labels,
			      .fields = fields,
			      .bookmarks = o->bookmarks,
			      .told = from,
			      .seen = from};
	r->state = w;
	r->on_gone = watcher_gone;
	w->timer = loop_timer_new(s->loop, watch_expired, w);
	loop_timer_start(w->timer, o->seconds * 1000);
	if (w->bookmarks && s->n_bookmark_watches++ == 0)
		loop_timer_start(s->bookmarks, BOOKMARK_MS);
	w->watch = store_watch_new(s->store, buf_str(&prefix), from, on_change, w, &expired);
	if (expired) {
		watcher_free(w);
		send_expired(r, o->rev);
		return;
	}
	if (o->initial) {
		store_each(s->store, buf_str(&prefix), NULL, send_initial, w);
		w->told = from;
		if (o->initial_end)
			send_bookmark(w, from, true);
	}
}

void handle_watch(struct request *r)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct watch_options o = {0};
	struct label_selector *labels = NULL;
	struct field_selector *fields = NULL;
	if (list_selectors(r, &labels, &fields, &err) < 0 || parse_watch(r, &o, &err) < 0) {
		reply_status(r, &err);
		return;
	}
	if (*r->route.name && !fields) {
		/* /watch/…/NAME: one object. */
		char *text = arena_printf(&r->arena, "metadata.name=%s", r->route.name);
		if (field_selector_parse(&r->arena, text, &fields, &err) < 0) {
			reply_status(r, &err);
			return;
		}
	}
	watch_start(r, &o, labels, fields);
}
