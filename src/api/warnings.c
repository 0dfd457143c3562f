/* SPDX-License-Identifier: Apache-2.0 */
/* Which kinds are warned of what (warnings.h). */
#include "api/warnings.h"

#include <arpa/inet.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/resource.h"
#include "api/warnings_internal.h"
#include "base/str.h"

#define NANO 1000000000
#define CLASS_ANNOTATION "volume.beta.kubernetes.io/storage-class"

/* ---- pieces ---- */

void warn_of_fraction(struct warner *w, const char *path, const struct json *amounts, const char *name)
{
	const struct json *v = json_get(amounts, name);
	struct quantity q;

	if (v && quantity_from_json(v, &q) == 0 && q.nano % NANO)
		tell(w, AT(w, "%s[%s]: fractional byte value \"%s\" is invalid, must be an integer", path, name,
			   str_or(json_str(v), "")));
}

void warn_of_sources(struct warner *w, const char *path, const struct json *holder)
{
	static const struct {
		const char *name, *shown, *since;
	} gone[] = {
	    {"photonPersistentDisk", NULL, "deprecated in v1.11, non-functional in v1.16+"},
	    {"gitRepo", NULL, "deprecated in v1.11, and disabled by default in v1.33+"},
	    {"scaleIO", NULL, "deprecated in v1.16, non-functional in v1.22+"},
	    {"flocker", NULL, "deprecated in v1.22, non-functional in v1.25+"},
	    {"storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"},
	    {"quobyte", NULL, "deprecated in v1.22, non-functional in v1.25+"},
	    {"glusterfs", NULL, "deprecated in v1.25, non-functional in v1.26+"},
	    {"cephfs", NULL, "deprecated in v1.28, non-functional in v1.31+"},
	    {"rbd", NULL, "deprecated in v1.28, non-functional in v1.31+"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		if (json_get(holder, gone[i].name))
			tell(w, AT(w, "%s.%s: %s", path, gone[i].shown ? gone[i].shown : gone[i].name, gone[i].since));
}

static void warn_of_annotation(struct warner *w, const struct json *tree, const char *key, const char *text)
{
	if (meta_annotation(tree, key))
		tell(w, AT(w, "metadata.annotations[%s]: %s", key, text));
}

/* ---- kinds ---- */

/* An IPv6 address that isn't written as it is compared. */
static void warn_of_address(struct warner *w, const char *path, const char *ip)
{
	unsigned char bytes[16];
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET6, ip, bytes) == 1 && inet_ntop(AF_INET6, bytes, text, sizeof(text)) && !str_eq(text, ip))
		tell(w,
		     AT(w, "%s: IPv6 address \"%s\" should be in RFC 5952 canonical format (\"%s\")", path, ip, text));
}

static void warn_of_addresses(struct warner *w, const struct json *spec, const char *list)
{
	size_t i = 0;

	EACH_ITEM(ip, json_get(spec, list))
		warn_of_address(w, AT(w, "spec.%s[%zu]", list, i++), str_or(json_str(ip), ""));
}

