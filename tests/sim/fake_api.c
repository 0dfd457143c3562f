/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_api.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/merge_patch.h"
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "api/strategic_patch.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/loop.h"

struct pending {
	struct list link;
	struct client_request r;
	struct arena arena;
	char *ns, *name, *subresource, *patch_type;
	struct json *body;
};

struct queued_event {
	enum client_event_type type;
	struct object *obj;
};

struct fake_watch {
	struct client_watch base;
	struct list link;
	struct client_watch_request r;
	VEC(struct queued_event) events;
	bool listed, calling, stopped;
};

struct failure {
	enum client_verb verb;
	const char *kind;
	int code;
	unsigned n;
};

struct fake_api {
	struct client client;
	VEC(struct object *) objects; /* in order of key */
	uint64_t rev;
	struct list pending, watches;
	struct loop_defer *turn;
	VEC(struct failure) failures;
	struct map counts; /* "verb kind" → number */
};

static const struct resource *resource_of_kind(const char *kind)
{
	for (size_t i = 0; i < resource_table_len; i++)
		if (str_eq(resource_table[i].kind, kind) && !str_eq(resource_table[i].group, "events.k8s.io"))
			return resource_find(resource_table[i].group, resource_table[i].version,
					     resource_table[i].plural);
	assert(!"no such kind");
	return NULL;
}

static char *key_of(struct arena *a, const struct resource *r, const char *ns, const char *name)
{
	return arena_printf(a, "%s/%s/%s/%s", r->group, r->plural, r->namespaced ? str_or(ns, "") : "",
			    str_or(name, ""));
}

