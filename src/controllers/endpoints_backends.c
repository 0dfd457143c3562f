/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/endpoints.h"

#include "api/selector.h"
#include "controllers/controller.h"
#include "controllers/util.h"

/* A port of the pod by number or by its name in a container. */
static int target_port(const struct json *port, const struct json *pod)
{
	const struct json *target = json_get(port, "targetPort");
	const char *name = json_str(target);
	const char *protocol = str_or(json_path_str(port, "protocol"), "TCP");
	if (!name)
		return (int)json_int(target, json_path_int(port, "port", 0));
	JSON_EACH(c, json_path(pod, "spec.containers"))
		JSON_EACH(p, json_get(c, "ports"))
			if (str_eq(json_path_str(p, "name"), name) &&
			    str_eq(str_or(json_path_str(p, "protocol"), "TCP"), protocol))
				return (int)json_path_int(p, "containerPort", 0);
	return 0;
}

static void read_ports(struct arena *a, const struct json *service, struct backend *b)
{
	const struct json *ports = json_path(service, "spec.ports");
	b->ports = arena_zalloc(a, (json_len(ports) + 1) * sizeof(*b->ports));
	JSON_EACH(p, ports) {
		int number = target_port(p, b->tree);
		if (!number || b->n_ports == SERVICE_PORTS_MAX)
			continue;
		b->ports[b->n_ports++] = (struct service_port){
		    .name = str_or(json_path_str(p, "name"), ""),
		    .protocol = str_or(json_path_str(p, "protocol"), "TCP"),
		    .app_protocol = json_path_str(p, "appProtocol"),
		    .number = number,
		};
	}
}

static const char *address_of(const struct json *pod, const char *family)
{
	bool six = str_eq(family, "IPv6");
	JSON_EACH(ip, json_path(pod, "status.podIPs")) {
		const char *s = json_path_str(ip, "ip");
		if (!str_empty(s) && (strchr(s, ':') != NULL) == six)
			return s;
	}
	const char *s = json_path_str(pod, "status.podIP");
	return !str_empty(s) && (strchr(s, ':') != NULL) == six ? s : NULL;
}

static int by_address(const void *pa, const void *pb)
{
	const struct backend *a = pa, *b = pb;
	int c = strcmp(a->ip, b->ip);
	return c ? c : strcmp(a->pod->uid, b->pod->uid);
}

struct backends backends_of(struct arena *a, const struct json *service, const struct informer *pods,
			    const char *family)
{
	struct backends out = {0};
	struct label_selector *selector;
	if (label_selector_from_map(a, json_path(service, "spec.selector"), &selector) < 0)
		return out;
	bool publish_all = json_path_bool(service, "spec.publishNotReadyAddresses", false);
	struct object_list l = informer_select(pods, a, meta_ns(service), selector);
	out.at = arena_zalloc(a, (l.n + 1) * sizeof(*out.at));
	for (size_t i = 0; i < l.n; i++) {
		struct json *t = object_tree(l.at[i], a);
		const char *ip = address_of(t, family);
		if (!ip || pod_finished(t))
			continue;
		struct backend *b = &out.at[out.n++];
		b->pod = l.at[i];
		b->tree = t;
		b->ip = ip;
		b->node = json_path_str(t, "spec.nodeName");
		b->serving = pod_ready(t);
		b->terminating = l.at[i]->deleting;
		b->ready = publish_all || (b->serving && !b->terminating);
		const char *hostname = json_path_str(t, "spec.hostname");
		if (!str_empty(hostname) && str_eq(json_path_str(t, "spec.subdomain"), meta_name(service)))
			b->hostname = hostname;
		read_ports(a, service, b);
	}
	qsort(out.at, out.n, sizeof(*out.at), by_address);
	return out;
}

bool backends_same_ports(const struct backend *a, const struct backend *b)
{
	if (a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++)
		if (a->ports[i].number != b->ports[i].number || !str_eq(a->ports[i].name, b->ports[i].name) ||
		    !str_eq(a->ports[i].protocol, b->ports[i].protocol))
			return false;
	return true;
}

void enqueue_services_of(struct workqueue *q, const struct informer *services, const struct object *pod)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	if (!pod->n_labels)
		return;
	struct object_list l = informer_select(services, &a, pod->ns, NULL);
	for (size_t i = 0; i < l.n; i++) {
		struct label_selector *selector;
		struct json *t = object_tree(l.at[i], &a);
		if (label_selector_from_map(&a, json_path(t, "spec.selector"), &selector) == 0 &&
		    label_selector_match(selector, pod))
			workqueue_add_object(q, l.at[i]);
	}
}

bool backend_changed(const struct object *old, const struct object *pod)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *was = object_tree(old, &a), *is = object_tree(pod, &a);
	return old->deleting != pod->deleting || pod_ready(was) != pod_ready(is) ||
	       pod_finished(was) != pod_finished(is) ||
	       !json_equal(json_path(was, "status.podIPs"), json_path(is, "status.podIPs")) ||
	       !str_eq(json_path_str(was, "status.podIP"), json_path_str(is, "status.podIP")) ||
	       !json_equal(json_path(was, "metadata.labels"), json_path(is, "metadata.labels"));
}
