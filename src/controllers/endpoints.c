/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps an Endpoints object of the same name beside each Service that has a selector. */
#include "controllers/endpoints.h"

#include "controllers/controller.h"

#define ENDPOINTS_MAX 1000 /* addresses in one object, as upstream's; more are cut off with an annotation */
#define OVER_CAPACITY "endpoints.kubernetes.io/over-capacity"

struct endpoints {
	struct client *client;
	struct workqueue *queue; /* of Services */
	struct informer *services, *pods, *endpoints;
};

static struct json *address(struct arena *a, const struct backend *b)
{
	struct json *v = json_new(a, JSON_OBJECT);
	json_set_str(a, v, "ip", b->ip);
	if (b->hostname)
		json_set_str(a, v, "hostname", b->hostname);
	if (!str_empty(b->node))
		json_set_str(a, v, "nodeName", b->node);
	struct json *ref = json_object_in(a, v, "targetRef");
	json_set_str(a, ref, "kind", "Pod");
	json_set_str(a, ref, "namespace", b->pod->ns);
	json_set_str(a, ref, "name", b->pod->name);
	json_set_str(a, ref, "uid", b->pod->uid);
	return v;
}

static struct json *subset(struct arena *a, const struct backends *all, size_t first, bool *done)
{
	struct json *s = json_new(a, JSON_OBJECT), *ready = json_new(a, JSON_ARRAY),
		    *not_ready = json_new(a, JSON_ARRAY);
	for (size_t i = first; i < all->n; i++) {
		if (done[i] || !backends_same_ports(&all->at[first], &all->at[i]))
			continue;
		done[i] = true;
		if (all->at[i].ready)
			json_append(ready, address(a, &all->at[i]));
		else if (!all->at[i].terminating)
			json_append(not_ready, address(a, &all->at[i]));
	}
	if (!json_len(ready) && !json_len(not_ready))
		return NULL;
	if (json_len(ready))
		json_set(a, s, "addresses", ready);
	if (json_len(not_ready))
		json_set(a, s, "notReadyAddresses", not_ready);
	const struct backend *b = &all->at[first];
	for (size_t i = 0; i < b->n_ports; i++) {
		struct json *p = json_append(json_array_in(a, s, "ports"), json_new(a, JSON_OBJECT));
		if (*b->ports[i].name)
			json_set_str(a, p, "name", b->ports[i].name);
		json_set_int(a, p, "port", b->ports[i].number);
		json_set_str(a, p, "protocol", b->ports[i].protocol);
		if (b->ports[i].app_protocol)
			json_set_str(a, p, "appProtocol", b->ports[i].app_protocol);
	}
	return s;
}

static struct json *subsets_of(struct arena *a, struct backends *all, bool *ret_cut)
{
	struct json *out = json_new(a, JSON_ARRAY);
	*ret_cut = all->n > ENDPOINTS_MAX;
	if (*ret_cut)
		all->n = ENDPOINTS_MAX;
	bool *done = arena_zalloc(a, all->n + 1);
	for (size_t i = 0; i < all->n; i++) {
		if (done[i])
			continue;
		struct json *s = subset(a, all, i, done);
		if (s)
			json_append(out, s);
	}
	return out;
}

static void on_written(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	if (err && err->code != 404 && !(err->code == 403 && strstr(str_or(err->message, ""), "being terminated")))
		sync_fail(s, err);
}

static void sync_service(void *arg, struct sync *s)
{
	struct endpoints *c = arg;
	struct object *service = informer_get_key(c->services, s->key), *have = informer_get_key(c->endpoints, s->key);
	if (!service) {
		if (have && !have->deleting)
			sync_delete(s, c->client, have, NULL, NULL, NULL);
		return;
	}
	struct arena *a = &s->arena;
	struct json *t = object_tree(service, a);
	if (service->deleting || !json_len(json_path(t, "spec.selector")))
		return; /* somebody else keeps its Endpoints */
	const char *family = json_str(json_at(json_path(t, "spec.ipFamilies"), 0));
	struct backends all = backends_of(a, t, c->pods, str_or(family, "IPv4"));
	bool cut;
	struct json *subsets = subsets_of(a, &all, &cut);
	struct json *e =
	    have ? object_tree(have, a) : meta_object_new(a, "v1", "Endpoints", service->ns, service->name);
	struct json *labels = json_path(t, "metadata.labels");
	if (labels)
		json_set(a, meta_of(a, e), "labels", json_clone(a, labels));
	else
		json_remove(meta_of(a, e), "labels");
	if (str_eq(json_path_str(t, "spec.clusterIP"), "None"))
		meta_set_label(a, e, "service.kubernetes.io/headless", "");
	meta_set_label(a, e, "endpoints.kubernetes.io/managed-by", "endpoint-controller");
	meta_set_annotation(a, e, OVER_CAPACITY, cut ? "truncated" : NULL);
	if (json_len(subsets))
		json_set(a, e, "subsets", subsets);
	else
		json_remove(e, "subsets");
	if (have)
		sync_patch(s, c->client, have, e, NULL, true, on_written, NULL);
	else
		sync_request(s, c->client,
			     &(struct client_request){.verb = CLIENT_CREATE,
						      .resource = informer_resource(c->endpoints),
						      .ns = service->ns,
						      .body = e},
			     on_written, NULL);
}

static void pod_changed(void *arg, struct object *pod)
{
	struct endpoints *c = arg;
	enqueue_services_of(c->queue, c->services, pod);
}

static void pod_updated(void *arg, struct object *old, struct object *pod)
{
	if (!backend_changed(old, pod))
		return;
	pod_changed(arg, old);
	pod_changed(arg, pod);
}

static void *start(const struct controller_env *e)
{
	struct endpoints *c = NEW(struct endpoints);
	c->client = e->client;
	c->queue = controller_queue(e, "endpoints", sync_service, c);
	struct informer_handlers h = enqueue_handlers(c->queue);
	c->services = controller_watch(e, "", "services", &h);
	c->endpoints = controller_watch(e, "", "endpoints",
					&(struct informer_handlers){.on_delete = enqueue_on_delete, .arg = c->queue});
	c->pods =
	    controller_watch(e, "", "pods",
			     &(struct informer_handlers){
				 .on_add = pod_changed, .on_update = pod_updated, .on_delete = pod_changed, .arg = c});
	return c;
}

const struct controller_ops endpoints_controller = {
    .name = "endpoints-controller",
    .start = start,
    .stop = free,
};