static size_t position(struct fake_api *f, const char *key)
{
	size_t lo = 0, hi = f->objects.n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (strcmp(f->objects.at[mid]->key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct object *find(struct fake_api *f, const char *key)
{
	size_t i = position(f, key);
	return i < f->objects.n && str_eq(f->objects.at[i]->key, key) ? f->objects.at[i] : NULL;
}

/* ---- watches ---- */

static bool selects(const struct fake_watch *w, const struct object *o)
{
	if (w->r.resource != o->resource || (w->r.ns && !str_eq(w->r.ns, o->ns)))
		return false;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct field_selector *fs = NULL;
	struct label_selector *ls = NULL;
	if (w->r.field_selector && field_selector_parse(&a, w->r.field_selector, &fs, &(struct status){0}) < 0)
		abort();
	if (w->r.label_selector && label_selector_parse(&a, w->r.label_selector, &ls, &(struct status){0}) < 0)
		abort();
	return (!fs || field_selector_match(fs, o)) && (!ls || label_selector_match(ls, o));
}

static void watches_tell(struct fake_api *f, struct object *old, struct object *new)
{
	LIST_EACH(it, &f->watches) {
		struct fake_watch *w = LIST_ENTRY(it, struct fake_watch, link);
		if (!w->listed)
			continue;
		bool before = old && selects(w, old), after = new &&selects(w, new);
		if (!before && !after)
			continue;
		struct queued_event e = {.type = !before ? CLIENT_ADDED
						 : after ? CLIENT_MODIFIED
							 : CLIENT_DELETED,
					 .obj = object_ref(new ? new : old)};
		VEC_PUSH(&w->events, e);
	}
	loop_defer_schedule(f->turn);
}

/* ---- storing ---- */

/* Puts tree (NULL: removes) at key. Returns a borrowed object. */
static struct object *put(struct fake_api *f, const struct resource *r, const char *key, struct json *tree)
{
	size_t i = position(f, key);
	struct object *old = i < f->objects.n && str_eq(f->objects.at[i]->key, key) ? f->objects.at[i] : NULL;
	f->rev++;
	struct object *new = NULL;
	if (tree) {
		new = object_from_tree(r, key, f->rev, tree);
		assert(new);
		if (old) {
			f->objects.at[i] = new;
		} else {
			VEC_PUSH(&f->objects, NULL);
			memmove(&f->objects.at[i + 1], &f->objects.at[i], (f->objects.n - 1 - i) * sizeof(new));
			f->objects.at[i] = new;
		}
	} else if (old) {
		VEC_REMOVE(&f->objects, i);
	}
	watches_tell(f, old, new);
	object_unref(old);
	return new;
}

static bool finalized(const struct json *tree)
{
	if (!meta_deleting(tree) || json_len(json_path(tree, "metadata.finalizers")))
		return false;
	return !str_eq(json_path_str(tree, "kind"), "Namespace") || !json_len(json_path(tree, "spec.finalizers"));
}

/* ---- the verbs ---- */

static struct object *do_create(struct fake_api *f, struct arena *a, const struct resource *r, const char *ns,
				struct json *tree, struct status *err)
{
	struct json *meta = meta_of(a, tree);
	char uid[UUID_LEN + 1], time[TIME_RFC3339_MAX];
	if (str_empty(meta_name(tree)) && !str_empty(json_path_str(meta, "generateName")))
		json_set_str(a, meta, "name", name_generate(a, json_path_str(meta, "generateName")));
	if (r->namespaced && !str_empty(ns))
		json_set_str(a, meta, "namespace", ns);
	char *key = key_of(a, r, meta_ns(tree), meta_name(tree));
	if (find(f, key)) {
		status_already_exists(err, r->group, r->plural, meta_name(tree));
		return NULL;
	}
	uuid_make(uid);
	json_set_str(a, meta, "uid", uid);
	json_set_str(a, meta, "creationTimestamp", time_format(now_ns(), time));
	json_set_int(a, meta, "generation", 1);
	if (str_eq(r->kind, "Namespace") && !json_path(tree, "spec.finalizers"))
		json_append(json_array_in(a, json_object_in(a, tree, "spec"), "finalizers"),
			    json_new_str(a, "kubernetes"));
	return put(f, r, key, tree);
}

static struct object *do_bind(struct fake_api *f, struct arena *a, struct object *old, const struct json *body)
{
	struct json *tree = object_tree(old, a);
	json_set_path(a, tree, "spec.nodeName", json_new_str(a, json_path_str(body, "target.name")));
	return put(f, old->resource, old->key, tree);
}

static struct object *do_replace(struct fake_api *f, struct arena *a, struct object *old, struct json *new,
				 const char *subresource, struct status *err)
{
	struct json *was = object_tree(old, a);
	const struct resource *r = old->resource;
	uint64_t rev = meta_rev(new);
	if (rev && rev != old->rev) {
		status_conflict(err, r->group, r->plural, old->name, "the object has been modified");
		return NULL;
	}
	if (!str_empty(meta_uid(new)) && !str_eq(meta_uid(new), old->uid)) {
		status_conflict(err, r->group, r->plural, old->name, "uid in precondition differs");
		return NULL;
	}
	if (str_eq(subresource, "status")) {
		struct json *tree = object_tree(old, a);
		struct json *status = json_get(new, "status");
		if (status)
			json_set(a, tree, "status", json_clone(a, status));
		new = tree;
	} else if (str_eq(subresource, "finalize")) {
		struct json *tree = object_tree(old, a);
		json_set(a, tree, "spec", json_clone(a, json_get(new, "spec")));
		new = tree;
	} else {
		struct json *meta = meta_of(a, new);
		if (r->has_status) {
			json_remove(new, "status");
			if (json_get(was, "status"))
				json_set(a, new, "status", json_clone(a, json_get(was, "status")));
		}
		static const char *const kept[] = {"uid", "creationTimestamp", "deletionTimestamp", "generation"};
		for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
			json_remove(meta, kept[i]);
			struct json *v = json_get(json_get(was, "metadata"), kept[i]);
			if (v)
				json_set(a, meta, kept[i], json_clone(a, v));
		}
		if (!json_equal(json_get(was, "spec"), json_get(new, "spec")))
			json_set_int(a, meta, "generation", meta_generation(was) + 1);
	}
	if (finalized(new)) {
		_cleanup_object_ struct object *last = object_ref(old);
		put(f, r, last->key, NULL);
		return NULL;
	}
	json_remove(json_get(was, "metadata"), "resourceVersion");
	json_remove(meta_of(a, new), "resourceVersion");
	if (json_equal(was, new))
		return old;
	return put(f, r, old->key, new);
}

static struct object *do_delete(struct fake_api *f, struct arena *a, struct object *old, const struct json *options,
				struct status *err)
{
	const struct resource *r = old->resource;
	const char *uid = json_path_str(options, "preconditions.uid");
	const char *rev = json_path_str(options, "preconditions.resourceVersion");
	char now_rev[24], time[TIME_RFC3339_MAX];
	snprintf(now_rev, sizeof(now_rev), "%" PRIu64, old->rev);
	if ((uid && !str_eq(uid, old->uid)) || (rev && !str_eq(rev, now_rev))) {
		status_conflict(err, r->group, r->plural, old->name, "Precondition failed");
		return NULL;
	}
	struct json *tree = object_tree(old, a);
	const char *policy = json_path_str(options, "propagationPolicy");
	if (str_eq(policy, "Foreground"))
		meta_add_finalizer(a, tree, "foregroundDeletion");
	else if (str_eq(policy, "Orphan"))
		meta_add_finalizer(a, tree, "orphan");
	else if (str_eq(policy, "Background")) {
		meta_remove_finalizer(tree, "foregroundDeletion");
		meta_remove_finalizer(tree, "orphan");
	}
	if (!meta_deleting(tree))
		json_set_str(a, meta_of(a, tree), "deletionTimestamp", time_format(now_ns(), time));
	if (str_eq(r->kind, "Namespace"))
		json_set_path(a, tree, "status.phase", json_new_str(a, "Terminating"));
	_cleanup_object_ struct object *keep = object_ref(old);
	if (finalized(tree)) {
		put(f, r, keep->key, NULL);
		return NULL;
	}
	return put(f, r, keep->key, tree);
}

static struct object *do_patch(struct fake_api *f, struct arena *a, struct object *old, const struct json *patch,
			       const char *type, const char *subresource, struct status *err)
{
	struct json *doc = object_tree(old, a);
	json_remove(json_get(doc, "metadata"), "resourceVersion"); /* only a patch that names one is conditional */
	if (str_has_prefix(type, "application/strategic")) {
		if (strategic_patch_apply(a, old->resource->type, doc, patch, &doc, err) < 0)
			return NULL;
	} else {
		doc = merge_patch_apply(a, doc, patch);
	}
	return do_replace(f, a, old, doc, subresource, err);
}

static bool injected(struct fake_api *f, const struct client_request *r, struct status *err)
{
	VEC_EACH(x, &f->failures) {
		if (x->verb != r->verb || !str_eq(x->kind, r->resource->kind) || !x->n)
			continue;
		x->n--;
		status_set(err, x->code, "injected failure");
		return true;
	}
	return false;
}

static void serve(struct fake_api *f, struct pending *p)
{
	struct client_request *r = &p->r;
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object *result = NULL, *old = NULL;
	if (!injected(f, r, &err)) {
		bool create = r->verb == CLIENT_CREATE && !p->subresource;
		if (!create) {
			old = find(f, key_of(&a, r->resource, p->ns, p->name));
			if (!old)
				status_not_found(&err, r->resource->group, r->resource->plural, p->name);
		}
		if (create)
			result = do_create(f, &a, r->resource, p->ns, json_clone(&a, p->body), &err);
		else if (!old)
			;
		else if (r->verb == CLIENT_GET)
			result = old;
		else if (r->verb == CLIENT_CREATE)
			result = do_bind(f, &a, old, p->body);
		else if (r->verb == CLIENT_UPDATE)
			result = do_replace(f, &a, old, json_clone(&a, p->body), p->subresource, &err);
		else if (r->verb == CLIENT_PATCH)
			result = do_patch(f, &a, old, p->body, p->patch_type, p->subresource, &err);
		else
			result = do_delete(f, &a, old, p->body, &err);
	}
	_cleanup_object_ struct object *hold = result ? object_ref(result) : NULL;
	if (r->done)
		r->done(r->arg, status_failed(&err) ? &err : NULL, hold);
}

static void pending_free(struct pending *p)
{
	free(p->ns);
	free(p->name);
	free(p->subresource);
	free(p->patch_type);
	arena_release(&p->arena);
	free(p);
}

static void watch_free(struct fake_watch *w)
{
	VEC_EACH(e, &w->events)
		object_unref(e->obj);
	VEC_RELEASE(&w->events);
	free((char *)w->r.ns);
	free((char *)w->r.field_selector);
	free((char *)w->r.label_selector);
	free(w);
}

static void watch_deliver(struct fake_api *f, struct fake_watch *w)
{
	w->calling = true;
	if (!w->listed) {
		w->listed = true;
		VEC(struct object *) all = {0};
		VEC_EACH(o, &f->objects)
			if (selects(w, *o))
				VEC_PUSH(&all, object_ref(*o));
		w->r.fn(w->r.arg, CLIENT_RELIST_BEGIN, NULL);
		VEC_EACH(o, &all) {
			if (!w->stopped)
				w->r.fn(w->r.arg, CLIENT_ADDED, *o);
			object_unref(*o);
		}
		VEC_RELEASE(&all);
		if (!w->stopped)
			w->r.fn(w->r.arg, CLIENT_SYNCED, NULL);
	}
	while (w->events.n && !w->stopped) {
		struct queued_event e = w->events.at[0];
		VEC_REMOVE(&w->events, 0);
		w->r.fn(w->r.arg, e.type, e.obj);
		object_unref(e.obj);
	}
	w->calling = false;
}

static void on_turn(void *arg)
{
	struct fake_api *f = arg;
	struct list now;
	list_init(&now);
	while (!list_empty(&f->pending)) {
		struct list *it = f->pending.next;
		list_remove(it);
		list_add_tail(&now, it);
	}
	while (!list_empty(&now)) {
		struct pending *p = LIST_ENTRY(now.next, struct pending, link);
		list_remove(&p->link);
		serve(f, p);
		pending_free(p);
	}
	LIST_EACH_SAFE(it, &f->watches) {
		struct fake_watch *w = LIST_ENTRY(it, struct fake_watch, link);
		watch_deliver(f, w);
		if (w->stopped) {
			list_remove(&w->link);
			watch_free(w);
		}
	}
}

/* ---- client_ops ---- */

static char *count_key(struct arena *a, enum client_verb verb, const char *kind)
{
	return arena_printf(a, "%d %s", verb, kind);
}

static void fake_request(struct client *c, const struct client_request *r)
{
	struct fake_api *f = (struct fake_api *)c;
	struct pending *p = NEW(struct pending);
	p->r = *r;
	p->ns = xstrdup(r->ns);
	p->name = xstrdup(r->name);
	p->subresource = xstrdup(r->subresource);
	p->patch_type = xstrdup(r->patch_type);
	p->body = r->body ? json_clone(&p->arena, r->body) : NULL;
	list_add_tail(&f->pending, &p->link);
	char *key = count_key(&p->arena, r->verb, r->resource->kind);
	map_set(&f->counts, key, (void *)((uintptr_t)map_get(&f->counts, key) + 1));
	loop_defer_schedule(f->turn);
}

static struct client_watch *fake_watch_start(struct client *c, const struct client_watch_request *r)
{
	struct fake_api *f = (struct fake_api *)c;
	struct fake_watch *w = NEW(struct fake_watch);
	w->base.client = c;
	w->r = *r;
	w->r.ns = xstrdup(r->ns);
	w->r.field_selector = xstrdup(r->field_selector);
	w->r.label_selector = xstrdup(r->label_selector);
	list_add_tail(&f->watches, &w->link);
	loop_defer_schedule(f->turn);
	return &w->base;
}

static void fake_watch_stop(struct client_watch *base)
{
	struct fake_watch *w = (struct fake_watch *)base;
	w->stopped = true;
	if (w->calling)
		return;
	list_remove(&w->link);
	watch_free(w);
}

static void fake_free(struct client *c)
{
	(void)c;
}

static const struct client_ops fake_ops = {
    .request = fake_request,
    .watch_start = fake_watch_start,
    .watch_stop = fake_watch_stop,
    .free = fake_free,
};

/* ---- from outside ---- */

struct fake_api *fake_api_new(struct loop *l)
{
	struct fake_api *f = NEW(struct fake_api);
	f->client = (struct client){.ops = &fake_ops, .loop = l, .user_agent = "test"};
	f->rev = 100;
	list_init(&f->pending);
	list_init(&f->watches);
	f->turn = loop_defer_new(l, on_turn, f);
	return f;
}

void fake_api_free(struct fake_api *f)
{
	LIST_EACH_SAFE(it, &f->pending) {
		struct pending *p = LIST_ENTRY(it, struct pending, link);
		_cleanup_status_ struct status err = STATUS_INIT;
		status_set(&err, 503, "the server has gone");
		list_remove(&p->link);
		if (p->r.done)
			p->r.done(p->r.arg, &err, NULL);
		pending_free(p);
	}
	VEC_EACH(o, &f->objects)
		object_unref(*o);
	VEC_RELEASE(&f->objects);
	VEC_RELEASE(&f->failures);
	map_release(&f->counts, NULL);
	loop_defer_free(f->turn);
	free(f);
}

struct client *fake_api_client(struct fake_api *f)
{
	return &f->client;
}

static struct json *parse(struct arena *a, const char *text)
{
	char *t = arena_strdup(a, text);
	for (char *c = t; *c; c++)
		if (*c == '\'')
			*c = '"';
	struct json *v;
	struct json_error e;
	if (json_parse(a, t, strlen(t), &v, &e) < 0) {
		fprintf(stderr, "test JSON: %s at %zu in %s\n", e.message, e.offset, t);
		abort();
	}
	return v;
}

void fake_api_create(struct fake_api *f, const char *kind, const char *json)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct resource *r = resource_of_kind(kind);
	struct json *tree = parse(&a, json);
	_cleanup_(buf_release) struct buf version = BUF_INIT;
	resource_api_version(r, &version);
	json_set_str(&a, tree, "apiVersion", buf_str(&version));
	json_set_str(&a, tree, "kind", kind);
	do_create(f, &a, r, meta_ns(tree), tree, &err);
	if (status_failed(&err)) {
		fprintf(stderr, "test object: %s\n", err.message);
		abort();
	}
}

static struct object *find_kind(struct fake_api *f, struct arena *a, const char *kind, const char *ns, const char *name)
{
	return find(f, key_of(a, resource_of_kind(kind), ns, name));
}

void fake_api_patch(struct fake_api *f, const char *kind, const char *ns, const char *name, const char *json)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct object *old = find_kind(f, &a, kind, ns, name);
	assert(old);
	struct json *patch = parse(&a, json);
	bool status = json_get(patch, "status") && !json_get(patch, "spec") && !json_get(patch, "metadata");
	do_patch(f, &a, old, patch, "merge", status ? "status" : NULL, &err);
	assert(!status_failed(&err));
}

