/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Get and list: what is in the answer (list_write.c: how it is written).
 *
 * Chunks (limit, continue): the token is base64url of {"v":"meta.k8s.io/v1","rv":N,"start":KEY}; all chunks show the
 * state at revision N, as long as the store's window reaches back to it. After that: 410 Expired with a token of rv -1,
 * which goes on from KEY in the current state (inconsistent, as upstream says in the message).
 */
#include <inttypes.h>

#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "api/table.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "http/server.h"
#include "server/component_status.h"
#include "server/list.h"
#include "server/list_write.h"
#include "server/registry.h"
#include "server/server_internal.h"
#include "store/store.h"

/* ---- get ---- */

void handle_get(struct request *r)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct route *rt = &r->route;
	struct json *tree = NULL;
	if (rt->sub && !str_eq(rt->subresource, "status")) {
		if (registry_get_subresource(r->server->registry, rt->resource, rt->sub, rt->ns, rt->name, &r->arena,
					     &tree, &err) < 0)
			reply_status(r, &err);
		else
			reply_tree(r, 200, tree);
		return;
	}
	if (!registry_storage_row(rt->resource)->storage_prefix) {
		tree = component_status_named(&r->arena, rt->name);
		if (tree)
			reply_tree(r, 200, tree);
		else if (status_not_found(&err, rt->resource->group, rt->resource->plural, rt->name) < 0)
			reply_status(r, &err);
		return;
	}
	uint64_t rev; /* "at least as new as", which the present always is */
	struct object *o = NULL;
	if (list_revision(r, &rev, &err) == 0)
		o = registry_get(r->server->registry, rt->resource, rt->ns, rt->name, &err);
	if (o)
		reply_object(r, 200, o);
	else
		reply_status(r, &err);
}

/* ---- which state is listed ---- */

/* What of the options matters for collecting, with the continue token read. */
struct scope {
	uint64_t rev; /* the state; 0: now */
	int64_t limit;
	const char *start; /* key to go on from; NULL: the beginning */
	const struct label_selector *labels;
	const struct field_selector *fields;
};

static int bad_token(struct status *err, const char *why)
{
	return status_set(err, 400, "invalid continue token: continue key is not valid: %s", why);
}

/* Keys have no byte below '!', so that this sorts right behind the key of the last object. */
#define AFTER_KEY "\x01"

static int read_token(struct request *r, const char *token, const char *prefix, struct scope *s, struct status *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	uint64_t now = store_revision(r->server->store);
	struct json *t;
	if (base64url_decode(&text, token, strlen(token)) < 0 ||
	    json_parse(&r->arena, buf_str(&text), text.len, &t, NULL) < 0 || !json_is(t, JSON_OBJECT))
		return bad_token(err, "it cannot be decoded");
	const char *start = json_path_str(t, "start");
	int64_t rev = json_path_int(t, "rv", 0);
	if (!str_eq(json_path_str(t, "v"), "meta.k8s.io/v1"))
		return bad_token(err, "server does not recognize this encoded version");
	if (rev == 0)
		return bad_token(err, "incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
	if (str_empty(start))
		return bad_token(err, "encoded start key empty (version meta.k8s.io/v1)");
	if (rev > 0 && (uint64_t)rev > now)
		return too_large_revision(err, (uint64_t)rev, now);
	s->start = arena_printf(&r->arena, "%s%s", prefix, start);
	s->rev = rev > 0 ? (uint64_t)rev : 0; /* below 0: the rest as it is now */
	return 0;
}

static int make_scope(struct request *r, const struct list_options *o, const char *prefix, struct scope *ret,
		      struct status *err)
{
	*ret = (struct scope){.limit = o->limit, .labels = o->labels, .fields = o->fields};
	if (o->token)
		return read_token(r, o->token, prefix, ret, err);
	/* "At least as new as" is always met by the present; with a limit and no match upstream means exactly. */
	if (o->match == REV_MATCH_EXACT || (o->match == REV_MATCH_UNSET && o->limit))
		ret->rev = o->rev;
	return 0;
}

/* ---- collecting ---- */

struct collected {
	VEC(struct object *) found;
	const struct scope *scope;
	bool selecting;
	bool more;
	int64_t remaining; /* after the last one found; only counted without selectors */
	const char *last;  /* key */
};

static bool collect(void *arg, struct object *o)
{
	struct collected *c = arg;
	const struct scope *opt = c->scope;
	if (opt->limit && (int64_t)c->found.n == opt->limit) {
		c->more = true;
		c->remaining++;
		return !c->selecting;
	}
	c->last = o->key;
	if (c->selecting && !(label_selector_match(opt->labels, o) && field_selector_match(opt->fields, o)))
		return true;
	VEC_PUSH(&c->found, object_ref(o));
	return true;
}

static void collected_release(struct collected *c)
{
	VEC_EACH(o, &c->found)
		object_unref(*o);
	VEC_RELEASE(&c->found);
}

static char *continue_token(struct arena *a, int64_t rev, const char *start)
{
	_cleanup_arena_ struct arena tmp = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT, out = BUF_INIT;
	struct json *t = json_new(&tmp, JSON_OBJECT);
	json_set_str(&tmp, t, "v", "meta.k8s.io/v1");
	json_set_int(&tmp, t, "rv", rev);
	json_set_str(&tmp, t, "start", start);
	json_write(&text, t);
	base64url_encode(&out, text.data, text.len);
	return arena_strdup(a, buf_str(&out));
}

static void reply_expired(struct request *r, const struct scope *s, const char *prefix)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json *tree;
	if (!s->start) {
		status_set_reason(&err, 410, "Expired", "The resourceVersion for the provided list is too old.");
		reply_status(r, &err);
		return;
	}
	status_set_reason(
	    &err, 410, "Expired",
	    "The provided continue parameter is too old to display a consistent list result. You can start a new "
	    "list without the continue parameter, or use the continue token in this response to retrieve the "
	    "remainder of the results. Continuing with the provided token results in an inconsistent list - "
	    "objects that were created, modified, or deleted between the time the first chunk was returned and now "
	    "may show up in the list.");
	status_write_json(&err, &text);
	if (json_parse(&r->arena, buf_str(&text), text.len, &tree, NULL) < 0)
		return;
	json_set_path(&r->arena, tree, "metadata.continue",
		      json_new_str(&r->arena, continue_token(&r->arena, -1, s->start + strlen(prefix))));
	reply_tree(r, 410, tree);
}

