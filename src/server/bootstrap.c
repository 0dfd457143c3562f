/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that every cluster has. They go through registry_write like anybody's; what is there already stays as it is,
 * but for the addresses of the API server itself, which follow this process. Roles are rbac_install.c's.
 */
#include <stdlib.h>

#include "api/meta.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "server/flow_objects.h"
#include "server/registry.h"
#include "server/registry_internal.h"
#include "server/server_internal.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"
#define SERVICE_PORT 443

struct bootstrap {
	struct server *server;
	struct arena arena;
	size_t waiting; /* writes under way, and one for the code that starts them */
	struct status err;
	struct user *user;
	void (*done)(void *arg, const struct status *err);
	void *arg;
};

static void finish(struct bootstrap *b)
{
	if (--b->waiting)
		return;
	b->done(b->arg, status_failed(&b->err) ? &b->err : NULL);
	status_release(&b->err);
	arena_release(&b->arena);
	free(b);
}

static void written(void *arg, const struct status *err, const struct write_result *result)
{
	struct bootstrap *b = arg;
	(void)result;
	if (err && !str_eq(err->reason, "AlreadyExists") && !status_failed(&b->err))
		status_copy(&b->err, err);
	finish(b);
}

static void put(struct bootstrap *b, const char *group, const char *plural, const char *ns, struct json *object,
		bool apply)
{
	const struct resource *r = resource_by_plural(group, plural);
	_cleanup_status_ struct status missing = STATUS_INIT;
	if (!r)
		return;
	/* Not left to AlreadyExists: a Service that is there has its address already, and that is said first. */
	if (!apply && registry_get(b->server->registry, r, ns, meta_name(object), &missing))
		return;
	b->waiting++;
	struct write_request w = {.verb = apply ? WRITE_PATCH : WRITE_CREATE,
				  .patch = PATCH_APPLY,
				  .force = true,
				  .resource = r,
				  .ns = ns,
				  .name = apply ? meta_name(object) : "",
				  .body = object,
				  .user = b->user,
				  .field_manager = "proa-server",
				  .validation = FIELD_VALIDATION_IGNORE,
				  .arena = &b->arena,
				  .done = written,
				  .arg = b};
	registry_write(b->server->registry, &w);
}

static void put_namespaces(struct bootstrap *b)
{
	static const char *const names[] = {"default", "kube-system", "kube-public", "kube-node-lease"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put(b, "", "namespaces", "", meta_object_new(&b->arena, "v1", "Namespace", NULL, names[i]), false);
}

static void put_priority_classes(struct bootstrap *b)
{
	static const struct {
		const char *name, *text;
		int64_t value;
	} classes[] = {
	    {"system-cluster-critical",
	     "For system pods that must run in the cluster, but may move to another node if needed.", 2000000000},
	    {"system-node-critical", "For system pods that must not be moved from their node.", 2000001000},
	};
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		struct json *o =
		    meta_object_new(&b->arena, "scheduling.k8s.io/v1", "PriorityClass", NULL, classes[i].name);
		json_set_int(&b->arena, o, "value", classes[i].value);
		json_set_str(&b->arena, o, "description", classes[i].text);
		put(b, "scheduling.k8s.io", "priorityclasses", "", o, false);
	}
}

static void put_flow_object(void *arg, const char *plural, bool mandatory, struct json *object)
{
	(void)mandatory;
	put(arg, "flowcontrol.apiserver.k8s.io", plural, "", object, false);
}

static void put_authentication(struct bootstrap *b)
{
	struct arena *a = &b->arena;
	if (!b->server->client_ca_pem)
		return;
	struct json *o = meta_object_new(a, "v1", "ConfigMap", "kube-system", "extension-apiserver-authentication");
	json_set_str(a, json_object_in(a, o, "data"), "client-ca-file", b->server->client_ca_pem);
	put(b, "", "configmaps", "kube-system", o, true);
}

/* ---- what those may read who don't know the cluster yet ---- */

#define CLUSTER_INFO "cluster-info"
#define CLUSTER_INFO_ROLE "kubeadm:bootstrap-signer-clusterinfo" /* the name under which tools look for it */

static void put_cluster_info(struct bootstrap *b)
{
	struct arena *a = &b->arena;
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *address = b->server->advertise_address;
	buf_adds(&text, "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: ");
	base64_encode(&text, b->server->client_ca_pem, strlen(b->server->client_ca_pem));
	buf_addf(&text, strchr(address, ':') ? "\n    server: https://[%s]:%d\n" : "\n    server: https://%s:%d\n",
		 address, b->server->config.advertise_port);
	buf_adds(&text,
		 "  name: \"\"\ncontexts: null\ncurrent-context: \"\"\nkind: Config\npreferences: {}\nusers: null\n");
	struct json *o = meta_object_new(a, "v1", "ConfigMap", "kube-public", CLUSTER_INFO);
	json_set_str(a, json_object_in(a, o, "data"), "kubeconfig", buf_str(&text));
	put(b, "", "configmaps", "kube-public", o, true);
}