static void service(struct warner *w, const struct json *tree)
{
	const struct json *spec = json_get(tree, "spec");
	bool external = str_eq(json_path_str(spec, "type"), "ExternalName");

	if (meta_annotation(tree, "service.kubernetes.io/topology-aware-hints"))
		tell(w, "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use "
			"service.kubernetes.io/topology-mode instead");
	warn_of_addresses(w, spec, "clusterIPs");
	if (str_eq(json_path_str(spec, "clusterIP"), "None")) {
		if (!str_empty(json_path_str(spec, "loadBalancerIP")))
			tell(w, "spec.loadBalancerIP is ignored for headless services");
		if (json_len(json_get(spec, "externalIPs")))
			tell(w, "spec.externalIPs is ignored for headless services");
		if (str_eq(json_path_str(spec, "sessionAffinity"), "ClientIP"))
			tell(w, "spec.SessionAffinity is ignored for headless services");
	}
	warn_of_addresses(w, spec, "externalIPs");
	if (json_len(json_get(spec, "externalIPs")) && !external && !str_eq(json_path_str(spec, "clusterIP"), "None"))
		tell(w, "spec.externalIPs is deprecated and may no longer be implemented in some clusters");
	warn_of_address(w, "spec.loadBalancerIP", str_or(json_path_str(spec, "loadBalancerIP"), ""));
	if (external && json_len(json_get(spec, "externalIPs")))
		tell(w, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
	if (!external && !str_empty(json_path_str(spec, "externalName")))
		tell(w, "spec.externalName is ignored when spec.type is not \"ExternalName\"");
	if (str_eq(json_path_str(spec, "trafficDistribution"), "PreferClose"))
		tell(w, "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
}

static void volume(struct warner *w, const struct json *tree)
{
	const struct json *spec = json_get(tree, "spec");

	warn_of_annotation(w, tree, CLASS_ANNOTATION,
			   "deprecated since v1.8; use \"storageClassName\" attribute instead");
	warn_of_annotation(w, tree, "volume.beta.kubernetes.io/mount-options",
			   "deprecated since v1.31; use \"mountOptions\" attribute instead");
	if (str_eq(json_path_str(spec, "persistentVolumeReclaimPolicy"), "Recycle"))
		tell(w, "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
			"recommended approach is to use dynamic provisioning.");
	warn_of_node_terms(w, "spec.nodeAffinity.required.nodeSelectorTerms",
			   json_path(spec, "nodeAffinity.required.nodeSelectorTerms"));
	warn_of_sources(w, "spec", spec);
	warn_of_fraction(w, "spec.capacity", json_get(spec, "capacity"), "storage");
}

static void claim(struct warner *w, const struct json *tree)
{
	static const char *const lists[] = {"requests", "limits"};

	warn_of_annotation(w, tree, CLASS_ANNOTATION,
			   "deprecated since v1.8; use \"storageClassName\" attribute instead");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		warn_of_fraction(w, AT(w, "spec.resources.%s", lists[i]),
				 json_get(json_path(tree, "spec.resources"), lists[i]), "storage");
}

static void service_account(struct warner *w, const struct json *tree)
{
	warn_of_annotation(w, tree, "kubernetes.io/enforce-mountable-secrets",
			   "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets");
}

static void ingress(struct warner *w, const struct json *tree)
{
	if (meta_annotation(tree, "kubernetes.io/ingress.class"))
		tell(w, "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' "
			"instead");
}

static void node(struct warner *w, const struct json *tree)
{
	if (!str_empty(json_path_str(tree, "spec.externalID")))
		tell(w, "spec.externalID: this field is deprecated, and is unused by Kubernetes");
}

static void stateful_set(struct warner *w, const struct json *tree)
{
	if (json_path_int(tree, "spec.revisionHistoryLimit", 0) < 0)
		tell(w, "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is "
			"recommended");
}

static void endpoint_slice(struct warner *w, const struct json *tree)
{
	if (str_eq(json_path_str(tree, "addressType"), "FQDN"))
		tell(w, "spec.addressType: FQDN endpoints are deprecated");
}

static void csi_driver(struct warner *w, const struct json *tree)
{
	if (json_len(json_path(tree, "spec.tokenRequests")) && !json_path(tree, "spec.serviceAccountTokenInSecrets"))
		tell(w, "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to "
			"prevent possible logging of tokens in volume attributes");
}

static void pod(struct warner *w, const struct json *tree)
{
	warn_of_pod(w, "", tree);
}

static const struct {
	const char *group, *kind;
	void (*fn)(struct warner *w, const struct json *tree);
	bool on_update;
} plain[] = {
    {"", "Pod", pod, false},
    {"", "Service", service, true},
    {"", "Node", node, true},
    {"apps", "StatefulSet", stateful_set, true},
    {"", "PersistentVolume", volume, true},
    {"", "PersistentVolumeClaim", claim, true},
    {"", "ServiceAccount", service_account, true},
    {"networking.k8s.io", "Ingress", ingress, false},
    {"discovery.k8s.io", "EndpointSlice", endpoint_slice, true},
    {"storage.k8s.io", "CSIDriver", csi_driver, true},
};

static const struct {
	const char *group, *kind, *path;
	bool names_pods; /* the object's name is the beginning of its pods' */
} templates[] = {
    {"", "PodTemplate", "template", false},	   {"", "ReplicationController", "spec.template", true},
    {"apps", "Deployment", "spec.template", true}, {"apps", "ReplicaSet", "spec.template", true},
    {"apps", "DaemonSet", "spec.template", false}, {"apps", "StatefulSet", "spec.template", false},
    {"batch", "Job", "spec.template", true},	   {"batch", "CronJob", "spec.jobTemplate.spec.template", true},
};

static void warn_of_name(struct warner *w, const struct json *tree, const char *used_in)
{
	const char *told = name_check_dns1123_label(meta_name(tree));

	if (!told)
		return;
	char *why = arena_strdup(w->a, told);
	for (char *s = why; *s; s++)
		*s = *s == '\n' ? ' ' : *s; /* one after the other */
	tell(w, AT(w,
		   "metadata.name: this is used in %s, which can result in surprising behavior; a DNS label is "
		   "recommended: [%s]",
		   used_in, why));
}

void object_warnings(struct arena *a, const struct resource *r, const struct json *tree, const struct json *old,
		     warning_fn *fn, void *arg)
{
	struct warner w = {.a = a, .fn = fn, .arg = arg};

	if (!old && str_eq(r->kind, "Pod") && !*r->group)
		warn_of_name(&w, tree, "the Pod's hostname");
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (str_eq(plain[i].kind, r->kind) && str_eq(plain[i].group, r->group) && (!old || plain[i].on_update))
			plain[i].fn(&w, tree);
	for (size_t i = 0; i < ARRAY_SIZE(templates); i++) {
		if (!str_eq(templates[i].kind, r->kind) || !str_eq(templates[i].group, r->group))
			continue;
		if (!old && templates[i].names_pods)
			warn_of_name(&w, tree, "Pod names and hostnames");
		const struct json *template = json_path(tree, templates[i].path);
		if (template && (!old || !json_equal(json_get(tree, "spec"), json_get(old, "spec"))))
			warn_of_pod(&w, AT(&w, "%s.", templates[i].path), template);
	}
}

const char *resource_warning(const struct resource *r)
{
	if (*r->group)
		return NULL;
	if (str_eq(r->kind, "Endpoints"))
		return "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
	if (str_eq(r->kind, "ComponentStatus"))
		return "v1 ComponentStatus is deprecated in v1.19+";
	return NULL;
}
