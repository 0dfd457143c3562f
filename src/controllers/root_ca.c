/* SPDX-License-Identifier: Apache-2.0 */
/* Every active namespace has a ConfigMap kube-root-ca.crt with the cluster's certificate authority, for pods to trust.
 */
#include "controllers/controller.h"

#define ROOT_CA_NAME "kube-root-ca.crt"
#define ROOT_CA_KEY "ca.crt"
#define DESCRIPTION "kubernetes.io/description"

struct root_ca {
	struct client *client;
	const char *pem;
	struct workqueue *queue; /* of namespace names */
	struct informer *namespaces, *maps;
};

static void on_written(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	if (err && err->code != 404 && err->code != 403 && !str_eq(err->reason, "AlreadyExists"))
		sync_fail(s, err);
}

static void sync_namespace(void *arg, struct sync *s)
{
	struct root_ca *c = arg;
	struct object *ns = informer_get_key(c->namespaces, s->key);
	if (!ns || ns->deleting)
		return;
	struct object *map = informer_get(c->maps, s->key, ROOT_CA_NAME);
	struct json *tree =
	    map ? object_tree(map, &s->arena) : meta_object_new(&s->arena, "v1", "ConfigMap", s->key, ROOT_CA_NAME);
	struct json *data = json_object_in(&s->arena, tree, "data");
	if (map && json_len(data) == 1 && str_eq(json_str(json_get(data, ROOT_CA_KEY)), c->pem))
		return;
	json_set(&s->arena, tree, "data", json_new(&s->arena, JSON_OBJECT));
	json_set_str(&s->arena, json_get(tree, "data"), ROOT_CA_KEY, c->pem);
	meta_set_annotation(&s->arena, tree, DESCRIPTION,
			    "The certificate authority that signs this cluster's API server. Pods get it with their "
			    "service account token. It is kept up by the cluster: changes are undone.");
	sync_request(s, c->client,
		     &(struct client_request){
			 .verb = map ? CLIENT_UPDATE : CLIENT_CREATE,
			 .resource = informer_resource(c->maps),
			 .ns = s->key,
			 .name = ROOT_CA_NAME,
			 .body = tree,
		     },
		     on_written, c);
}

static void map_changed(void *arg, struct object *obj)
{
	struct root_ca *c = arg;
	if (str_eq(obj->name, ROOT_CA_NAME))
		workqueue_add(c->queue, obj->ns);
}

static void map_updated(void *arg, struct object *old, struct object *obj)
{
	(void)old;
	map_changed(arg, obj);
}

static void *start(const struct controller_env *e)
{
	if (!e->config->root_ca_pem)
		return NULL;
	struct root_ca *c = NEW(struct root_ca);
	c->client = e->client;
	c->pem = e->config->root_ca_pem;
	c->queue = controller_queue(e, "root-ca", sync_namespace, c);
	struct informer_handlers h = enqueue_handlers(c->queue);
	c->namespaces = controller_watch(e, "", "namespaces", &h);
	c->maps =
	    controller_watch(e, "", "configmaps",
			     &(struct informer_handlers){.on_update = map_updated, .on_delete = map_changed, .arg = c});
	return c;
}

const struct controller_ops root_ca_controller = {
    .name = "root-ca-certificate-publisher-controller",
    .start = start,
    .stop = free,
};
