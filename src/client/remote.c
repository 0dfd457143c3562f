/* SPDX-License-Identifier: Apache-2.0 */
#include "client/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "client/watch_frames.h"
#include "http/client.h"
#include "io/loop.h"

struct remote {
	struct client base;
	struct http_client *http;
	char *user_agent;
	struct list calls, watches;
};

/* ---- paths ---- */

static void path_of(struct buf *out, const struct resource *r, const char *ns, const char *name,
		    const char *subresource)
{
	if (str_empty(r->group))
		buf_addf(out, "/api/%s", r->version);
	else
		buf_addf(out, "/apis/%s/%s", r->group, r->version);
	if (r->namespaced && !str_empty(ns)) {
		buf_adds(out, "/namespaces/");
		percent_encode(out, ns);
	}
	buf_addf(out, "/%s", r->plural);
	if (!str_empty(name)) {
		buf_addc(out, '/');
		percent_encode(out, name);
	}
	if (!str_empty(subresource)) {
		buf_addc(out, '/');
		buf_adds(out, subresource);
	}
}

static void query_add(struct buf *out, const char *name, const char *value)
{
	buf_addc(out, memchr(out->data, '?', out->len) ? '&' : '?');
	buf_adds(out, name);
	buf_addc(out, '=');
	percent_encode(out, value);
}

/* What went wrong between us and the server, as a Status. */
static void transport_error(struct status *err, int result)
{
	if (result == -ETIMEDOUT)
		status_set(err, 504, "the server did not answer in time");
	else
		status_set(err, 503, "the server could not be reached: %s", strerror(-result));
}

/* The tree's bytes as an object; items of lists carry no apiVersion and kind of their own. */
static struct object *object_of(const struct resource *r, struct arena *a, struct json *tree)
{
	if (!json_get(tree, "kind")) {
		_cleanup_buf_ struct buf version = BUF_INIT;
		resource_api_version(r, &version);
		json_set_str(a, tree, "kind", r->kind);
		json_set_str(a, tree, "apiVersion", buf_str(&version));
	}
	const char *rev = json_path_str(tree, "metadata.resourceVersion");
	uint64_t n = 0;
	if (rev && parse_u64(rev, &n) < 0)
		n = hash_bytes(rev, strlen(rev)); /* opaque to clients by contract: good enough to see a change */
	_cleanup_buf_ struct buf b = BUF_INIT;
	json_write(&b, tree);
	_cleanup_bytes_ struct bytes *bytes = bytes_from_buf(&b);
	return object_new(r, "", n, bytes);
}

/* ---- one request ---- */

struct remote_call {
	struct list link;
	struct remote *remote;
	struct http_call *http;
	const struct resource *resource;
	client_fn done;
	void *arg;
	int code;
	struct buf body;
};

static void call_end(struct remote_call *c, const struct status *err, struct object *obj)
{
	list_remove(&c->link);
	if (c->done)
		c->done(c->arg, err, obj);
	buf_release(&c->body);
	free(c);
}

static void call_on_response(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	(void)headers, (void)n;
	((struct remote_call *)arg)->code = code;
}

static void call_on_data(void *arg, const char *data, size_t len)
{
	buf_add(&((struct remote_call *)arg)->body, data, len);
}

static void call_on_done(void *arg, int result)
{
	struct remote_call *c = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	if (result == 0 && buf_failed(&c->body))
		result = -EMSGSIZE;
	if (result < 0) {
		transport_error(&err, result);
		call_end(c, &err, NULL);
		return;
	}
	struct json *tree = NULL;
	struct json_error je;
	int parsed = json_parse(&a, buf_str(&c->body), c->body.len, &tree, &je);
	if (c->code < 200 || c->code > 299) {
		status_from_json(&err, c->code ? c->code : 502, parsed == 0 ? tree : NULL);
		call_end(c, &err, NULL);
		return;
	}
	if (parsed < 0) {
		status_set(&err, 502, "the server's answer is not JSON: %s", je.message);
		call_end(c, &err, NULL);
		return;
	}
	_cleanup_object_ struct object *obj = NULL;
	if (!str_eq(json_path_str(tree, "kind"), "Status"))
		obj = object_of(c->resource, &a, tree);
	call_end(c, NULL, obj);
}

static const struct http_call_events call_events = {
    .on_response = call_on_response,
    .on_data = call_on_data,
    .on_done = call_on_done,
};

static const char *const verb_methods[] = {
    [CLIENT_GET] = "GET",     [CLIENT_CREATE] = "POST",	  [CLIENT_UPDATE] = "PUT",
    [CLIENT_PATCH] = "PATCH", [CLIENT_DELETE] = "DELETE",
};

