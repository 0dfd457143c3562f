/* SPDX-License-Identifier: Apache-2.0 */
#include "server/authz_node.h"

#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/auth.h"
#include "store/store.h"

const char *authz_node_of(const struct user *u)
{
	const char *name = str_after(u->name, "system:node:");
	return name && *name && user_in_group(u, "system:nodes") ? name : NULL;
}

/* ---- what every node agent may do, whichever object it is about ---- */

struct grant {
	const char *group, *resource; /* resource with its subresource: "pods/status" */
	const char *verbs;	      /* separated by spaces */
};

static const struct grant grants[] = {
    {"", "services", "get list watch"},
    {"", "nodes", "create get list watch update patch"},
    {"", "nodes/status", "update patch"},
    {"", "events", "create update patch"},
    {"", "pods", "get list watch create delete"},
    {"", "pods/status", "update patch"},
    {"", "pods/eviction", "create"},
    {"", "persistentvolumeclaims/status", "get update patch"},
    {"events.k8s.io", "events", "create update patch"},
    {"authentication.k8s.io", "tokenreviews", "create"},
    {"authorization.k8s.io", "subjectaccessreviews", "create"},
    {"authorization.k8s.io", "localsubjectaccessreviews", "create"},
    {"certificates.k8s.io", "certificatesigningrequests", "create get list watch"},
    {"certificates.k8s.io", "clustertrustbundles", "get list watch"},
    {"coordination.k8s.io", "leases", "get create update patch delete"},
    {"storage.k8s.io", "csidrivers", "get list watch"},
    {"storage.k8s.io", "csinodes", "get create update patch delete"},
    {"storage.k8s.io", "volumeattachments", "get"},
    {"node.k8s.io", "runtimeclasses", "get list watch"},
    {"discovery.k8s.io", "endpointslices", "get list watch"},
    {"", "endpoints", "get list watch"},
    {"networking.k8s.io", "networkpolicies", "get list watch"},
};

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (at[n] == 0 || at[n] == ' '))
			return true;
	return false;
}

static bool granted(const struct authz_attributes *at)
{
	_cleanup_buf_ struct buf resource = BUF_INIT;

	buf_adds(&resource, at->resource);
	if (*at->subresource)
		buf_addf(&resource, "/%s", at->subresource);
	for (size_t i = 0; i < ARRAY_SIZE(grants); i++)
		if (strcmp(grants[i].group, at->group) == 0 && strcmp(grants[i].resource, buf_str(&resource)) == 0)
			return has_word(grants[i].verbs, at->verb);
	return false;
}

/* Only its own: a node agent writes no other node's objects, even where the table lets it write some. */
static bool own(const char *node, const struct authz_attributes *at)
{
	if (strcmp(at->verb, "get") == 0 || strcmp(at->verb, "list") == 0 || strcmp(at->verb, "watch") == 0)
		return true;
	bool named_after_node = strcmp(at->resource, "nodes") == 0 || strcmp(at->resource, "csinodes") == 0 ||
				(strcmp(at->resource, "leases") == 0 && strcmp(at->ns, "kube-node-lease") == 0);
	if (named_after_node)
		return !*at->name || strcmp(at->name, node) == 0;
	return strcmp(at->resource, "leases") != 0;
}

/* ---- what follows from the pods that are bound to the node ---- */

struct search {
	const char *node;
	const char *what; /* "configmaps", "secrets", "persistentvolumeclaims", "serviceaccounts" */
	const char *name;
	bool found;
};

static bool is(const struct json *ref, const char *member, const char *name)
{
	return str_eq(json_path_str(ref, member), name);
}

static bool source_refers(const struct json *source, const struct search *s)
{
	if (strcmp(s->what, "configmaps") == 0)
		return is(source, "configMap.name", s->name);
	if (strcmp(s->what, "persistentvolumeclaims") == 0)
		return is(source, "persistentVolumeClaim.claimName", s->name);
	return is(source, "secret.secretName", s->name) || is(source, "secret.name", s->name) ||
	       is(source, "csi.nodePublishSecretRef.name", s->name);
}

static bool volumes_refer(const struct json *spec, const struct search *s)
{
	JSON_EACH(v, json_get(spec, "volumes")) {
		if (source_refers(v, s))
			return true;
		JSON_EACH(p, json_path(v, "projected.sources"))
			if (source_refers(p, s))
				return true;
	}
	return false;
}

static bool container_refers(const struct json *container, const struct search *s)
{
	bool secret = strcmp(s->what, "secrets") == 0;

	if (!secret && strcmp(s->what, "configmaps") != 0)
		return false;
	JSON_EACH(e, json_get(container, "env"))
		if (is(e, secret ? "valueFrom.secretKeyRef.name" : "valueFrom.configMapKeyRef.name", s->name))
			return true;
	JSON_EACH(e, json_get(container, "envFrom"))
		if (is(e, secret ? "secretRef.name" : "configMapRef.name", s->name))
			return true;
	return false;
}

static bool pod_refers(const struct json *spec, const struct search *s)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	if (strcmp(s->what, "serviceaccounts") == 0)
		return is(spec, "serviceAccountName", s->name);
	if (strcmp(s->what, "secrets") == 0)
		JSON_EACH(p, json_get(spec, "imagePullSecrets"))
			if (is(p, "name", s->name))
				return true;
	if (volumes_refer(spec, s))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(c, json_get(spec, lists[i]))
			if (container_refers(c, s))
				return true;
	return false;
}

static bool look_at_pod(void *arg, struct object *pod)
{
	struct search *s = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;

	if (str_eq(object_field(pod, "spec.nodeName"), s->node))
		s->found = pod_refers(json_get(object_tree(pod, &a), "spec"), s);
	return !s->found;
}

static bool referred(struct store *store, const char *node, const struct authz_attributes *at)
{
	struct search s = {.node = node, .what = at->resource, .name = at->name};
	_cleanup_buf_ struct buf prefix = BUF_INIT;

	if (!*at->name || !*at->ns)
		return false;
	resource_key(resource_by_plural("", "pods"), at->ns, NULL, &prefix);
	store_each(store, buf_str(&prefix), NULL, look_at_pod, &s);
	return s.found;
}

bool authz_node_allows(struct store *s, const char *node, const struct authz_attributes *at)
{
	static const char *const readable[] = {"configmaps", "secrets", "persistentvolumeclaims", NULL};

	if (!at->resource_request)
		return false;
	bool core = !*at->group;
	bool reads = strcmp(at->verb, "get") == 0 || strcmp(at->verb, "list") == 0 || strcmp(at->verb, "watch") == 0;
	if (core && reads && !*at->subresource && str_in(at->resource, readable))
		return referred(s, node, at);
	if (core && strcmp(at->resource, "serviceaccounts") == 0 && strcmp(at->subresource, "token") == 0)
		return strcmp(at->verb, "create") == 0 && referred(s, node, at);
	return granted(at) && own(node, at);
}
