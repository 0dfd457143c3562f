/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps EndpointSlices for each Service with a selector: one set of slices for each address family and each set of
 * ports. The content of slices is recomputed and laid over those that exist, in order of address, so that a change of
 * one pod rewrites few of them.
 */
#include "controllers/controller.h"

#include "api/selector.h"
#include "controllers/endpoints.h"

#define SLICE_MAX 100 /* endpoints in a slice, upstream's --max-endpoints-per-slice */
#define MANAGED_BY "endpointslice.kubernetes.io/managed-by"
#define MANAGER "endpointslice-controller.k8s.io"
#define SERVICE_NAME "kubernetes.io/service-name"

struct slices {
	struct client *client;
	struct workqueue *queue; /* of Services */
	struct informer *services, *pods, *slices, *nodes;
};

static void index_service(const struct object *slice, index_emit emit, void *ctx)
{
	const char *service = object_label(slice, SERVICE_NAME);
	if (!service || !str_eq(object_label(slice, MANAGED_BY), MANAGER))
		return;
	_cleanup_free_ char *key = xasprintf("%s/%s", slice->ns, service);
	emit(ctx, key);
}

static struct json *endpoint(struct slices *c, struct arena *a, const struct backend *b)
{
	struct json *e = json_new(a, JSON_OBJECT);
	json_append(json_array_in(a, e, "addresses"), json_new_str(a, b->ip));
	struct json *conditions = json_object_in(a, e, "conditions");
	json_set_bool(a, conditions, "ready", b->ready);
	json_set_bool(a, conditions, "serving", b->serving);
	json_set_bool(a, conditions, "terminating", b->terminating);
	if (b->hostname)
		json_set_str(a, e, "hostname", b->hostname);
	if (!str_empty(b->node)) {
		struct object *node = informer_get(c->nodes, NULL, b->node);
		const char *zone = node ? object_label(node, "topology.kubernetes.io/zone") : NULL;
		json_set_str(a, e, "nodeName", b->node);
		if (zone)
			json_set_str(a, e, "zone", zone);
	}
	struct json *ref = json_object_in(a, e, "targetRef");
	json_set_str(a, ref, "kind", "Pod");
	json_set_str(a, ref, "namespace", b->pod->ns);
	json_set_str(a, ref, "name", b->pod->name);
	json_set_str(a, ref, "uid", b->pod->uid);
	return e;
}

static struct json *ports_of(struct arena *a, const struct backend *b)
{
	struct json *out = json_new(a, JSON_ARRAY);
	for (size_t i = 0; i < b->n_ports; i++) {
		struct json *p = json_append(out, json_new(a, JSON_OBJECT));
		json_set_str(a, p, "name", b->ports[i].name);
		json_set_int(a, p, "port", b->ports[i].number);
		json_set_str(a, p, "protocol", b->ports[i].protocol);
		if (b->ports[i].app_protocol)
			json_set_str(a, p, "appProtocol", b->ports[i].app_protocol);
	}
	return out;
}

struct pass {
	struct slices *c;
	struct object *service;
	struct json *tree;
	struct object_list have;
	bool *used; /* of have */
};

static struct object *reuse(struct sync *s, struct pass *p, const char *family, const struct json *ports)
{
	for (size_t i = 0; i < p->have.n; i++) {
		if (p->used[i])
			continue;
		struct json *t = object_tree(p->have.at[i], &s->arena);
		if (!str_eq(json_path_str(t, "addressType"), family))
			continue; /* immutable */
		if (json_len(ports) && json_len(json_get(t, "ports")) && !json_equal(json_get(t, "ports"), ports))
			continue;
		p->used[i] = true;
		return p->have.at[i];
	}
	return NULL;
}

static void on_written(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	if (err && err->code != 404 && !(err->code == 403 && strstr(str_or(err->message, ""), "being terminated")))
		sync_fail(s, err);
}

static void write_slice(struct sync *s, struct pass *p, const char *family, struct json *ports, struct json *endpoints)
{
	struct arena *a = &s->arena;
	struct object *have = reuse(s, p, family, ports);
	struct json *t;
	if (have) {
		t = object_tree(have, a);
	} else {
		t = meta_object_new(a, "discovery.k8s.io/v1", "EndpointSlice", p->service->ns, NULL);
		json_set(a, meta_of(a, t), "generateName", json_new_strf(a, "%s-", p->service->name));
		json_set_str(a, t, "addressType", family);
	}
	struct json *labels = json_path(p->tree, "metadata.labels");
	json_set(a, meta_of(a, t), "labels", labels ? json_clone(a, labels) : json_new(a, JSON_OBJECT));
	meta_set_label(a, t, SERVICE_NAME, p->service->name);
	meta_set_label(a, t, MANAGED_BY, MANAGER);
	if (str_eq(json_path_str(p->tree, "spec.clusterIP"), "None"))
		meta_set_label(a, t, "service.kubernetes.io/headless", "");
	meta_set_owner(a, t, meta_controller_ref_to(a, p->service));
	json_set(a, t, "endpoints", endpoints);
	json_set(a, t, "ports", ports);
	if (have)
		sync_patch(s, p->c->client, have, t, NULL, true, on_written, NULL);
	else
		sync_request(s, p->c->client,
			     &(struct client_request){.verb = CLIENT_CREATE,
						      .resource = informer_resource(p->c->slices),
						      .ns = p->service->ns,
						      .body = t},
			     on_written, NULL);
}

