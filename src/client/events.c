/* SPDX-License-Identifier: Apache-2.0 */
#include "client/events.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"

/* One Event object that we wrote. in_flight: a request about it is under way; dirty: the count rose meanwhile. */
struct record {
	struct list link;	   /* in recorder.recent, least recently used first */
	struct recorder *recorder; /* NULL: it was freed */
	char *key, *ns, *name;
	int64_t first_ns, last_ns;
	int64_t count;
	bool in_flight, dirty, written;
	struct json *object; /* what a create needs, in arena */
	struct arena arena;
};

/* The token bucket of one object. */
struct bucket {
	struct list link;
	char *key;
	double tokens;
	int64_t at_ns;
};

struct recorder {
	struct client *client;
	const char *component, *host;
	struct map records, buckets;
	struct list recent, recent_buckets;
	size_t pending;
	int64_t last_name; /* names carry the time; two of the same moment must differ */
};

static void record_free(struct record *e)
{
	list_remove(&e->link);
	free(e->key);
	free(e->ns);
	free(e->name);
	arena_release(&e->arena);
	free(e);
}

static void bucket_free(struct bucket *b)
{
	list_remove(&b->link);
	free(b->key);
	free(b);
}

/* ---- the spam filter ---- */

static bool allowed(struct recorder *r, const struct event_ref *about, int64_t now)
{
	const char *uid = str_or(about->uid, str_or(about->name, ""));
	struct bucket *b = map_get(&r->buckets, uid);
	if (!b) {
		if (r->buckets.n >= EVENTS_CACHE_MAX) {
			struct bucket *oldest = LIST_ENTRY(r->recent_buckets.next, struct bucket, link);
			map_remove(&r->buckets, oldest->key);
			bucket_free(oldest);
		}
		b = NEW(struct bucket);
		b->key = xstrdup(uid);
		b->tokens = EVENTS_BURST;
		b->at_ns = now;
		list_init(&b->link);
		map_set(&r->buckets, uid, b);
	}
	list_remove(&b->link);
	list_add_tail(&r->recent_buckets, &b->link);
	b->tokens += (double)(now - b->at_ns) / 1e9 / EVENTS_REFILL_S;
	if (b->tokens > EVENTS_BURST)
		b->tokens = EVENTS_BURST;
	b->at_ns = now;
	if (b->tokens < 1)
		return false;
	b->tokens -= 1;
	return true;
}

/* ---- writing ---- */

static void record_send(struct record *e);

static void on_done(void *arg, const struct status *err, struct object *obj)
{
	(void)obj;
	struct record *e = arg;
	struct recorder *r = e->recorder;
	e->in_flight = false;
	if (!r) {
		record_free(e);
		return;
	}
	r->pending--;
	if (err && err->code == 404 && e->written) {
		e->written = false; /* it expired: the next one makes a new object */
		e->dirty = false;
	} else if (err) {
		log_debug("event was not written name=%s/%s error=\"%s\"", e->ns, e->name, str_or(err->message, ""));
		map_remove(&r->records, e->key);
		record_free(e);
		return;
	} else {
		e->written = true;
	}
	if (e->dirty)
		record_send(e);
}

static void record_send(struct record *e)
{
	struct recorder *r = e->recorder;
	if (e->in_flight) {
		e->dirty = true;
		return;
	}
	if (r->pending >= EVENTS_PENDING_MAX)
		return;
	r->pending++;
	e->in_flight = true;
	e->dirty = false;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char last[TIME_RFC3339_MAX];
	time_format(e->last_ns, last);
	struct client_request q = {
	    .resource = resource_find("", "v1", "events"),
	    .ns = e->ns,
	    .name = e->name,
	    .done = on_done,
	    .arg = e,
	};
	struct json *body = e->written ? json_new(&a, JSON_OBJECT) : json_clone(&a, e->object);
	json_set_int(&a, body, "count", e->count);
	json_set_str(&a, body, "lastTimestamp", last);
	q.body = body;
	q.verb = e->written ? CLIENT_PATCH : CLIENT_CREATE;
	q.patch_type = "application/merge-patch+json";
	client_do(r->client, &q);
}

