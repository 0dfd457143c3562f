/* SPDX-License-Identifier: Apache-2.0 */
#include "server/authz_node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"
#include "server/auth.h"
#include "store/store.h"

const char *authz_node_of(const struct user *u)
{
	const char *name = str_after(u->name, "system:node:");
	return name && *name && user_in_group(u, "system:nodes") ? name : NULL;
}

bool authz_is_node(const struct user *u)
{
	return str_has_prefix(u->name, "system:node:") && user_in_group(u, "system:nodes");
}

/* ---- what every node agent may do, whichever object it is about ---- */

struct grant {
	const char *group, *resource; /* resource with its subresource: "pods/status" */
	const char *verbs;	      /* separated by spaces */
};

static const struct grant grants[] = {
    {"", "services", "get list watch"},
    {"", "nodes", "create update patch"},
    {"", "nodes/status", "update patch"},
    {"", "events", "create update patch"},
    {"", "pods", "create delete"},
    {"", "pods/status", "update patch"},
    {"", "pods/eviction", "create"},
    {"events.k8s.io", "events", "create update patch"},
    {"authentication.k8s.io", "tokenreviews", "create"},
    {"authorization.k8s.io", "subjectaccessreviews", "create"},
    {"authorization.k8s.io", "localsubjectaccessreviews", "create"},
    {"certificates.k8s.io", "certificatesigningrequests", "create get list watch"},
    {"certificates.k8s.io", "clustertrustbundles", "get list watch"},
    {"certificates.k8s.io", "podcertificaterequests", "create get list watch"},
    {"storage.k8s.io", "csidrivers", "get list watch"},
    {"resource.k8s.io", "resourceslices", "create"},
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

/* ---- what follows from the pods that are bound to the node ---- */

struct search {
	const char *node;
	const char *what; /* plural of what pods can refer to: "configmaps", "secrets", … */
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

/* The claim that a pod's resource claim is: named, or made from a template and told in the status. */
static bool claims_refer(const struct json *pod, const struct search *s)
{
	JSON_EACH(c, json_path(pod, "spec.resourceClaims"))
		if (is(c, "resourceClaimName", s->name))
			return true;
	JSON_EACH(c, json_path(pod, "status.resourceClaimStatuses"))
		if (is(c, "resourceClaimName", s->name))
			return true;
	return is(pod, "status.extendedResourceClaimStatus.resourceClaimName", s->name);
}

/* A generic ephemeral volume's claim is called after pod and volume. */
static bool ephemeral_refers(const struct json *pod, const struct search *s)
{
	const char *rest = str_after(s->name, str_or(json_path_str(pod, "metadata.name"), ""));

	JSON_EACH(v, json_path(pod, "spec.volumes"))
		if (json_get(v, "ephemeral") && rest && *rest == '-' && is(v, "name", rest + 1))
			return true;
	return false;
}

static bool pod_refers(const struct json *pod, const struct search *s)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	const struct json *spec = json_get(pod, "spec");

	if (strcmp(s->what, "resourceclaims") == 0)
		return claims_refer(pod, s);
	if (strcmp(s->what, "persistentvolumeclaims") == 0 && ephemeral_refers(pod, s))
		return true;

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
		s->found = pod_refers(object_tree(pod, &a), s);
	return !s->found;
}

/* Does a pod of the namespace that is bound to the node refer to the object? */
static bool referred(struct store *store, const char *node, const char *what, const char *ns, const char *name)
{
	struct search s = {.node = node, .what = what, .name = name};
	_cleanup_buf_ struct buf prefix = BUF_INIT;

	if (str_empty(ns) || str_empty(name))
		return false;
	resource_key(resource_by_plural("", "pods"), ns, NULL, &prefix);
	store_each(store, buf_str(&prefix), NULL, look_at_pod, &s);
	return s.found;
}

static struct object *stored(struct store *store, const char *group, const char *plural, const char *ns,
			     const char *name)
{
	_cleanup_buf_ struct buf key = BUF_INIT;

	resource_key(resource_by_plural(group, plural), ns, name, &key);
	return store_get(store, buf_str(&key));
}

static bool volume_referred(struct store *store, const char *node, const struct json *volume)
{
	return referred(store, node, "persistentvolumeclaims", json_path_str(volume, "spec.claimRef.namespace"),
			json_path_str(volume, "spec.claimRef.name"));
}

/* Secrets that volumes name reach further than the namespace of the pod that claims the volume. */
struct volume_search {
	struct store *store;
	const char *node, *ns, *name;
	bool found;
};

static bool look_at_volume(void *arg, struct object *volume)
{
	static const char *const refs[] = {"spec.csi.controllerExpandSecretRef", "spec.csi.controllerPublishSecretRef",
					   "spec.csi.nodeExpandSecretRef",	 "spec.csi.nodePublishSecretRef",
					   "spec.csi.nodeStageSecretRef",	 "spec.iscsi.secretRef",
					   "spec.flexVolume.secretRef"};
	struct volume_search *s = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *tree = object_tree(volume, &a);

	for (size_t i = 0; i < ARRAY_SIZE(refs) && !s->found; i++) {
		const struct json *ref = json_path(tree, refs[i]);
		const char *ns =
		    str_or(json_path_str(ref, "namespace"), json_path_str(tree, "spec.claimRef.namespace"));
		s->found = str_eq(json_path_str(ref, "name"), s->name) && str_eq(ns, s->ns) &&
			   volume_referred(s->store, s->node, tree);
	}
	return !s->found;
}

static bool secret_of_volume(struct store *store, const char *node, const struct authz_attributes *at)
{
	struct volume_search s = {.store = store, .node = node, .ns = at->ns, .name = at->name};
	_cleanup_buf_ struct buf prefix = BUF_INIT;

	resource_key(resource_by_plural("", "persistentvolumes"), NULL, NULL, &prefix);
	store_each(store, buf_str(&prefix), NULL, look_at_volume, &s);
	return s.found;
}

/* The field of an existing object that says whose it is, is this node. */
static bool is_of_node(struct store *store, const char *group, const char *plural, const char *field, const char *ns,
		       const char *name, const char *node)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object *o = stored(store, group, plural, ns, name);

	return o && str_eq(json_path_str(object_tree(o, &a), field), node);
}