void fake_api_delete(struct fake_api *f, const char *kind, const char *ns, const char *name, const char *policy)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct object *old = find_kind(f, &a, kind, ns, name);
	assert(old);
	struct json *options = json_new(&a, JSON_OBJECT);
	if (policy)
		json_set_str(&a, options, "propagationPolicy", policy);
	do_delete(f, &a, old, options, &err);
	assert(!status_failed(&err));
}

bool fake_api_has(struct fake_api *f, const char *kind, const char *ns, const char *name)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	return find_kind(f, &a, kind, ns, name) != NULL;
}

struct json *fake_api_tree(struct fake_api *f, struct arena *a, const char *kind, const char *ns, const char *name)
{
	struct object *o = find_kind(f, a, kind, ns, name);
	return o ? object_tree(o, a) : NULL;
}

struct json *fake_api_nth(struct fake_api *f, struct arena *a, const char *kind, const char *ns, size_t i)
{
	const struct resource *r = resource_of_kind(kind);
	VEC_EACH(o, &f->objects)
		if ((*o)->resource == r && (!ns || str_eq((*o)->ns, ns)) && i-- == 0)
			return object_tree(*o, a);
	return NULL;
}

size_t fake_api_count(struct fake_api *f, const char *kind, const char *ns)
{
	const struct resource *r = resource_of_kind(kind);
	size_t n = 0;
	VEC_EACH(o, &f->objects)
		n += (*o)->resource == r && (!ns || str_eq((*o)->ns, ns));
	return n;
}

unsigned fake_api_requests(struct fake_api *f, enum client_verb verb, const char *kind)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	return (unsigned)(uintptr_t)map_get(&f->counts, count_key(&a, verb, kind));
}

void fake_api_fail(struct fake_api *f, enum client_verb verb, const char *kind, int code, unsigned n)
{
	struct failure x = {.verb = verb, .kind = kind, .code = code, .n = n};
	VEC_PUSH(&f->failures, x);
}
