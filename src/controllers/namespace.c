/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Empties a namespace that is being deleted: its pods first, so that nothing runs on without its Secrets and policies,
 * then everything else that the resource table knows. When nothing is left the finalizer "kubernetes" is taken off
 * through the finalize subresource and the namespace goes. What remains, and which finalizers hold it, is told in
 * conditions.
 */
#include "controllers/controller.h"

#include "base/buf.h"
#include "base/map.h"

struct namespaces {
	struct client *client;
	struct workqueue *queue;
	struct informer *namespaces, *pods;
	struct anything all;
};

struct pass {
	struct namespaces *c;
	struct object *ns;
	unsigned under_way;
	const char *failure;
};

static void condition(struct arena *a, struct json *ns, const char *type, bool bad, const char *good_reason,
		      const char *good_message, const char *bad_reason, const char *bad_message)
{
	meta_set_condition(a, ns, type, bad ? "True" : "False", bad ? bad_reason : good_reason,
			   bad ? bad_message : good_message, now_ns());
}

/* "pods. has 2 resource instances, …" of what is still there; and the same of finalizers. */
static void count_rest(struct pass *p, struct arena *a, struct buf *rest, struct buf *finalizers)
{
	struct map held = MAP_INIT;
	for (size_t i = 0; i < p->c->all.n; i++) {
		const struct resource *r = informer_resource(p->c->all.at[i]);
		if (!r->namespaced)
			continue;
		struct object_list l = informer_by_index(p->c->all.at[i], a, index_namespace, p->ns->name);
		if (l.n)
			buf_addf(rest, "%s%s.%s has %zu resource instances", rest->len ? ", " : "", r->plural, r->group,
				 l.n);
		for (size_t n = 0; n < l.n; n++) {
			struct json *list = json_path(object_tree(l.at[n], a), "metadata.finalizers");
			JSON_EACH(f, list) {
				const char *name = str_or(json_str(f), "");
				map_set(&held, name, (void *)((uintptr_t)map_get(&held, name) + 1));
			}
		}
	}
	MAP_EACH(f, &held)
		buf_addf(finalizers, "%s%s in %zu resource instances", finalizers->len ? ", " : "", f->key,
			 (size_t)(uintptr_t)f->value);
	map_release(&held, NULL);
}

static void write_conditions(struct sync *s, struct pass *p)
{
	struct arena *a = &s->arena;
	_cleanup_buf_ struct buf rest = BUF_INIT;
	_cleanup_buf_ struct buf finalizers = BUF_INIT;
	count_rest(p, a, &rest, &finalizers);
	struct json *t = object_tree(p->ns, a);
	condition(a, t, "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
		  "All resources successfully discovered", NULL, NULL);
	condition(a, t, "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
		  "All legacy kube types successfully parsed", NULL, NULL);
	condition(a, t, "NamespaceDeletionContentFailure", p->failure, "ContentDeleted",
		  "All content successfully deleted, may be waiting on finalization", "ContentDeletionFailed",
		  p->failure);
	condition(a, t, "NamespaceContentRemaining", rest.len, "ContentRemoved", "All content successfully removed",
		  "SomeResourcesRemain", arena_printf(a, "Some resources are remaining: %s", buf_str(&rest)));
	condition(a, t, "NamespaceFinalizersRemaining", finalizers.len, "ContentHasNoFinalizers",
		  "All content-preserving finalizers finished", "SomeFinalizersRemain",
		  arena_printf(a, "Some content in the namespace has finalizers remaining: %s", buf_str(&finalizers)));
	/* The namespace may have gone by the time this arrives. */
	sync_patch(s, p->c->client, p->ns, t, "status", false, NULL, NULL);
}

static void finish(struct sync *s, struct pass *p)
{
	if (--p->under_way)
		return;
	if (p->failure)
		sync_failf(s, "%s", p->failure);
	write_conditions(s, p);
}

static void on_deleted(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)obj;
	struct pass *p = arg;
	if (err && !p->failure)
		p->failure = arena_strdup(&s->arena, str_or(err->message, "deletion failed"));
	finish(s, p);
}

/* Deletes what isn't being deleted yet; returns whether anything is there. */
static bool delete_all(struct sync *s, struct pass *p, struct informer *i)
{
	struct object_list l = informer_by_index(i, &s->arena, index_namespace, p->ns->name);
	for (size_t n = 0; n < l.n; n++) {
		if (l.at[n]->deleting)
			continue;
		p->under_way++;
		sync_delete(s, p->c->client, l.at[n], "Background", on_deleted, p);
	}
	return l.n > 0;
}

static void on_finalized(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	if (err && err->code != 404)
		sync_fail(s, err);
}

static void finalize(struct sync *s, struct pass *p)
{
	struct json *t = object_tree(p->ns, &s->arena);
	struct json *finalizers = json_path(t, "spec.finalizers");
	JSON_EACH(f, finalizers) {
		if (!str_eq(json_str(f), "kubernetes"))
			continue;
		json_remove_child(finalizers, f);
		break;
	}
	sync_request(s, p->c->client,
		     &(struct client_request){
			 .verb = CLIENT_UPDATE,
			 .resource = p->ns->resource,
			 .name = p->ns->name,
			 .subresource = "finalize",
			 .body = t,
		     },
		     on_finalized, p);
}

static void sync_namespace(void *arg, struct sync *s)
{
	struct namespaces *c = arg;
	struct object *ns = informer_get_key(c->namespaces, s->key);
	if (!ns || !ns->deleting)
		return;
	struct json *t = object_tree(ns, &s->arena);
	bool ours = false;
	JSON_EACH(f, json_path(t, "spec.finalizers"))
		ours |= str_eq(json_str(f), "kubernetes");
	if (!ours)
		return;
	struct pass *p = ARENA_NEW(&s->arena, struct pass);
	*p = (struct pass){.c = c, .ns = sync_keep(s, ns), .under_way = 1};
	bool left = delete_all(s, p, c->pods);
	if (!left)
		for (size_t i = 0; i < c->all.n; i++)
			if (informer_resource(c->all.at[i])->namespaced)
				left |= delete_all(s, p, c->all.at[i]);
	if (left)
		finish(s, p); /* the last deletion's event brings the key back */
	else
		finalize(s, p);
}

/* Whatever comes or goes in a namespace that is being deleted. */
static void content_changed(void *arg, struct object *obj)
{
	struct namespaces *c = ((struct anything_hook *)arg)->arg;
	if (!*obj->ns)
		return;
	struct object *ns = informer_get_key(c->namespaces, obj->ns);
	if (ns && ns->deleting)
		workqueue_add(c->queue, obj->ns);
}

static void *start(const struct controller_env *e)
{
	struct namespaces *c = NEW(struct namespaces);
	c->client = e->client;
	c->queue = controller_queue(e, "namespace", sync_namespace, c);
	struct informer_handlers h = enqueue_handlers(c->queue);
	c->namespaces = controller_watch(e, "", "namespaces", &h);
	c->pods = controller_watch(e, "", "pods", NULL);
	c->all = controller_watch_anything(
	    e, &(struct informer_handlers){.on_add = content_changed, .on_delete = content_changed, .arg = c});
	return c;
}

static void stop(void *arg)
{
	struct namespaces *c = arg;
	anything_release(&c->all);
	free(c);
}

const struct controller_ops namespace_controller = {
    .name = "namespace-controller",
    .start = start,
    .stop = stop,
};
