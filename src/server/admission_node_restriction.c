/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NodeRestriction: what a node agent writes must be its own: its Node without foreign labels and taints, the status of
 * its pods, mirror pods on itself, tokens for its pods, its lease and its CSINode. The authorizer (authz_node.h) sees
 * names only; this plugin sees the objects. Kubernetes documentation, "Admission Control in Kubernetes".
 */
#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"
#include "server/auth.h"
#include "server/authz_node.h"
#include "server/registry.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"
#define LEASE_NAMESPACE "kube-node-lease"

struct view {
	const struct admission *a;
	const char *node;
	const struct json *old; /* NULL on create */
	struct status *err;
};

static bool same(const struct json *a, const struct json *b)
{
	if (!json_len(a) && !json_len(b))
		return true;
	return a && b && json_equal(a, b);
}

/* ---- labels ---- */

static bool in_domain(const char *key, const char *domain)
{
	const char *slash = strchr(key, '/');
	size_t len = slash ? (size_t)(slash - key) : 0, n = strlen(domain);

	return len >= n && memcmp(key + len - n, domain, n) == 0 && (len == n || key[len - n - 1] == '.');
}

/* The labels below kubernetes.io that a kubelet is known to set (KEP-279). */
static bool kubelet_label(const char *key)
{
	static const char *const known[] = {"kubernetes.io/hostname",
					    "kubernetes.io/arch",
					    "kubernetes.io/os",
					    "beta.kubernetes.io/instance-type",
					    "node.kubernetes.io/instance-type",
					    "beta.kubernetes.io/os",
					    "beta.kubernetes.io/arch",
					    "failure-domain.beta.kubernetes.io/zone",
					    "failure-domain.beta.kubernetes.io/region",
					    "failure-domain.kubernetes.io/zone",
					    "failure-domain.kubernetes.io/region",
					    "topology.kubernetes.io/zone",
					    "topology.kubernetes.io/region",
					    NULL};

	return str_in(key, known) || in_domain(key, "kubelet.kubernetes.io") || in_domain(key, "node.kubernetes.io");
}

