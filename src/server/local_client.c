/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client/client.h inside the server's process: reads are references to the store's objects, watches are the store's,
 * writes are registry_write(). Callbacks come in a later turn, as the interface promises.
 */
#include <stdlib.h>

#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client.h"
#include "io/loop.h"
#include "server/audit.h"
#include "server/auth.h"
#include "server/registry.h"
#include "server/server.h"
#include "store/store.h"

struct local_client {
	struct client client;
	struct registry *registry;
	struct arena arena; /* of user */
	struct user *user;
	char *agent;
	struct audit *audit; /* may be NULL */
	struct loop_defer *defer;
	struct list answers; /* of local_call.link: reads that are to be answered at the end of the turn */
	struct list calls;   /* of local_call.all: writes under way */
	struct list watches; /* of local_watch.link */
};

struct local_call {
	struct list link, all;
	struct local_client *client; /* NULL: the client is gone, nobody is told */
	struct arena arena;
	client_fn done;
	void *arg;
	struct status err;
	struct object *obj;
	struct audit *audit;
	struct audit_inside *recorded; /* NULL: it is not */
};

struct local_watch {
	struct client_watch watch;
	struct list link;
	struct local_client *client;
	struct client_watch_request request;
	char *prefix;
	struct arena arena; /* of the selectors */
	struct label_selector *labels;
	struct field_selector *fields;
	struct store_watch *store_watch;
	bool listing; /* the list is still to be told */
	bool in_call; /* its callback is running */
	bool stopped; /* by its own callback: freed after it */
};

/* ---- calls ---- */

static void call_free(struct local_call *c)
{
	list_remove(&c->link);
	list_remove(&c->all);
	status_release(&c->err);
	object_unref(c->obj);
	arena_release(&c->arena);
	free(c);
}

static void call_answer(struct local_call *c)
{
	if (c->client && c->done)
		c->done(c->arg, status_failed(&c->err) ? &c->err : NULL, c->obj);
	call_free(c);
}

static void write_done(void *arg, const struct status *err, const struct write_result *result)
{
	struct local_call *c = arg;
	audit_inside_end(c->audit, c->recorded, err, result);
	if (err)
		status_copy(&c->err, err);
	else if (result->obj)
		c->obj = object_ref(result->obj);
	else if (result->tree) {
		json_object_in(&c->arena, result->tree, "metadata"); /* an answered review may have none */
		c->obj = object_from_tree(NULL, "", 0, result->tree);
	}
	call_answer(c);
}

static enum write_patch patch_of(const char *type)
{
	if (str_eq(type, "application/json-patch+json"))
		return PATCH_JSON;
	if (str_eq(type, "application/strategic-merge-patch+json"))
		return PATCH_STRATEGIC;
	return str_eq(type, "application/apply-patch+yaml") ? PATCH_APPLY : PATCH_MERGE;
}

static void call_write(struct local_client *l, struct local_call *c, const struct client_request *r)
{
	static const enum write_verb verbs[] = {[CLIENT_CREATE] = WRITE_CREATE,
						[CLIENT_UPDATE] = WRITE_UPDATE,
						[CLIENT_PATCH] = WRITE_PATCH,
						[CLIENT_DELETE] = WRITE_DELETE};
	struct write_request w = {.verb = verbs[r->verb],
				  .resource = r->resource,
				  .ns = r->ns ? arena_strdup(&c->arena, r->ns) : "",
				  .name = r->name ? arena_strdup(&c->arena, r->name) : "",
				  .subresource = r->subresource ? arena_strdup(&c->arena, r->subresource) : NULL,
				  .body = r->body ? json_clone(&c->arena, r->body) : NULL,
				  .patch = patch_of(r->patch_type),
				  /* Nobody authorizes what this process does: plugins that ask may not refuse it. */
				  .user = user_new(&c->arena, l->user->name, GROUP_AUTHENTICATED, GROUP_MASTERS, NULL),
				  .field_manager =
				      arena_strdup(&c->arena, r->field_manager ? r->field_manager : l->agent),
				  .force = r->force,
				  .validation = FIELD_VALIDATION_IGNORE,
				  .arena = &c->arena,
				  .done = write_done,
				  .arg = c};
	c->audit = l->audit;
	if (l->audit) /* the call may outlive us */
		c->recorded = audit_inside_begin(l->audit, &c->arena,
						 user_new(&c->arena, l->user->name, GROUP_AUTHENTICATED, NULL, NULL),
						 arena_strdup(&c->arena, l->agent), &w);
	registry_write(l->registry, &w);
}

