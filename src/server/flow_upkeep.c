/* SPDX-License-Identifier: Apache-2.0 */
/* Restores the mandatory flow control objects, and says of flow schemas whether their level exists. */
#include <stdlib.h>

#include "api/default.h"
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/auth.h"
#include "server/flow_objects.h"
#include "server/registry.h"
#include "server/server_internal.h"
#include "store/store.h"

#define GROUP_FLOWCONTROL "flowcontrol.apiserver.k8s.io"

struct flow_upkeep {
	struct server *server;
	struct store_watch *watches[2];
	struct loop_timer *soon; /* writing from a store callback is not allowed: a turn later */
	struct list writes;	 /* of struct write.link: under way */
};

struct write {
	struct list link;
	struct flow_upkeep *upkeep;
	struct arena arena;
};

static void written(void *arg, const struct status *err, const struct write_result *result)
{
	struct write *w = arg;
	/* A conflict means that somebody else wrote: the watch brings us here again. */
	(void)err;
	(void)result;
	list_remove(&w->link);
	arena_release(&w->arena);
	free(w);
}

static struct write *write_new(struct flow_upkeep *u)
{
	struct write *w = NEW(struct write);
	w->upkeep = u;
	list_add_tail(&u->writes, &w->link);
	return w;
}

static void write_start(struct write *w, struct write_request *r)
{
	r->user = user_new(&w->arena, "system:apiserver", GROUP_MASTERS, GROUP_AUTHENTICATED, NULL);
	r->field_manager = "api-priority-and-fairness-config-producer-v1";
	r->validation = FIELD_VALIDATION_IGNORE;
	r->arena = &w->arena;
	r->done = written;
	r->arg = w;
	registry_write(w->upkeep->server->registry, r);
}

/* ---- what must be ---- */

static void restore(void *arg, const char *plural, bool mandatory, struct json *wanted)
{
	struct flow_upkeep *u = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status missing = STATUS_INIT;
	const struct resource *row = resource_by_plural(GROUP_FLOWCONTROL, plural);
	struct object *o = registry_get(u->server->registry, row, "", meta_name(wanted), &missing);
	if (!o && !mandatory)
		return; /* who removed a suggestion meant it */
	struct write *w;
	if (!o) {
		w = write_new(u);
		write_start(w, &(struct write_request){
				   .verb = WRITE_CREATE, .resource = row, .body = json_clone(&w->arena, wanted)});
		return;
	}
	struct json *tree = registry_tree(o, row, &a);
	const char *mark = json_str(json_get(json_path(tree, "metadata.annotations"), FLOW_AUTOUPDATE));
	default_object(&a, row, wanted);
	if ((!mandatory && !str_eq(mark, "true")) || meta_deleting(tree) ||
	    json_equal(json_get(tree, "spec"), json_get(wanted, "spec")))
		return;
	w = write_new(u);
	struct json *body = json_clone(&w->arena, tree);
	json_set(&w->arena, body, "spec", json_clone(&w->arena, json_get(wanted, "spec")));
	write_start(
	    w, &(struct write_request){.verb = WRITE_UPDATE, .resource = row, .name = meta_name(wanted), .body = body});
}

/* ---- Dangling ---- */

static bool check_schema(void *arg, struct object *o)
{
	struct flow_upkeep *u = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status missing = STATUS_INIT;
	const struct json *tree = object_tree(o, &a);
	const char *level = str_or(json_path_str(tree, "spec.priorityLevelConfiguration.name"), "");
	bool found =
	    registry_get(u->server->registry, resource_by_plural(GROUP_FLOWCONTROL, "prioritylevelconfigurations"), "",
			 level, &missing) != NULL;
	const char *status = found ? "False" : "True";
	JSON_EACH(c, json_path(tree, "status.conditions"))
		if (str_eq(json_path_str(c, "type"), "Dangling") && str_eq(json_path_str(c, "status"), status))
			return true;
	struct write *w = write_new(u);
	struct arena *wa = &w->arena;
	char now[TIME_RFC3339_MAX];
	struct json *body = json_new(wa, JSON_OBJECT);
	struct json *c =
	    json_append(json_array_in(wa, json_object_in(wa, body, "status"), "conditions"), json_new(wa, JSON_OBJECT));
	json_set_str(wa, c, "type", "Dangling");
	json_set_str(wa, c, "status", status);
	json_set_str(wa, c, "lastTransitionTime", time_format(now_ns(), now));
	json_set_str(wa, c, "reason", found ? "Found" : "NotFound");
	json_set(wa, c, "message",
		 json_new_strf(wa,
			       found ? "The priority level %s exists."
				     : "There is no priority level %s: this schema matches no request.",
			       level));
	write_start(w, &(struct write_request){.verb = WRITE_PATCH,
					       .patch = PATCH_STRATEGIC,
					       .resource = resource_by_plural(GROUP_FLOWCONTROL, "flowschemas"),
					       .name = arena_strdup(wa, o->name),
					       .subresource = "status",
					       .body = body});
	return true;
}

static void sync(void *arg)
{
	struct flow_upkeep *u = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	if (!list_empty(&u->writes))
		return; /* the events of what is being written bring us here again */
	flow_objects_each(&a, restore, u);
	if (!list_empty(&u->writes))
		return;
	resource_key(resource_by_plural(GROUP_FLOWCONTROL, "flowschemas"), NULL, NULL, &prefix);
	store_each(u->server->store, buf_str(&prefix), NULL, check_schema, u);
}

static void on_change(void *arg, const struct store_event *ev)
{
	struct flow_upkeep *u = arg;
	if (ev)
		loop_timer_start(u->soon, 0);
}

struct flow_upkeep *flow_upkeep_new(struct server *s)
{
	static const char *const plurals[] = {"flowschemas", "prioritylevelconfigurations"};
	struct flow_upkeep *u = NEW(struct flow_upkeep);
	u->server = s;
	list_init(&u->writes);
	u->soon = loop_timer_new(s->loop, sync, u);
	for (size_t i = 0; i < ARRAY_SIZE(plurals); i++) {
		_cleanup_buf_ struct buf prefix = BUF_INIT;
		bool expired;
		resource_key(resource_by_plural(GROUP_FLOWCONTROL, plurals[i]), NULL, NULL, &prefix);
		u->watches[i] =
		    store_watch_new(s->store, buf_str(&prefix), store_revision(s->store), on_change, u, &expired);
	}
	loop_timer_start(u->soon, 0);
	return u;
}

void flow_upkeep_free(struct flow_upkeep *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(u->watches); i++)
		store_watch_free(u->watches[i]);
	loop_timer_free(u->soon);
	LIST_EACH_SAFE(it, &u->writes)
		list_remove(it); /* they end by themselves */
	free(u);
}