static void remote_request(struct client *base, const struct client_request *r)
{
	struct remote *m = (struct remote *)base;
	_cleanup_buf_ struct buf path = BUF_INIT;
	_cleanup_buf_ struct buf body = BUF_INIT;
	/* A create of an object goes to the collection; of a subresource, to the object. */
	bool collection = r->verb == CLIENT_CREATE && str_empty(r->subresource);
	path_of(&path, r->resource, r->ns, collection ? NULL : r->name, r->subresource);
	if (r->verb != CLIENT_GET && r->verb != CLIENT_DELETE)
		query_add(&path, "fieldManager", str_or(r->field_manager, m->user_agent));
	if (r->verb == CLIENT_PATCH && r->force)
		query_add(&path, "force", "true");
	if (r->body)
		json_write(&body, r->body);

	struct remote_call *c = NEW(struct remote_call);
	c->remote = m;
	c->resource = r->resource;
	c->done = r->done;
	c->arg = r->arg;
	buf_init(&c->body, REMOTE_BODY_BYTES_MAX);
	list_add_tail(&m->calls, &c->link);
	struct http_header_pair headers[] = {
	    {"accept", "application/json"},
	    {"content-type",
	     r->verb == CLIENT_PATCH ? str_or(r->patch_type, "application/merge-patch+json") : "application/json"},
	};
	c->http = http_call_start(m->http,
				  &(struct http_call_config){
				      .method = verb_methods[r->verb],
				      .path = buf_str(&path),
				      .headers = headers,
				      .n_headers = r->body ? 2 : 1,
				      .body = r->body ? buf_str(&body) : NULL,
				      .body_len = body.len,
				      .timeout_ms = REMOTE_REQUEST_MS_MAX,
				  },
				  &call_events, c);
}

/* ---- watches ---- */

/*
 *   LISTING ──last page──▶ WATCHING ──stream ended──▶ WAITING ──timer──▶ WATCHING (or LISTING when relist)
 *      ▲ 410, error: WAITING with relist ◀──────────────┘
 */
enum watch_state { WATCH_LISTING, WATCH_WATCHING, WATCH_WAITING };

struct remote_watch {
	struct client_watch base;
	struct list link;
	enum watch_state state;
	const struct resource *resource;
	char *ns, *field_selector, *label_selector;
	void (*fn)(void *arg, enum client_event_type type, struct object *obj);
	void *arg;
	struct http_call *http; /* NULL while waiting */
	struct loop_timer *timer;
	int code;
	struct buf body; /* of a list page, or of an error */
	struct watch_frames frames;
	char *rev;	 /* to resume at */
	char *next_page; /* continue token */
	bool relist, fruitful, broken;
	unsigned failures;
	unsigned calling; /* fn is on the stack: free later */
	bool stopped;
};

static void watch_go(void *arg);
static const struct http_call_events watch_events;

static void watch_free(struct remote_watch *w)
{
	loop_timer_free(w->timer);
	buf_release(&w->body);
	watch_frames_release(&w->frames);
	free(w->ns);
	free(w->field_selector);
	free(w->label_selector);
	free(w->rev);
	free(w->next_page);
	free(w);
}

static void tell(struct remote_watch *w, enum client_event_type type, struct object *obj)
{
	if (!w->stopped)
		w->fn(w->arg, type, obj);
}

/* Half to whole of the exponential back-off, so that clients of a server that was away don't come back as one. */
static int64_t backoff_ms(unsigned failures)
{
	int64_t ms = REMOTE_BACKOFF_MS_MIN;
	for (unsigned i = 1; i < failures && ms < REMOTE_BACKOFF_MS_MAX; i++)
		ms *= 2;
	if (ms > REMOTE_BACKOFF_MS_MAX)
		ms = REMOTE_BACKOFF_MS_MAX;
	uint32_t random;
	env->random(&random, sizeof(random));
	return ms / 2 + random % (ms / 2 + 1);
}

static void watch_again(struct remote_watch *w, bool failed)
{
	w->state = WATCH_WAITING;
	w->failures = failed ? w->failures + 1 : 0;
	loop_timer_start(w->timer, failed ? backoff_ms(w->failures) : 0);
}

static void watch_relist(struct remote_watch *w)
{
	w->relist = true;
	xreplace(&w->next_page, NULL);
}