static void write_family(struct sync *s, struct pass *p, const char *family)
{
	struct arena *a = &s->arena;
	struct backends all = backends_of(a, p->tree, p->c->pods, family);
	bool *done = arena_zalloc(a, all.n + 1);
	for (size_t first = 0; first < all.n; first++) {
		if (done[first])
			continue;
		struct json *endpoints = json_new(a, JSON_ARRAY);
		for (size_t i = first; i < all.n; i++) {
			if (done[i] || !backends_same_ports(&all.at[first], &all.at[i]))
				continue;
			done[i] = true;
			json_append(endpoints, endpoint(p->c, a, &all.at[i]));
			if (json_len(endpoints) < SLICE_MAX)
				continue;
			write_slice(s, p, family, ports_of(a, &all.at[first]), endpoints);
			endpoints = json_new(a, JSON_ARRAY);
		}
		if (json_len(endpoints))
			write_slice(s, p, family, ports_of(a, &all.at[first]), endpoints);
	}
	if (!all.n) /* a Service without pods has one empty slice, so that its readers know that it was seen */
		write_slice(s, p, family, json_new(a, JSON_ARRAY), json_new(a, JSON_ARRAY));
}

static void sync_service(void *arg, struct sync *s)
{
	struct slices *c = arg;
	struct pass p = {.c = c, .service = informer_get_key(c->services, s->key)};
	p.have = informer_by_index(c->slices, &s->arena, index_service, s->key);
	p.used = arena_zalloc(&s->arena, p.have.n + 1);
	if (p.service && p.service->deleting)
		return;
	if (p.service) {
		p.tree = object_tree(p.service, &s->arena);
		if (!json_len(json_path(p.tree, "spec.selector")) ||
		    str_eq(json_path_str(p.tree, "spec.type"), "ExternalName"))
			return;
		const struct json *families = json_path(p.tree, "spec.ipFamilies");
		JSON_EACH(f, families)
			write_family(s, &p, str_or(json_str(f), "IPv4"));
		if (!json_len(families))
			write_family(s, &p, "IPv4");
	}
	for (size_t i = 0; i < p.have.n; i++)
		if (!p.used[i] && !p.have.at[i]->deleting)
			sync_delete(s, c->client, p.have.at[i], NULL, NULL, NULL);
}

static void pod_changed(void *arg, struct object *pod)
{
	struct slices *c = arg;
	enqueue_services_of(c->queue, c->services, pod);
}

static void pod_updated(void *arg, struct object *old, struct object *pod)
{
	if (!backend_changed(old, pod))
		return;
	pod_changed(arg, old);
	pod_changed(arg, pod);
}

/* Somebody else changed or deleted one of ours. */
static void slice_changed(void *arg, struct object *slice)
{
	struct slices *c = arg;
	const char *service = object_label(slice, SERVICE_NAME);
	if (service && str_eq(object_label(slice, MANAGED_BY), MANAGER))
		workqueue_add_ns(c->queue, slice->ns, service);
}

static void slice_updated(void *arg, struct object *old, struct object *slice)
{
	(void)old;
	slice_changed(arg, slice);
}

static void *start(const struct controller_env *e)
{
	struct slices *c = NEW(struct slices);
	c->client = e->client;
	c->queue = controller_queue(e, "endpointslice", sync_service, c);
	struct informer_handlers h = enqueue_handlers(c->queue);
	c->services = controller_watch(e, "", "services", &h);
	c->nodes = controller_watch(e, "", "nodes", NULL);
	c->slices = controller_watch(
	    e, "discovery.k8s.io", "endpointslices",
	    &(struct informer_handlers){.on_update = slice_updated, .on_delete = slice_changed, .arg = c});
	informer_add_index(c->slices, index_service);
	c->pods =
	    controller_watch(e, "", "pods",
			     &(struct informer_handlers){
				 .on_add = pod_changed, .on_update = pod_updated, .on_delete = pod_changed, .arg = c});
	return c;
}

const struct controller_ops endpointslice_controller = {
    .name = "endpointslice-controller",
    .start = start,
    .stop = free,
};
