/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/controller.h"

#include "api/merge_patch.h"

void enqueue_on_add(void *queue, struct object *obj)
{
	workqueue_add_object(queue, obj);
}

void enqueue_on_update(void *queue, struct object *old, struct object *obj)
{
	(void)old;
	workqueue_add_object(queue, obj);
}

void enqueue_on_delete(void *queue, struct object *obj)
{
	workqueue_add_object(queue, obj);
}

struct informer_handlers enqueue_handlers(struct workqueue *q)
{
	return (struct informer_handlers){
	    .on_add = enqueue_on_add,
	    .on_update = enqueue_on_update,
	    .on_delete = enqueue_on_delete,
	    .arg = q,
	};
}

bool sync_patch(struct sync *s, struct client *c, struct object *o, struct json *edited, const char *subresource,
		bool guard, sync_done_fn done, void *arg)
{
	struct json *was = object_tree(o, &s->arena);
	struct json *patch = merge_patch_create(&s->arena, was, edited);
	if (!json_len(patch))
		return false;
	struct json *meta = json_object_in(&s->arena, patch, "metadata");
	json_set_str(&s->arena, meta, "uid", o->uid); /* never another object of that name */
	if (guard)
		json_set(&s->arena, meta, "resourceVersion",
			 json_new_strf(&s->arena, "%llu", (unsigned long long)o->rev));
	sync_request(s, c,
		     &(struct client_request){
			 .verb = CLIENT_PATCH,
			 .resource = o->resource,
			 .ns = o->ns,
			 .name = o->name,
			 .subresource = subresource,
			 .body = patch,
			 .patch_type = "application/merge-patch+json",
		     },
		     done, arg);
	return true;
}

struct delete_hold {
	sync_done_fn done;
	void *arg;
};

static void on_deleted(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	struct delete_hold *h = arg;
	/* 404: gone already. 409: another object of that name; ours is gone. */
	if (err && (err->code == 404 || err->code == 409))
		err = NULL;
	if (h->done)
		h->done(s, h->arg, err, obj);
	else if (err)
		sync_fail(s, err);
}

void sync_delete(struct sync *s, struct client *c, const struct object *o, const char *propagation, sync_done_fn done,
		 void *arg)
{
	struct delete_hold *h = ARENA_NEW(&s->arena, struct delete_hold);
	*h = (struct delete_hold){.done = done, .arg = arg};
	struct json *options = json_new(&s->arena, JSON_OBJECT);
	json_set_str(&s->arena, options, "kind", "DeleteOptions");
	json_set_str(&s->arena, options, "apiVersion", "v1");
	json_set_str(&s->arena, json_object_in(&s->arena, options, "preconditions"), "uid", o->uid);
	if (propagation)
		json_set_str(&s->arena, options, "propagationPolicy", propagation);
	sync_request(s, c,
		     &(struct client_request){
			 .verb = CLIENT_DELETE,
			 .resource = o->resource,
			 .ns = o->ns,
			 .name = o->name,
			 .body = options,
		     },
		     on_deleted, h);
}