static void watch_go(void *arg)
{
	struct remote_watch *w = arg;
	struct remote *m = (struct remote *)w->base.client;
	_cleanup_buf_ struct buf path = BUF_INIT;
	int64_t timeout_ms = REMOTE_REQUEST_MS_MAX;
	char number[24];
	path_of(&path, w->resource, w->ns, NULL, NULL);
	if (w->field_selector)
		query_add(&path, "fieldSelector", w->field_selector);
	if (w->label_selector)
		query_add(&path, "labelSelector", w->label_selector);
	if (w->relist) {
		w->state = WATCH_LISTING;
		snprintf(number, sizeof(number), "%d", REMOTE_PAGE);
		query_add(&path, "limit", number);
		if (w->next_page)
			query_add(&path, "continue", w->next_page);
	} else {
		w->state = WATCH_WATCHING;
		uint32_t random;
		env->random(&random, sizeof(random));
		int seconds = REMOTE_WATCH_S_MIN + (int)(random % REMOTE_WATCH_S_MIN);
		timeout_ms = seconds * 1000 + REMOTE_WATCH_GRACE_MS;
		snprintf(number, sizeof(number), "%d", seconds);
		query_add(&path, "watch", "true");
		query_add(&path, "allowWatchBookmarks", "true");
		query_add(&path, "resourceVersion", w->rev);
		query_add(&path, "timeoutSeconds", number);
	}
	w->code = 0;
	w->fruitful = w->broken = false;
	buf_clear(&w->body);
	watch_frames_clear(&w->frames);
	static const struct http_header_pair accept = {"accept", "application/json"};
	w->http = http_call_start(m->http,
				  &(struct http_call_config){
				      .method = "GET",
				      .path = buf_str(&path),
				      .headers = &accept,
				      .n_headers = 1,
				      .timeout_ms = timeout_ms,
				  },
				  &watch_events, w);
}

/* One event of the stream. Returns whether to go on reading. */
static bool on_frame(void *arg, const char *line, size_t len)
{
	struct remote_watch *w = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	enum watch_frame_type type;
	struct json *tree;
	if (watch_frame_decode(&a, line, len, &type, &tree) < 0) {
		log_warn("watch event could not be read resource=%s", w->resource->plural);
		watch_relist(w);
		w->broken = true;
		return false;
	}
	if (type == FRAME_ERROR) {
		w->broken = true;
		/* Whatever it is (410 Expired mostly): what we know can't be continued. */
		watch_relist(w);
		return false;
	}
	const char *rev = json_path_str(tree, "metadata.resourceVersion");
	if (rev)
		xreplace(&w->rev, rev);
	w->fruitful = true;
	w->failures = 0; /* it brings events: what went wrong before is over */
	if (type == FRAME_BOOKMARK)
		return true;
	_cleanup_object_ struct object *obj = object_of(w->resource, &a, tree);
	if (obj)
		tell(w,
		     type == FRAME_ADDED      ? CLIENT_ADDED
		     : type == FRAME_MODIFIED ? CLIENT_MODIFIED
					      : CLIENT_DELETED,
		     obj);
	return !w->stopped;
}

static void watch_on_response(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	(void)headers, (void)n;
	((struct remote_watch *)arg)->code = code;
}

static void watch_on_data(void *arg, const char *data, size_t len)
{
	struct remote_watch *w = arg;
	if (w->broken || w->stopped)
		return;
	if (w->state == WATCH_LISTING || w->code != 200) {
		buf_add(&w->body, data, len);
		return;
	}
	w->calling++;
	if (watch_frames_feed(&w->frames, data, len, on_frame, w) < 0) {
		log_warn("watch event is too large resource=%s", w->resource->plural);
		watch_relist(w);
		w->broken = true;
	}
	w->calling--;
	if (w->stopped) {
		watch_free(w);
	} else if (w->broken) {
		http_call_cancel(TAKE_PTR(w->http));
		watch_again(w, true);
	}
}

/* Gives the objects of a page. */
static void page_deliver(struct remote_watch *w, struct json *list)
{
	if (!w->next_page)
		tell(w, CLIENT_RELIST_BEGIN, NULL);
	JSON_EACH(item, json_get(list, "items")) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_object_ struct object *obj = object_of(w->resource, &a, item);
		if (obj)
			tell(w, CLIENT_ADDED, obj);
		if (w->stopped)
			return;
	}
	const char *next = json_path_str(list, "metadata.continue");
	xreplace(&w->rev, str_or(json_path_str(list, "metadata.resourceVersion"), "0"));
	xreplace(&w->next_page, str_empty(next) ? NULL : next);
	if (w->next_page)
		return;
	w->relist = false;
	tell(w, CLIENT_SYNCED, NULL);
}

static void watch_failed(struct remote_watch *w, const char *doing, const struct status *err)
{
	if (err->code == 410)
		watch_relist(w);
	if (w->failures == 2) /* not the hiccup of a restart any more; once for each outage */
		log_warn("%s failed resource=%s error=\"%s\"", doing, w->resource->plural, str_or(err->message, ""));
	else
		log_debug("%s failed resource=%s error=\"%s\"", doing, w->resource->plural, str_or(err->message, ""));
	watch_again(w, true);
}