/* cluster-info is for everybody: a bootstrap token's signature says whether to believe it. */
static void put_cluster_info_role(struct bootstrap *b)
{
	struct arena *a = &b->arena;
	const char *version = RBAC_GROUP "/v1";
	struct json *role = meta_object_new(a, version, "Role", "kube-public", CLUSTER_INFO_ROLE);
	struct json *rule = json_append(json_array_in(a, role, "rules"), json_new(a, JSON_OBJECT));
	json_append(json_array_in(a, rule, "apiGroups"), json_new_str(a, ""));
	json_append(json_array_in(a, rule, "resources"), json_new_str(a, "configmaps"));
	json_append(json_array_in(a, rule, "resourceNames"), json_new_str(a, CLUSTER_INFO));
	json_append(json_array_in(a, rule, "verbs"), json_new_str(a, "get"));
	put(b, RBAC_GROUP, "roles", "kube-public", role, false);

	struct json *binding = meta_object_new(a, version, "RoleBinding", "kube-public", CLUSTER_INFO_ROLE);
	struct json *ref = json_object_in(a, binding, "roleRef");
	json_set_str(a, ref, "apiGroup", RBAC_GROUP);
	json_set_str(a, ref, "kind", "Role");
	json_set_str(a, ref, "name", CLUSTER_INFO_ROLE);
	struct json *subject = json_append(json_array_in(a, binding, "subjects"), json_new(a, JSON_OBJECT));
	json_set_str(a, subject, "apiGroup", RBAC_GROUP);
	json_set_str(a, subject, "kind", "User");
	json_set_str(a, subject, "name", USER_ANONYMOUS);
	put(b, RBAC_GROUP, "rolebindings", "kube-public", binding, false);
}

/* ---- the API server's own Service ---- */

static void label_apiserver(struct bootstrap *b, struct json *o)
{
	meta_set_label(&b->arena, o, "component", "apiserver");
	meta_set_label(&b->arena, o, "provider", "kubernetes");
}

static void put_service(struct bootstrap *b)
{
	struct arena *a = &b->arena;
	char ip[16];
	struct json *o = meta_object_new(a, "v1", "Service", "default", "kubernetes");
	struct json *spec = json_object_in(a, o, "spec");
	struct json *port = json_append(json_array_in(a, spec, "ports"), json_new(a, JSON_OBJECT));
	ip_allocator_first(b->server->registry->cluster_ips, ip);
	label_apiserver(b, o);
	json_set_str(a, spec, "type", "ClusterIP");
	json_set_str(a, spec, "clusterIP", ip);
	json_set_str(a, port, "name", "https");
	json_set_str(a, port, "protocol", "TCP");
	json_set_int(a, port, "port", SERVICE_PORT);
	json_set_int(a, port, "targetPort", b->server->config.advertise_port);
	put(b, "", "services", "default", o, false);
}

static struct json *endpoint_port(struct bootstrap *b, struct json *in)
{
	struct arena *a = &b->arena;
	struct json *port = json_append(json_array_in(a, in, "ports"), json_new(a, JSON_OBJECT));
	json_set_str(a, port, "name", "https");
	json_set_str(a, port, "protocol", "TCP");
	json_set_int(a, port, "port", b->server->config.advertise_port);
	return port;
}

static void put_endpoints(struct bootstrap *b)
{
	struct arena *a = &b->arena;
	const char *address = b->server->advertise_address;
	/* Nobody else reaches a server on loopback, and endpoints may not name such an address. */
	if (str_has_prefix(address, "127.") || str_eq(address, "::1"))
		return;
	struct json *o = meta_object_new(a, "v1", "Endpoints", "default", "kubernetes");
	struct json *subset = json_append(json_array_in(a, o, "subsets"), json_new(a, JSON_OBJECT));
	struct json *at = json_append(json_array_in(a, subset, "addresses"), json_new(a, JSON_OBJECT));
	json_set_str(a, at, "ip", address);
	endpoint_port(b, subset);
	meta_set_label(a, o, "endpointslice.kubernetes.io/skip-mirror", "true");
	put(b, "", "endpoints", "default", o, true);

	o = meta_object_new(a, "discovery.k8s.io/v1", "EndpointSlice", "default", "kubernetes");
	meta_set_label(a, o, "kubernetes.io/service-name", "kubernetes");
	json_set_str(a, o, "addressType", strchr(address, ':') ? "IPv6" : "IPv4");
	struct json *endpoint = json_append(json_array_in(a, o, "endpoints"), json_new(a, JSON_OBJECT));
	json_append(json_array_in(a, endpoint, "addresses"), json_new_str(a, address));
	json_set_path(a, endpoint, "conditions.ready", json_new_bool(a, true));
	endpoint_port(b, o);
	put(b, "discovery.k8s.io", "endpointslices", "default", o, true);
}

void server_bootstrap(struct server *s, void (*done)(void *arg, const struct status *err), void *arg)
{
	struct bootstrap *b = NEW(struct bootstrap);
	b->server = s;
	b->waiting = 1;
	b->done = done;
	b->arg = arg;
	b->user = user_new(&b->arena, "system:apiserver", GROUP_MASTERS, GROUP_AUTHENTICATED, NULL);
	put_namespaces(b);
	put_priority_classes(b);
	flow_objects_each(&b->arena, put_flow_object, b);
	if (!s->flow_upkeep)
		s->flow_upkeep = flow_upkeep_new(s);
	put_authentication(b);
	if (s->advertise_address && s->client_ca_pem) {
		put_cluster_info(b);
		put_cluster_info_role(b);
	}
	if (s->advertise_address) {
		put_service(b);
		put_endpoints(b);
	}
	finish(b);
}