/* A list that can only have one object: metadata.name is given, and the namespace or none is needed. */
static bool collect_one(struct request *r, const struct scope *s, struct collected *c)
{
	const struct resource *row = registry_storage_row(r->route.resource);
	const char *name = s->fields ? field_selector_required(s->fields, "metadata.name") : NULL;
	_cleanup_buf_ struct buf key = BUF_INIT;
	if (!name || s->rev || s->start || (row->namespaced && !*r->route.ns))
		return false;
	resource_key(row, row->namespaced ? r->route.ns : NULL, name, &key);
	struct object *obj = store_get(r->server->store, buf_str(&key));
	if (obj)
		collect(c, obj);
	return true;
}

/* Of the kind that is computed; all in one chunk, as upstream does it. */
static void list_computed(struct request *r)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct resource *row = r->route.resource;
	struct list_options o;
	if (list_options_parse(r, false, &o, &err) < 0) {
		reply_status(r, &err);
		return;
	}
	struct scope s = {.labels = o.labels, .fields = o.fields};
	struct collected c = {.scope = &s, .selecting = !label_selector_empty(s.labels) || s.fields};
	for (size_t i = 0; i < COMPONENT_STATUSES; i++) {
		struct object *status = object_from_tree(row, "", 0, component_status(&r->arena, i));
		collect(&c, status);
		object_unref(status);
	}
	list_reply(r, c.found.at, c.found.n, &(struct table_meta){.rev = store_revision(r->server->store)});
	collected_release(&c);
}

void handle_list(struct request *r)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	const struct resource *row = registry_storage_row(r->route.resource);
	struct store *store = r->server->store;
	struct list_options o;
	struct scope s;
	if (!row->storage_prefix) {
		list_computed(r);
		return;
	}
	resource_key(row, row->namespaced && *r->route.ns ? r->route.ns : NULL, NULL, &prefix);
	if (list_options_parse(r, false, &o, &err) < 0 || make_scope(r, &o, buf_str(&prefix), &s, &err) < 0) {
		reply_status(r, &err);
		return;
	}
	struct collected c = {.scope = &s, .selecting = !label_selector_empty(s.labels) || s.fields};
	uint64_t rev = s.rev ? s.rev : store_revision(store);
	if (!collect_one(r, &s, &c) && !store_each_at(store, s.rev, buf_str(&prefix), s.start, collect, &c)) {
		reply_expired(r, &s, buf_str(&prefix));
		return;
	}
	struct table_meta m = {.rev = rev, .remaining = c.selecting ? -1 : c.remaining};
	if (c.more)
		m.next = continue_token(&r->arena, (int64_t)rev,
					arena_printf(&r->arena, "%s" AFTER_KEY, c.last + strlen(buf_str(&prefix))));
	list_reply(r, c.found.at, c.found.n, &m);
	collected_release(&c);
}