static bool forbidden_label(const char *key)
{
	if (in_domain(key, "node-restriction.kubernetes.io"))
		return true;
	return (in_domain(key, "kubernetes.io") || in_domain(key, "k8s.io")) && !kubelet_label(key);
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The labels that differ and that a node may not touch, sorted and joined; "" for none. */
static const char *forbidden_changes(struct arena *a, const struct json *old, const struct json *new)
{
	const struct json *sides[] = {old, new};
	const char **found = arena_alloc(a, (json_len(old) + json_len(new) + 1) * sizeof(*found));
	_cleanup_buf_ struct buf text = BUF_INIT;
	size_t n = 0;

	for (size_t i = 0; i < 2; i++)
		JSON_EACH(label, sides[i]) {
			const struct json *other = json_get(sides[1 - i], label->key);
			if ((other && (i == 1 || json_equal(label, other))) || !forbidden_label(label->key))
				continue;
			found[n++] = label->key;
		}
	qsort(found, n, sizeof(*found), compare_text);
	for (size_t i = 0; i < n; i++)
		buf_addf(&text, "%s%s", i ? ", " : "", found[i]);
	return arena_strdup(a, buf_str(&text));
}

/* ---- nodes ---- */

static int check_node(const struct view *v)
{
	const struct admission *a = v->a;
	const char *name = *a->name ? a->name : meta_name(a->object);
	const struct json *spec = json_get(a->object, "spec");

	if (!str_eq(name, v->node))
		return admission_forbid(a, v->err, "node \"%s\" is not allowed to modify node \"%s\"", v->node, name);
	if (a->operation == ADMIT_DELETE)
		return 0;
	if (json_get(spec, "configSource") &&
	    !same(json_path(v->old, "spec.configSource"), json_get(spec, "configSource")))
		return admission_forbid(a, v->err, "node \"%s\" is not allowed to set a configSource", v->node);
	if (v->old && !same(json_path(v->old, "spec.taints"), json_get(spec, "taints")))
		return admission_forbid(a, v->err, "node \"%s\" is not allowed to modify taints", v->node);
	/* An owner that isn't there would have the node deleted, and made anew by itself without its taints and labels.
	 */
	if (v->old &&
	    !same(json_path(v->old, "metadata.ownerReferences"), json_path(a->object, "metadata.ownerReferences")))
		return admission_forbid(a, v->err, "node \"%s\" is not allowed to modify ownerReferences", v->node);
	const char *labels =
	    forbidden_changes(a->arena, json_path(v->old, "metadata.labels"), json_path(a->object, "metadata.labels"));
	if (!*labels)
		return 0;
	if (v->old)
		return admission_forbid(a, v->err, "is not allowed to modify labels: %s", labels);
	return admission_forbid(a, v->err, "node \"%s\" is not allowed to set the following labels: %s", v->node,
				labels);
}

/* ---- pods ---- */

static int check_owner(const struct view *v)
{
	const struct admission *a = v->a;
	const struct json *owners = json_path(a->object, "metadata.ownerReferences"), *o = json_first(owners);

	if (json_len(owners) > 1)
		return admission_forbid(
		    a, v->err, "node \"%s\" can only create pods with a single owner reference set to itself", v->node);
	if (!o || !str_eq(json_path_str(o, "apiVersion"), "v1") || !str_eq(json_path_str(o, "kind"), "Node") ||
	    !str_eq(json_path_str(o, "name"), v->node))
		return admission_forbid(
		    a, v->err, "node \"%s\" can only create pods with an owner reference set to itself", v->node);
	if (!json_path_bool(o, "controller", false))
		return admission_forbid(
		    a, v->err, "node \"%s\" can only create pods with a controller owner reference set to itself",
		    v->node);
	if (json_path_bool(o, "blockOwnerDeletion", false))
		return admission_forbid(a, v->err, "node \"%s\" must not set blockOwnerDeletion on an owner reference",
					v->node);
	struct json *node = admission_lookup(a, "", "nodes", "", v->node);
	if (!node)
		return status_not_found(v->err, "", "nodes", v->node);
	const char *uid = str_or(json_path_str(o, "uid"), "");
	if (!str_eq(uid, meta_uid(node)))
		return admission_forbid(a, v->err, "node %s UID mismatch: expected %s got %s", v->node, uid,
					meta_uid(node));
	return 0;
}

static bool any_source(const struct json *pod, bool (*is)(const struct json *source))
{
	JSON_EACH(volume, json_path(pod, "spec.volumes")) {
		if (is(volume))
			return true;
		JSON_EACH(source, json_path(volume, "projected.sources"))
			if (is(source))
				return true;
	}
	return false;
}

static bool any_env(const struct json *pod, const char *from, const char *one)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(container, json_get(json_get(pod, "spec"), lists[i])) {
			JSON_EACH(e, json_get(container, "envFrom"))
				if (json_get(e, from))
					return true;
			JSON_EACH(e, json_get(container, "env"))
				if (json_get(json_get(e, "valueFrom"), one))
					return true;
		}
	return false;
}