static void call_get(struct local_client *l, struct local_call *c, const struct client_request *r)
{
	struct object *o = registry_get(l->registry, r->resource, str_or(r->ns, ""), str_or(r->name, ""), &c->err);
	const struct subresource *sub = r->subresource ? resource_subresource(r->resource, r->subresource) : NULL;
	struct json *tree = NULL;
	if (o && sub && sub->kind) {
		if (registry_get_subresource(l->registry, r->resource, sub, str_or(r->ns, ""), r->name, &c->arena,
					     &tree, &c->err) == 0)
			c->obj = object_from_tree(NULL, "", 0, tree);
	} else if (o) {
		c->obj = object_ref(o);
	}
	list_add_tail(&l->answers, &c->link);
	loop_defer_schedule(l->defer);
}

static void local_request(struct client *client, const struct client_request *r)
{
	struct local_client *l = container_of(client, struct local_client, client);
	struct local_call *c = NEW(struct local_call);
	c->client = l;
	c->done = r->done;
	c->arg = r->arg;
	list_init(&c->link);
	list_add_tail(&l->calls, &c->all);
	if (r->verb == CLIENT_GET)
		call_get(l, c, r);
	else
		call_write(l, c, r);
}

/* ---- watches ---- */

static void watch_free(struct local_watch *w)
{
	store_watch_free(w->store_watch);
	list_remove(&w->link);
	arena_release(&w->arena);
	free(w->prefix);
	free(w);
}

/* false: the watch was stopped by the callback and is gone. */
static bool tell(struct local_watch *w, enum client_event_type type, struct object *obj)
{
	w->in_call = true;
	w->request.fn(w->request.arg, type, obj);
	w->in_call = false;
	if (!w->stopped)
		return true;
	watch_free(w);
	return false;
}

static bool admits(const struct local_watch *w, const struct object *o)
{
	return o && label_selector_match(w->labels, o) && field_selector_match(w->fields, o);
}

static void on_change(void *arg, const struct store_event *ev)
{
	struct local_watch *w = arg;
	if (!ev || w->stopped)
		return;
	bool was = ev->type != STORE_CREATED && admits(w, ev->prev);
	bool is = ev->type != STORE_DELETED && admits(w, ev->obj);
	w->in_call = true;
	if (is)
		w->request.fn(w->request.arg, was ? CLIENT_MODIFIED : CLIENT_ADDED, ev->obj);
	else if (was)
		w->request.fn(w->request.arg, CLIENT_DELETED, ev->obj);
	w->in_call = false;
	if (w->stopped)
		watch_free(w);
}

struct listing {
	struct object **at;
	size_t n, cap;
	struct local_watch *watch;
};

static bool collect(void *arg, struct object *o)
{
	struct listing *l = arg;
	if (!admits(l->watch, o))
		return true;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->at = xrealloc(l->at, l->cap * sizeof(*l->at));
	}
	l->at[l->n++] = object_ref(o);
	return true;
}