static void list_done(struct remote_watch *w, struct status *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *tree = NULL;
	struct json_error je;
	if (json_parse(&a, buf_str(&w->body), w->body.len, &tree, &je) < 0)
		tree = NULL;
	buf_release(&w->body); /* pages are large; nothing of it is needed while watching */
	buf_init(&w->body, REMOTE_BODY_BYTES_MAX);
	if (w->code != 200 || !json_is(json_get(tree, "metadata"), JSON_OBJECT)) {
		status_from_json(err, w->code == 200 || !w->code ? 502 : w->code, tree);
		if (w->next_page && err->code != 410 && err->code < 500)
			watch_relist(w); /* a token that is not liked any more */
		watch_failed(w, "list", err);
		return;
	}
	w->calling++;
	page_deliver(w, tree);
	w->calling--;
	if (w->stopped)
		watch_free(w);
	else
		watch_again(w, false);
}

static void watch_on_done(void *arg, int result)
{
	struct remote_watch *w = arg;
	_cleanup_status_ struct status err = STATUS_INIT;
	w->http = NULL;
	if (w->state == WATCH_LISTING) {
		if (result == 0 && buf_failed(&w->body))
			result = -EMSGSIZE;
		if (result == 0) {
			list_done(w, &err);
			return;
		}
		transport_error(&err, result);
		watch_failed(w, "list", &err);
		return;
	}
	if (result < 0 && !w->fruitful) {
		transport_error(&err, result);
		watch_failed(w, "watch", &err);
	} else if (result == 0 && w->code != 200) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		struct json *tree = NULL;
		struct json_error je;
		if (json_parse(&a, buf_str(&w->body), w->body.len, &tree, &je) < 0)
			tree = NULL;
		status_from_json(&err, w->code, tree);
		watch_failed(w, "watch", &err);
	} else {
		/* Ended in good order, or lost after it had brought something: a short pause, then resume. */
		w->failures = 0;
		watch_again(w, true);
	}
}

static const struct http_call_events watch_events = {
    .on_response = watch_on_response,
    .on_data = watch_on_data,
    .on_done = watch_on_done,
};

static struct client_watch *remote_watch_start(struct client *base, const struct client_watch_request *r)
{
	struct remote *m = (struct remote *)base;
	struct remote_watch *w = NEW(struct remote_watch);
	w->base.client = base;
	w->resource = r->resource;
	w->ns = xstrdup(r->ns);
	w->field_selector = xstrdup(r->field_selector);
	w->label_selector = xstrdup(r->label_selector);
	w->fn = r->fn;
	w->arg = r->arg;
	w->relist = true;
	buf_init(&w->body, REMOTE_BODY_BYTES_MAX);
	watch_frames_init(&w->frames);
	w->timer = loop_timer_new(base->loop, watch_go, w);
	list_add_tail(&m->watches, &w->link);
	watch_again(w, false);
	return &w->base;
}

static void remote_watch_stop(struct client_watch *base)
{
	struct remote_watch *w = (struct remote_watch *)base;
	list_remove(&w->link);
	w->stopped = true;
	loop_timer_stop(w->timer);
	if (w->http)
		http_call_cancel(TAKE_PTR(w->http));
	if (!w->calling)
		watch_free(w);
}

/* ---- life ---- */

static void remote_free(struct client *base)
{
	struct remote *m = (struct remote *)base;
	while (!list_empty(&m->watches))
		remote_watch_stop(&LIST_ENTRY(m->watches.next, struct remote_watch, link)->base);
	while (!list_empty(&m->calls)) {
		struct remote_call *c = LIST_ENTRY(m->calls.next, struct remote_call, link);
		_cleanup_status_ struct status err = STATUS_INIT;
		transport_error(&err, -ECANCELED);
		http_call_cancel(c->http);
		call_end(c, &err, NULL);
	}
	free(m->user_agent);
	free(m);
}

static const struct client_ops remote_ops = {
    .request = remote_request,
    .watch_start = remote_watch_start,
    .watch_stop = remote_watch_stop,
    .free = remote_free,
};

struct client *remote_client_new(struct loop *l, struct http_client *h, const char *user_agent)
{
	struct remote *m = NEW(struct remote);
	m->user_agent = xstrdup(user_agent);
	m->base = (struct client){.ops = &remote_ops, .loop = l, .user_agent = m->user_agent};
	m->http = h;
	list_init(&m->calls);
	list_init(&m->watches);
	return &m->base;
}
