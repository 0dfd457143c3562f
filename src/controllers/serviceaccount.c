/* SPDX-License-Identifier: Apache-2.0 */
/* Every active namespace has a ServiceAccount "default". */
#include "controllers/controller.h"

struct serviceaccounts {
	struct client *client;
	struct workqueue *queue; /* of namespace names */
	struct informer *namespaces, *accounts;
};

static void on_created(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	/* 403, 404: the namespace is being deleted. */
	if (err && err->code != 404 && err->code != 403 && !str_eq(err->reason, "AlreadyExists"))
		sync_fail(s, err);
}

static void sync_namespace(void *arg, struct sync *s)
{
	struct serviceaccounts *c = arg;
	struct object *ns = informer_get_key(c->namespaces, s->key);
	if (!ns || ns->deleting || informer_get(c->accounts, s->key, "default"))
		return;
	sync_request(s, c->client,
		     &(struct client_request){
			 .verb = CLIENT_CREATE,
			 .resource = informer_resource(c->accounts),
			 .ns = s->key,
			 .body = meta_object_new(&s->arena, "v1", "ServiceAccount", s->key, "default"),
		     },
		     on_created, c);
}

static void account_gone(void *arg, struct object *obj)
{
	struct serviceaccounts *c = arg;
	if (str_eq(obj->name, "default"))
		workqueue_add(c->queue, obj->ns);
}

static void *start(const struct controller_env *e)
{
	struct serviceaccounts *c = NEW(struct serviceaccounts);
	c->client = e->client;
	c->queue = controller_queue(e, "serviceaccount", sync_namespace, c);
	struct informer_handlers h = enqueue_handlers(c->queue);
	c->namespaces = controller_watch(e, "", "namespaces", &h);
	c->accounts = controller_watch(e, "", "serviceaccounts",
				       &(struct informer_handlers){.on_delete = account_gone, .arg = c});
	return c;
}

const struct controller_ops serviceaccount_controller = {
    .name = "serviceaccount-controller",
    .start = start,
    .stop = free,
};