static void tell_list(struct local_watch *w)
{
	struct store *store = registry_store(w->client->registry);
	struct listing l = {.watch = w};
	bool expired = false;
	w->listing = false;
	store_each(store, w->prefix, NULL, collect, &l);
	w->store_watch = store_watch_new(store, w->prefix, store_revision(store), on_change, w, &expired);
	bool alive = tell(w, CLIENT_RELIST_BEGIN, NULL);
	for (size_t i = 0; i < l.n; i++) {
		alive = alive && tell(w, CLIENT_ADDED, l.at[i]);
		object_unref(l.at[i]);
	}
	free(l.at);
	if (alive)
		tell(w, CLIENT_SYNCED, NULL);
}

static bool has_listing(const struct local_client *l, struct local_watch **ret)
{
	LIST_EACH(it, &l->watches) {
		struct local_watch *w = LIST_ENTRY(it, struct local_watch, link);
		if (w->listing) {
			*ret = w;
			return true;
		}
	}
	return false;
}

static void end_of_turn(void *arg)
{
	struct local_client *l = arg;
	struct local_watch *w;
	while (!list_empty(&l->answers)) {
		struct list *it = l->answers.next;
		list_remove(it);
		call_answer(LIST_ENTRY(it, struct local_call, link));
	}
	while (has_listing(l, &w))
		tell_list(w);
}

static struct client_watch *local_watch_start(struct client *client, const struct client_watch_request *r)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	struct local_client *l = container_of(client, struct local_client, client);
	struct local_watch *w = NEW(struct local_watch);
	const struct resource *row = registry_storage_row(r->resource);
	w->watch.client = client;
	w->client = l;
	w->request = *r;
	resource_key(row, row->namespaced && !str_empty(r->ns) ? r->ns : NULL, NULL, &prefix);
	w->prefix = xstrdup(buf_str(&prefix));
	if (!str_empty(r->label_selector) && label_selector_parse(&w->arena, r->label_selector, &w->labels, &err) < 0)
		w->labels = NULL;
	if (!str_empty(r->field_selector) && field_selector_parse(&w->arena, r->field_selector, &w->fields, &err) < 0)
		w->fields = NULL;
	/* Selectors here are written by us, not by users: a bad one is our bug. */
	if (status_failed(&err))
		abort();
	w->listing = true;
	list_add_tail(&l->watches, &w->link);
	loop_defer_schedule(l->defer);
	return &w->watch;
}

static void local_watch_stop(struct client_watch *watch)
{
	struct local_watch *w = container_of(watch, struct local_watch, watch);
	if (w->in_call)
		w->stopped = true;
	else
		watch_free(w);
}

/* ---- the client ---- */

static void local_free(struct client *client)
{
	struct local_client *l = container_of(client, struct local_client, client);
	LIST_EACH_SAFE(it, &l->watches)
		watch_free(LIST_ENTRY(it, struct local_watch, link));
	LIST_EACH_SAFE(it, &l->answers)
		call_free(LIST_ENTRY(it, struct local_call, link));
	/* Writes are finished by the registry, but nobody is told. */
	LIST_EACH_SAFE(it, &l->calls) {
		LIST_ENTRY(it, struct local_call, all)->client = NULL;
		list_remove(it);
	}
	loop_defer_free(l->defer);
	arena_release(&l->arena);
	free(l->agent);
	free(l);
}

static const struct client_ops local_ops = {
    .request = local_request,
    .watch_start = local_watch_start,
    .watch_stop = local_watch_stop,
    .free = local_free,
};

struct client *local_client_new(struct registry *r, const char *user, const char *user_agent)
{
	struct local_client *l = NEW(struct local_client);
	l->agent = xstrdup(str_or(user_agent, user));
	l->client = (struct client){&local_ops, registry_loop(r), l->agent};
	l->registry = r;
	l->user = user_new(&l->arena, user, GROUP_AUTHENTICATED, NULL, NULL);
	list_init(&l->answers);
	list_init(&l->calls);
	list_init(&l->watches);
	l->defer = loop_defer_new(l->client.loop, end_of_turn, l);
	return &l->client;
}

void local_client_record(struct client *client, struct audit *audit)
{
	container_of(client, struct local_client, client)->audit = audit;
}