static struct json *event_object(struct recorder *r, struct arena *a, const struct event_ref *about, const char *ns,
				 const char *name, const char *type, const char *reason, const char *message,
				 int64_t now)
{
	char text[TIME_RFC3339_MAX];
	struct json *ev = meta_object_new(a, "v1", "Event", ns, name);
	struct json *o = json_object_in(a, ev, "involvedObject");
	json_set_str(a, o, "apiVersion", str_or(about->api_version, "v1"));
	json_set_str(a, o, "kind", str_or(about->kind, ""));
	if (!str_empty(about->ns))
		json_set_str(a, o, "namespace", about->ns);
	json_set_str(a, o, "name", str_or(about->name, ""));
	if (!str_empty(about->uid))
		json_set_str(a, o, "uid", about->uid);
	if (about->field_path)
		json_set_str(a, o, "fieldPath", about->field_path);
	json_set_str(a, ev, "reason", reason);
	json_set_str(a, ev, "message", message);
	struct json *source = json_object_in(a, ev, "source");
	json_set_str(a, source, "component", r->component);
	if (r->host)
		json_set_str(a, source, "host", r->host);
	json_set_str(a, ev, "firstTimestamp", time_format(now, text));
	json_set_str(a, ev, "type", type);
	json_set_str(a, ev, "reportingComponent", r->component);
	json_set_str(a, ev, "reportingInstance", r->host ? r->host : "");
	return ev;
}

static void make_room(struct recorder *r)
{
	LIST_EACH_SAFE(it, &r->recent) {
		if (r->records.n < EVENTS_CACHE_MAX)
			return;
		struct record *e = LIST_ENTRY(it, struct record, link);
		if (e->in_flight)
			continue;
		map_remove(&r->records, e->key);
		record_free(e);
	}
}

static void record(struct recorder *r, const struct event_ref *about, const char *type, const char *reason,
		   char *message)
{
	int64_t now = now_ns();
	if (strlen(message) > EVENTS_MESSAGE_MAX) {
		size_t n = EVENTS_MESSAGE_MAX;
		while (n && ((unsigned char)message[n] & 0xc0) == 0x80)
			n--; /* not inside a character */
		message[n] = '\0';
	}
	if (!allowed(r, about, now))
		return;
	_cleanup_free_ char *key = xasprintf("%s/%s/%s/%s/%s/%s/%s/%s", str_or(about->kind, ""), str_or(about->ns, ""),
					     str_or(about->name, ""), str_or(about->uid, ""),
					     str_or(about->field_path, ""), type, reason, message);
	struct record *e = map_get(&r->records, key);
	if (e && now - e->last_ns > (int64_t)EVENTS_REPEAT_S * 1000000000 && !e->in_flight) {
		map_remove(&r->records, key);
		record_free(e);
		e = NULL;
	}
	if (!e) {
		make_room(r);
		e = NEW(struct record);
		e->recorder = r;
		e->key = xstrdup(key);
		e->ns = xstrdup(str_empty(about->ns) ? "default" : about->ns);
		r->last_name = MAX_OF(now, r->last_name + 1);
		e->name = xasprintf("%s.%" PRIx64, str_or(about->name, ""), (uint64_t)r->last_name);
		e->first_ns = now;
		list_init(&e->link);
		e->object = event_object(r, &e->arena, about, e->ns, e->name, type, reason, message, now);
		map_set(&r->records, key, e);
	}
	list_remove(&e->link);
	list_add_tail(&r->recent, &e->link);
	e->count++;
	e->last_ns = now;
	record_send(e);
}

void recorder_event_ref(struct recorder *r, const struct event_ref *about, const char *type, const char *reason,
			const char *fmt, ...)
{
	if (!r)
		return;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	va_list ap;
	va_start(ap, fmt);
	char *message = arena_vprintf(&a, fmt, ap);
	va_end(ap);
	record(r, about, type, reason, message);
}

void recorder_event(struct recorder *r, const struct object *about, const char *type, const char *reason,
		    const char *fmt, ...)
{
	if (!r)
		return;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	va_list ap;
	va_start(ap, fmt);
	char *message = arena_vprintf(&a, fmt, ap);
	va_end(ap);
	_cleanup_buf_ struct buf version = BUF_INIT;
	if (about->resource)
		resource_api_version(about->resource, &version);
	struct event_ref ref = {
	    .api_version = about->resource ? buf_str(&version) : NULL,
	    .kind = about->resource ? about->resource->kind : NULL,
	    .ns = about->ns,
	    .name = about->name,
	    .uid = about->uid,
	};
	record(r, &ref, type, reason, message);
}

/* ---- life ---- */

struct recorder *recorder_new(struct client *c, const char *component, const char *host)
{
	struct recorder *r = NEW(struct recorder);
	r->client = c;
	r->component = component;
	r->host = host;
	list_init(&r->recent);
	list_init(&r->recent_buckets);
	return r;
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	LIST_EACH_SAFE(it, &r->recent) {
		struct record *e = LIST_ENTRY(it, struct record, link);
		if (e->in_flight) {
			e->recorder = NULL;
			list_remove(&e->link);
		} else {
			record_free(e);
		}
	}
	LIST_EACH_SAFE(it, &r->recent_buckets)
		bucket_free(LIST_ENTRY(it, struct bucket, link));
	map_release(&r->records, NULL);
	map_release(&r->buckets, NULL);
	free(r);
}