static bool source_secret(const struct json *source)
{
	static const char *const kinds[] = {"azureFile", "cephfs",  "cinder",	 "flexVolume", "iscsi",
					    "rbd",	 "scaleIO", "storageos", "csi"};

	if (json_get(source, "secret"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *k = json_get(source, kinds[i]);
		if (json_get(k, "secretRef") || json_get(k, "secretName") || json_get(k, "nodePublishSecretRef"))
			return true;
	}
	return false;
}

static bool source_config(const struct json *source)
{
	return json_get(source, "configMap") != NULL;
}

static bool source_bundle(const struct json *source)
{
	return json_get(source, "clusterTrustBundle") != NULL;
}

static bool source_claim(const struct json *source)
{
	return json_get(source, "persistentVolumeClaim") != NULL;
}

/* A mirror pod may not be a way to objects that no real pod on this node refers to. */
static int check_references(const struct view *v)
{
	const struct json *pod = v->a->object, *spec = json_get(pod, "spec");
	struct {
		const char *what;
		bool has;
	} refs[] = {
	    {"a service account", !str_empty(json_path_str(spec, "serviceAccountName"))},
	    {"secrets", json_len(json_get(spec, "imagePullSecrets")) || any_source(pod, source_secret) ||
			    any_env(pod, "secretRef", "secretKeyRef")},
	    {"configmaps", any_source(pod, source_config) || any_env(pod, "configMapRef", "configMapKeyRef")},
	    {"clustertrustbundles", any_source(pod, source_bundle)},
	    {"persistentvolumeclaims", any_source(pod, source_claim)},
	    {"resourceclaims", json_len(json_get(spec, "resourceClaims")) > 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		if (refs[i].has)
			return admission_forbid(v->a, v->err, "node \"%s\" can not create pods that reference %s",
						v->node, refs[i].what);
	return 0;
}

static int check_pod_create(const struct view *v)
{
	const struct admission *a = v->a;

	if (!meta_annotation(a->object, MIRROR_ANNOTATION))
		return admission_forbid(a, v->err,
					"pod does not have \"%s\" annotation, node \"%s\" can only create mirror pods",
					MIRROR_ANNOTATION, v->node);
	if (!str_eq(json_path_str(a->object, "spec.nodeName"), v->node))
		return admission_forbid(a, v->err, "node \"%s\" can only create pods with spec.nodeName set to itself",
					v->node);
	return check_owner(v) < 0 ? -1 : check_references(v);
}

static bool on_node(const struct view *v, const struct json *pod)
{
	return str_eq(json_path_str(pod, "spec.nodeName"), v->node);
}

static int check_pod_status(const struct view *v)
{
	const struct admission *a = v->a;

	if (!on_node(v, v->old))
		return admission_forbid(
		    a, v->err, "node \"%s\" can only update pod status for pods with spec.nodeName set to itself",
		    v->node);
	if (!same(json_path(v->old, "metadata.labels"), json_path(a->object, "metadata.labels")))
		return admission_forbid(a, v->err, "node \"%s\" cannot update labels through pod status", v->node);
	if (!same(json_path(v->old, "status.resourceClaimStatuses"),
		  json_path(a->object, "status.resourceClaimStatuses")) ||
	    !same(json_path(v->old, "status.extendedResourceClaimStatus"),
		  json_path(a->object, "status.extendedResourceClaimStatus")))
		return admission_forbid(a, v->err, "node \"%s\" cannot update resource claim statues", v->node);
	return 0;
}

static int check_pod(const struct view *v)
{
	const struct admission *a = v->a;

	if (str_eq(a->subresource, "status"))
		return check_pod_status(v);
	if (str_eq(a->subresource, "eviction")) {
		struct json *pod = admission_lookup(a, "", "pods", a->ns, a->name);
		if (!pod)
			return status_not_found(v->err, "", "pods", a->name);
		return on_node(v, pod)
			   ? 0
			   : admission_forbid(a, v->err, "node %s can only evict pods with spec.nodeName set to itself",
					      v->node);
	}
	if (*a->subresource)
		return admission_forbid(a, v->err,
					"unexpected pod subresource \"%s\", only 'status' and 'eviction' are allowed",
					a->subresource);
	if (a->operation == ADMIT_CREATE)
		return check_pod_create(v);
	if (a->operation == ADMIT_DELETE)
		return on_node(v, v->old)
			   ? 0
			   : admission_forbid(a, v->err,
					      "node \"%s\" can only delete pods with spec.nodeName set to itself",
					      v->node);
	return admission_forbid(
	    a, v->err, "unexpected operation \"UPDATE\", node \"%s\" can only create and delete mirror pods", v->node);
}

/* ---- the rest ---- */

/* The claim as a node may not change it: without what its status says of size and progress. */
static struct json *fixed_claim(const struct admission *a, const struct json *claim)
{
	static const char *const free_fields[] = {"capacity", "conditions", "allocatedResources",
						  "allocatedResourceStatuses"};
	struct json *copy = json_clone(a->arena, claim), *meta = json_get(copy, "metadata"),
		    *status = json_get(copy, "status");

	json_remove(meta, "resourceVersion");
	json_remove(meta, "managedFields");
	for (size_t i = 0; status && i < ARRAY_SIZE(free_fields); i++)
		json_remove(status, free_fields[i]);
	if (status && !json_len(status))
		json_remove(copy, "status");
	return copy;
}

static int check_claim(const struct view *v)
{
	const struct admission *a = v->a;

	if (!str_eq(a->subresource, "status") || !v->old || !a->object)
		return admission_forbid(a, v->err, "may only update PVC status");
	if (!json_equal(fixed_claim(a, v->old), fixed_claim(a, a->object)))
		return admission_forbid(
		    a, v->err,
		    "node \"%s\" is not allowed to update fields other than status.capacity and status.conditions",
		    v->node);
	return 0;
}

/* ---- tokens: for audiences that the pod's volumes ask for ---- */

static bool driver_wants(const struct admission *a, const char *driver, const char *audience)
{
	const struct json *d =
	    str_empty(driver) ? NULL : admission_lookup(a, "storage.k8s.io", "csidrivers", "", driver);
	JSON_EACH(t, json_path(d, "spec.tokenRequests"))
		if (str_eq(str_or(json_path_str(t, "audience"), ""), audience))
			return true;
	return false;
}

static bool claim_wants(const struct admission *a, const char *claim, const char *audience)
{
	const struct json *c =
	    str_empty(claim) ? NULL : admission_lookup(a, "", "persistentvolumeclaims", a->ns, claim);
	const char *volume = json_path_str(c, "spec.volumeName");
	if (str_empty(volume))
		return false;
	return driver_wants(
	    a, json_path_str(admission_lookup(a, "", "persistentvolumes", "", volume), "spec.csi.driver"), audience);
}

static bool volume_wants(const struct admission *a, const struct json *pod, const struct json *volume,
			 const char *audience)
{
	JSON_EACH(source, json_path(volume, "projected.sources")) {
		const struct json *token = json_get(source, "serviceAccountToken");
		if (token && str_eq(str_or(json_path_str(token, "audience"), ""), audience))
			return true;
	}
	if (driver_wants(a, json_path_str(volume, "csi.driver"), audience) ||
	    claim_wants(a, json_path_str(volume, "persistentVolumeClaim.claimName"), audience))
		return true;
	return json_get(volume, "ephemeral") && claim_wants(a,
							    arena_printf(a->arena, "%s-%s", str_or(meta_name(pod), ""),
									 str_or(json_path_str(volume, "name"), "")),
							    audience);
}

static int check_audience(const struct view *v, const struct json *pod)
{
	const struct admission *a = v->a;
	const struct json *audiences = json_path(a->object, "spec.audiences");
	const char *audience = json_len(audiences) ? str_or(json_str(json_first(audiences)), "") : "";
	char reason[AUTHZ_REASON_MAX];

	if (json_len(audiences) > 1)
		return admission_forbid(a, v->err, "node may only request 0 or 1 audiences");
	JSON_EACH(volume, json_path(pod, "spec.volumes"))
		if (volume_wants(a, pod, volume, audience))
			return 0;
	struct authz_attributes at = {.user = a->user,
				      .verb = "request-serviceaccounts-token-audience",
				      .group = "",
				      .version = "v1",
				      .resource = audience,
				      .subresource = "",
				      .ns = a->ns,
				      .name = a->name,
				      .path = "",
				      .resource_request = true};
	if (auth_allowed(registry_auth(a->registry), &at, reason))
		return 0;
	return admission_forbid(
	    a, v->err,
	    "audience \"%s\" not found in pod spec volume, %s is not authorized to request tokens for this audience",
	    audience, a->user->name);
}

static int check_token(const struct view *v)
{
	const struct admission *a = v->a;
	const struct json *ref = json_path(a->object, "spec.boundObjectRef");
	const char *name = str_or(json_path_str(ref, "name"), ""), *uid = str_or(json_path_str(ref, "uid"), "");

	if (a->operation != ADMIT_CREATE || !str_eq(a->subresource, "token"))
		return 0;
	if (!str_eq(json_path_str(ref, "apiVersion"), "v1") || !str_eq(json_path_str(ref, "kind"), "Pod") || !*name)
		return admission_forbid(a, v->err, "node requested token not bound to a pod");
	if (!*uid)
		return admission_forbid(a, v->err, "node requested token with a pod binding without a uid");
	struct json *pod = admission_lookup(a, "", "pods", a->ns, name);
	if (!pod)
		return status_not_found(v->err, "", "pods", name);
	if (!str_eq(uid, meta_uid(pod)))
		return admission_forbid(a, v->err,
					"the UID in the bound object reference (%s) does not match the UID in record. "
					"The object might have been deleted and then recreated",
					uid);
	if (!on_node(v, pod))
		return admission_forbid(a, v->err, "node requested token bound to a pod scheduled on a different node");
	return check_audience(v, pod);
}

static int check_lease(const struct view *v)
{
	const struct admission *a = v->a;

	if (!str_eq(a->ns, LEASE_NAMESPACE))
		return admission_forbid(a, v->err, "can only access leases in the \"%s\" system namespace",
					LEASE_NAMESPACE);
	if (!str_eq(*a->name ? a->name : meta_name(a->object), v->node))
		return admission_forbid(a, v->err,
					"can only access node lease with the same name as the requesting node");
	return 0;
}

static int check_csi_node(const struct view *v)
{
	const struct admission *a = v->a;

	if (!str_eq(*a->name ? a->name : meta_name(a->object), v->node))
		return admission_forbid(a, v->err, "can only access CSINode with the same name as the requesting node");
	return 0;
}

static int check_slice(const struct view *v)
{
	const struct admission *a = v->a;

	if (a->operation == ADMIT_CREATE && !str_eq(json_path_str(a->object, "spec.nodeName"), v->node))
		return admission_forbid(a, v->err,
					"can only create ResourceSlice with the same NodeName as the requesting node");
	if (a->operation == ADMIT_DELETE && !str_eq(json_path_str(v->old, "spec.nodeName"), v->node))
		return admission_forbid(a, v->err,
					"can only delete ResourceSlice with the same NodeName as the requesting node");
	return 0;
}

/* A certificate for a pod is asked for by the node that runs it, and for what the pod really is. */
static int check_pod_certificate(const struct view *v)
{
	const struct admission *a = v->a;
	const struct json *spec = json_get(a->object, "spec");
	const char *pod_name = str_or(json_path_str(spec, "podName"), "");

	if (a->operation != ADMIT_CREATE || *a->subresource)
		return 0;
	struct json *pod = admission_lookup(a, "", "pods", a->ns, pod_name);
	struct json *node = admission_lookup(a, "", "nodes", "", v->node);
	const char *account = json_path_str(pod, "spec.serviceAccountName");
	struct json *sa = admission_lookup(a, "", "serviceaccounts", a->ns, account);
	if (!str_eq(json_path_str(spec, "nodeName"), v->node))
		return admission_forbid(
		    a, v->err, "PodCertificateRequest.Spec.NodeName=\"%s\", which is not the requesting node \"%s\"",
		    str_or(json_path_str(spec, "nodeName"), ""), v->node);
	if (!pod || !on_node(v, pod))
		return admission_forbid(a, v->err, "pod \"%s\" is not running on node \"%s\"", pod_name, v->node);
	if (meta_annotation(pod, MIRROR_ANNOTATION))
		return admission_forbid(a, v->err, "pod \"%s\" is a mirror pod", pod_name);
	const struct {
		const char *field, *want;
	} facts[] = {{"podUID", meta_uid(pod)},
		     {"serviceAccountName", account},
		     {"serviceAccountUID", sa ? meta_uid(sa) : NULL},
		     {"nodeUID", node ? meta_uid(node) : NULL}};
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		if (!str_eq(json_path_str(spec, facts[i].field), facts[i].want))
			return admission_forbid(a, v->err, "spec.%s=\"%s\" does not match the pod \"%s\"",
						facts[i].field, str_or(json_path_str(spec, facts[i].field), ""),
						pod_name);
	return 0;
}

static const struct {
	const char *group, *plural;
	int (*check)(const struct view *v);
} checks[] = {
    {"", "nodes", check_node},
    {"", "pods", check_pod},
    {"", "persistentvolumeclaims", check_claim},
    {"", "serviceaccounts", check_token},
    {"coordination.k8s.io", "leases", check_lease},
    {"storage.k8s.io", "csinodes", check_csi_node},
    {"resource.k8s.io", "resourceslices", check_slice},
    {"certificates.k8s.io", "podcertificaterequests", check_pod_certificate},
};

static int restrict_node(const struct admission *a, struct status *err)
{
	if (!a->user || !authz_is_node(a->user))
		return 0;
	struct view v = {
	    .a = a, .node = authz_node_of(a->user), .old = a->old ? object_tree(a->old, a->arena) : NULL, .err = err};
	if (!v.node)
		return admission_forbid(a, err, "could not determine node from user \"%s\"", a->user->name);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		if (str_eq(checks[i].plural, a->resource->plural) && str_eq(checks[i].group, a->resource->group))
			return checks[i].check(&v);
	return 0;
}

/*
 * Create and update are judged as sent, before other plugins add what a node may not (a service account to a mirror
 * pod, a taint to a new node); delete runs no mutating plugins.
 */
static int restrict_delete(const struct admission *a, struct status *err)
{
	return a->operation == ADMIT_DELETE ? restrict_node(a, err) : 0;
}

const struct admission_plugin admission_node_restriction = {
    .name = "NodeRestriction",
    .operations = ADMIT_CREATE | ADMIT_UPDATE | ADMIT_DELETE,
    .mutate = restrict_node,
    .validate = restrict_delete,
};