static bool volume_of_node(struct store *store, const char *node, const char *name)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object *o = stored(store, "", "persistentvolumes", NULL, name);

	return o && volume_referred(store, node, object_tree(o, &a));
}

/* Lists and watches reach exactly what the selector pins to the node. */
static bool selects_node(const struct authz_attributes *at, const char *path, const char *node)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct field_selector *s = NULL;

	return !str_empty(at->field_selector) && field_selector_parse(&a, at->field_selector, &s, &err) == 0 &&
	       str_eq(field_selector_required(s, path), node);
}

/* ---- the kinds whose answer depends on the object; each sets reason when it refuses ---- */

struct question {
	struct store *store;
	const char *node;
	const struct authz_attributes *at;
	char *reason;
};

static bool refuse(const struct question *q, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool refuse(const struct question *q, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(q->reason, AUTHZ_REASON_MAX, fmt, ap);
	va_end(ap);
	return false;
}

static bool related(const struct question *q, bool found)
{
	if (!*q->at->name)
		return refuse(q, "No Object name found");
	return found || refuse(q, "no relationship found between node '%s' and this object", q->node);
}

static bool verb_in(const struct question *q, const char *verbs)
{
	return has_word(verbs, q->at->verb);
}

static bool decide_readable(const struct question *q)
{
	const struct authz_attributes *at = q->at;
	if (!verb_in(q, "get list watch"))
		return refuse(q, "can only read resources of this type");
	if (*at->subresource)
		return refuse(q, "cannot read subresource");
	if (!*at->ns)
		return refuse(q, "can only read namespaced object of this type");
	return related(q, referred(q->store, q->node, at->resource, at->ns, at->name) ||
			      (strcmp(at->resource, "secrets") == 0 && secret_of_volume(q->store, q->node, at)));
}

static bool only_get(const struct question *q)
{
	if (!verb_in(q, "get"))
		return refuse(q, "can only get individual resources of this type");
	return !*q->at->subresource || refuse(q, "cannot get subresource");
}

static bool decide_claim(const struct question *q)
{
	const struct authz_attributes *at = q->at;
	if (strcmp(at->subresource, "status") == 0) {
		if (!verb_in(q, "update patch"))
			return refuse(q, "can only get/update/patch this type");
	} else if (!only_get(q)) {
		return false;
	}
	return related(q, referred(q->store, q->node, at->resource, at->ns, at->name));
}

static bool decide_volume(const struct question *q)
{
	return only_get(q) && related(q, volume_of_node(q->store, q->node, q->at->name));
}

static bool decide_resource_claim(const struct question *q)
{
	return only_get(q) && related(q, referred(q->store, q->node, q->at->resource, q->at->ns, q->at->name));
}

static bool decide_attachment(const struct question *q)
{
	return only_get(q) && related(q, is_of_node(q->store, "storage.k8s.io", "volumeattachments", "spec.nodeName",
						    NULL, q->at->name, q->node));
}

static bool decide_account(const struct question *q)
{
	const struct authz_attributes *at = q->at;
	bool token = strcmp(at->subresource, "token") == 0;
	/* Reading one is for credential providers that ask on a pod's behalf. */
	if (!token && !*at->subresource && verb_in(q, "get"))
		return related(q, referred(q->store, q->node, at->resource, at->ns, at->name));
	if (!verb_in(q, "create") || !*at->name)
		return refuse(q, "can only create tokens for individual service accounts");
	if (!token)
		return refuse(q, "can only create token subresource of serviceaccount");
	return related(q, referred(q->store, q->node, at->resource, at->ns, at->name));
}

static bool decide_lease(const struct question *q)
{
	if (!verb_in(q, "get create update patch delete"))
		return refuse(q, "can only get, create, update, patch, or delete a node lease");
	if (strcmp(q->at->ns, "kube-node-lease") != 0)
		return refuse(q, "can only access leases in the \"kube-node-lease\" system namespace");
	/* The name of a create is the NodeRestriction plugin's to check. */
	if (strcmp(q->at->verb, "create") != 0 && strcmp(q->at->name, q->node) != 0)
		return refuse(q, "can only access node lease with the same name as the requesting node");
	return true;
}

static bool decide_csi_node(const struct question *q)
{
	if (!verb_in(q, "get create update patch delete"))
		return refuse(q, "can only get, create, update, patch, or delete a CSINode");
	if (*q->at->subresource)
		return refuse(q, "cannot authorize CSINode subresources");
	if (strcmp(q->at->verb, "create") != 0 && strcmp(q->at->name, q->node) != 0)
		return refuse(q, "can only access CSINode with the same name as the requesting node");
	return true;
}

static bool decide_slice(const struct question *q)
{
	if (*q->at->subresource)
		return refuse(q, "cannot authorize ResourceSlice subresources");
	if (verb_in(q, "create"))
		return true; /* NodeRestriction looks at what is created */
	if (verb_in(q, "get update patch delete"))
		return related(q, is_of_node(q->store, "resource.k8s.io", "resourceslices", "spec.nodeName", NULL,
					     q->at->name, q->node));
	if (verb_in(q, "list watch deletecollection"))
		return selects_node(q->at, "spec.nodeName", q->node) ||
		       refuse(q, "can only list/watch/deletecollection resourceslices with nodeName field selector");
	return refuse(q, "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, "
			 "patch, delete, deletecollection");
}

/* Reads only of itself; by name, so that a node can look before it exists. Writes are NodeRestriction's to narrow. */
static bool decide_node(const struct question *q)
{
	const struct authz_attributes *at = q->at;
	if (*at->subresource || !verb_in(q, "get list watch"))
		return granted(at);
	if (!*at->name)
		return refuse(q, "node '%s' cannot read all nodes, only its own Node object", q->node);
	return strcmp(at->name, q->node) == 0 ||
	       refuse(q, "node '%s' cannot read '%s', only its own Node object", q->node, at->name);
}

static bool decide_pod(const struct question *q)
{
	const struct authz_attributes *at = q->at;
	if (*at->subresource || !verb_in(q, "get list watch"))
		return granted(at);
	if (verb_in(q, "list watch") && selects_node(at, "spec.nodeName", q->node))
		return true;
	if (verb_in(q, "list watch") && !*at->name)
		return refuse(q, "can only list/watch pods with spec.nodeName field selector");
	return related(q, *at->ns && is_of_node(q->store, "", "pods", "spec.nodeName", at->ns, at->name, q->node));
}

static const struct {
	const char *group, *resource;
	bool (*decide)(const struct question *q);
} decisions[] = {
    {"", "secrets", decide_readable},
    {"", "configmaps", decide_readable},
    {"", "persistentvolumeclaims", decide_claim},
    {"", "persistentvolumes", decide_volume},
    {"resource.k8s.io", "resourceclaims", decide_resource_claim},
    {"storage.k8s.io", "volumeattachments", decide_attachment},
    {"", "serviceaccounts", decide_account},
    {"coordination.k8s.io", "leases", decide_lease},
    {"storage.k8s.io", "csinodes", decide_csi_node},
    {"resource.k8s.io", "resourceslices", decide_slice},
    {"", "nodes", decide_node},
    {"", "pods", decide_pod},
};

bool authz_node_allows(struct store *s, const char *node, const struct authz_attributes *at, char *reason)
{
	struct question q = {.store = s, .node = node, .at = at, .reason = reason};

	if (!at->resource_request)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(decisions); i++)
		if (strcmp(decisions[i].resource, at->resource) == 0 && strcmp(decisions[i].group, at->group) == 0)
			return decisions[i].decide(&q);
	return granted(at);
}
