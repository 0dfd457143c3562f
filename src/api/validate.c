/* SPDX-License-Identifier: Apache-2.0 */
#include "api/validate.h"

#include <string.h>

#include "api/apply.h"
#include "api/meta.h"
#include "api/resource.h"
#include "api/type.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"
#include "base/status.h"

/* ---- names of objects ---- */

static const char *name_check_ip(const char *s)
{
	return rule_ip(s);
}

/* ClusterTrustBundle: "name", or with a signer "example.com:signer:name". */
static const char *name_check_trust_bundle(const char *s)
{
	const char *last = strrchr(s, ':');
	if (last && (last == s || strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.:") < (size_t)(last - s)))
		return "a bundle of a signer is named after it, with a colon for its slash, and a colon before the "
		       "rest";
	return name_check_dns1123_subdomain(last ? last + 1 : s);
}

typedef const char *name_fn(const char *);

static const struct name_rule {
	const char *group, *kind;
	name_fn *name, *prefix; /* of metadata.name and metadata.generateName */
} name_rules[] = {
    {"", "Namespace", name_check_dns1123_label, name_check_dns1123_label},
    {"", "Service", name_check_dns1123_label, name_check_dns1123_label}, /* once they had to begin with a letter */
    {"", "Event", name_check_path_segment, name_check_path_segment},	 /* made of the name of anything */
    {"", "ReplicationController", name_check_long_name, name_check_path_segment},
    {"rbac.authorization.k8s.io", "Role", name_check_path_segment, name_check_path_segment},
    {"rbac.authorization.k8s.io", "ClusterRole", name_check_path_segment, name_check_path_segment},
    {"rbac.authorization.k8s.io", "RoleBinding", name_check_path_segment, name_check_path_segment},
    {"rbac.authorization.k8s.io", "ClusterRoleBinding", name_check_path_segment, name_check_path_segment},
    {"apiregistration.k8s.io", "APIService", name_check_path_segment, name_check_path_segment},
    {"certificates.k8s.io", "ClusterTrustBundle", name_check_trust_bundle, name_check_trust_bundle},
    {"certificates.k8s.io", "CertificateSigningRequest", name_check_path_segment, name_check_path_segment},
    {"apps", "StatefulSet", name_check_dns1123_label, name_check_dns1123_label}, /* its pods' names are made of it */
    {"networking.k8s.io", "IPAddress", name_check_ip, name_check_ip},
    {"policy", "PodDisruptionBudget", name_check_path_segment, name_check_path_segment},
    {"resource.k8s.io", "DeviceClass", name_check_long_name, name_check_path_segment},
    {NULL, NULL, name_check_dns1123_subdomain, name_check_dns1123_subdomain},
};

static const struct name_rule *name_rule(const struct resource *r)
{
	const struct name_rule *rule = name_rules;

	while (rule->kind && !(str_eq(rule->kind, r->kind) && str_eq(rule->group, r->group)))
		rule++;
	return rule;
}

/* Kinds that are checked anew, names and all, when they are replaced. Of the others' names an update only says that
 * they may not change. */
static bool checked_anew(const struct resource *r)
{
	static const char *const kinds[] = {"ConfigMap",
					    "Endpoints",
					    "LimitRange",
					    "Namespace",
					    "Node",
					    "PersistentVolumeClaim",
					    "PersistentVolume",
					    "Pod",
					    "Secret",
					    "ServiceAccount",
					    "ControllerRevision",
					    "ClusterTrustBundle",
					    "Ingress",
					    "IngressClass",
					    "IPAddress",
					    "CSINode",
					    "CSIStorageCapacity",
					    "StorageClass",
					    "VolumeAttachment",
					    "VolumeAttributesClass",
					    "EndpointSlice",
					    "FlowSchema",
					    "PriorityLevelConfiguration",
					    "MutatingAdmissionPolicy",
					    "MutatingAdmissionPolicyBinding",
					    "MutatingWebhookConfiguration",
					    "ValidatingAdmissionPolicy",
					    "ValidatingAdmissionPolicyBinding",
					    "ValidatingWebhookConfiguration",
					    "ResourceClaim",
					    "ResourceClaimTemplate",
					    "RuntimeClass",
					    "StorageVersionMigration",
					    NULL};

	return !r->custom && str_in(r->kind, kinds);
}

/* ---- metadata ---- */

/* anew: with all that holds on create */
static void check_name_and_namespace(struct check *c, const struct json *meta, bool anew)
{
	const char *name = str_or(json_path_str(meta, "name"), ""), *ns = str_or(json_path_str(meta, "namespace"), "");
	const char *generate = str_or(json_path_str(meta, "generateName"), "");
	const struct name_rule *rule = name_rule(c->resource);
	const char *why;

	/* A name that is there is only not to lead elsewhere. */
	if (*generate && c->old && (why = name_check_path_segment(generate)))
		bad_invalid_str(c, "metadata.generateName", generate, why);
	if (*generate && (!c->old || anew) && (why = name_check_prefix(rule->prefix, generate)))
		bad_invalid_str(c, "metadata.generateName", generate, why);
	if (!*name)
		bad_required(c, "metadata.name", "name or generateName is required");
	else if ((why = c->old ? name_check_path_segment(name) : rule->name(name)))
		bad_invalid_str(c, "metadata.name", name, why);
	if (!c->resource->namespaced) {
		if (*ns)
			bad_forbidden(c, "metadata.namespace", "not allowed on this type");
	} else if (!*ns) {
		bad_required(c, "metadata.namespace", NULL);
	} else if ((why = name_check_dns1123_label(ns))) {
		bad_invalid_str(c, "metadata.namespace", ns, why);
	}
}

static void check_owners(struct check *c, const struct json *owners)
{
	static const char path[] = "metadata.ownerReferences";
	static const char *const needed[] = {"apiVersion", "kind", "name", "uid"};
	const struct json *controller = NULL;
	size_t i = 0;

	EACH_ITEM(o, owners) {
		const char *version = str_or(json_path_str(o, "apiVersion"), ""), *slash = strchr(version, '/');
		const char *at = PATH(c, "%s[%zu]", path, i++);
		for (size_t k = 0; k < ARRAY_SIZE(needed); k++)
			if (str_empty(json_path_str(o, needed[k])))
				bad_required(c, PATH(c, "%s.%s", at, needed[k]), "must not be empty");
		if (slash && !slash[1])
			bad_invalid_str(c, PATH(c, "%s.apiVersion", at), version, "version must not be empty");
		if (str_eq(version, "v1") && str_eq(json_path_str(o, "kind"), "Event"))
			bad_invalid(c, path, o, "/v1, Kind=Event is disallowed from being an owner");
		if (!json_path_bool(o, "controller", false))
			continue;
		if (controller)
			bad_invalid(c, path, owners,
				    PATH(c,
					 "Only one reference can have Controller set to true. Found \"true\" in "
					 "references for %s/%s and %s/%s",
					 str_or(json_path_str(controller, "kind"), ""),
					 str_or(json_path_str(controller, "name"), ""),
					 str_or(json_path_str(o, "kind"), ""), str_or(json_path_str(o, "name"), "")));
		else
			controller = o;
	}
}

static bool has_string(const struct json *list, const char *s)
{
	EACH_ITEM(v, list) {
		if (str_eq(json_str(v), s))
			return true;
	}
	return false;
}

/* Kinds whose finalizers may be any qualified name; the rest knows which short ones there are. */
static bool free_finalizers(const struct resource *r)
{
	static const char *const groups[] = {"admissionregistration.k8s.io", "apiextensions.k8s.io",
					     "apiregistration.k8s.io", "coordination.k8s.io", NULL};
	return r->custom || str_in(r->group, groups);
}

static void check_finalizers(struct check *c, const struct json *finalizers)
{
	static const char *const standard[] = {"kubernetes", "orphan", "foregroundDeletion", NULL};
	size_t i = 0;

	EACH_ITEM(f, finalizers)
		check_name(c, "metadata.finalizers", f, name_check_qualified);
	if (has_string(finalizers, "orphan") && has_string(finalizers, "foregroundDeletion"))
		bad_invalid(c, "metadata.finalizers", finalizers,
			    "finalizer orphan and foregroundDeletion cannot be both set");
	if (free_finalizers(c->resource))
		return;
	EACH_ITEM(f, finalizers) {
		const char *s = str_or(json_str(f), "");
		if (!strchr(s, '/') && !str_in(s, standard))
			bad_invalid(c, PATH(c, "metadata.finalizers[%zu]", i), f,
				    "name is neither a standard finalizer name nor is it fully qualified");
		i++;
	}
}

static void check_metadata(struct check *c, bool anew)
{
	const struct json *meta = json_get(c->tree, "metadata");

	check_name_and_namespace(c, meta, anew);
	min_in(c, "metadata", meta, "generation", 0);
	check_labels(c, "metadata.labels", json_get(meta, "labels"));
	check_annotations(c, "metadata.annotations", json_get(meta, "annotations"));
	check_owners(c, json_get(meta, "ownerReferences"));
	check_finalizers(c, json_get(meta, "finalizers"));
	apply_check_managed_fields(json_get(meta, "managedFields"), c->err);
}

static void check_metadata_update(struct check *c)
{
	static const char *const fixed[] = {"metadata.name",
					    "metadata.namespace",
					    "metadata.uid",
					    "metadata.creationTimestamp",
					    "metadata.deletionTimestamp",
					    "metadata.deletionGracePeriodSeconds"};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		check_immutable(c, fixed[i], fixed[i]);
	if (!meta_deleting(c->old))
		return;
	const struct json *before = json_path(c->old, "metadata.finalizers");
	const char *added = "";
	EACH_ITEM(f, json_path(c->tree, "metadata.finalizers")) {
		if (!has_string(before, json_str(f)))
			added = PATH(c, "%s%s\"%s\"", added, *added ? ", " : "", str_or(json_str(f), ""));
	}
	if (*added)
		bad_forbidden(c, "metadata.finalizers",
			      PATH(c,
				   "no new finalizers can be added if the object is being deleted, found new "
				   "finalizers []string{%s}",
				   added));
}

/* ---- by the table: values of enumerations, and structs that must be there ---- */

static void check_type(struct check *c, const struct type *t, const char *path, const struct json *v);

/* Where upstream names the values in another order than the alphabet's, or not all of them. */
static const char *const *named_values(const struct type *t, const struct field *f)
{
	static const struct {
		const char *type, *field, *values[4];
	} named[] = {
	    {"batch.v1.JobSpec", "completionMode", {"NonIndexed", "Indexed"}},
	    {"scheduling.v1.PriorityClass", "preemptionPolicy", {"PreemptLowerPriority", "Never"}},
	    {"admissionregistration.v1.MutatingWebhook", "sideEffects", {"None", "NoneOnDryRun"}},
	    {"admissionregistration.v1.ValidatingWebhook", "sideEffects", {"None", "NoneOnDryRun"}},
	};
	const char *name = str_after(t->name, "io.k8s.api.");

	for (size_t i = 0; name && i < ARRAY_SIZE(named); i++)
		if (str_eq(named[i].type, name) && str_eq(named[i].field, f->name))
			return named[i].values;
	return f->enum_values;
}

static void check_enum(struct check *c, const struct type *t, const struct field *f, const char *path,
		       const struct json *v)
{
	bool meant = v->len || f->pointer || f->shape != SHAPE_SINGLE; /* otherwise empty is absent */

	if (v->type == JSON_STRING && meant && !str_in(v->str, f->enum_values))
		bad_unsupported(c, path, v->str, named_values(t, f));
}

static void check_value(struct check *c, const struct type *t, const struct field *f, const char *path,
			const struct json *v)
{
	if (f->kind == FIELD_STRUCT && f->type)
		check_type(c, f->type, path, v);
	else if (f->kind == FIELD_STRING && f->enum_values)
		check_enum(c, t, f, path, v);
}

static void check_field(struct check *c, const struct type *t, const struct field *f, const char *path,
			const struct json *o)
{
	const struct json *v = json_get(o, f->name);
	size_t i = 0;

	if (!v || (f->kind != FIELD_STRUCT && !f->enum_values))
		return;
	const char *at = *path ? PATH(c, "%s.%s", path, f->name) : f->name;
	if (f->shape == SHAPE_SINGLE) {
		check_value(c, t, f, at, v);
	} else if (f->shape == SHAPE_LIST && v->type == JSON_ARRAY) {
		JSON_EACH(e, v)
			check_value(c, t, f, PATH(c, "%s[%zu]", at, i++), e);
	} else if (f->shape == SHAPE_MAP && v->type == JSON_OBJECT) {
		JSON_EACH(e, v)
			check_value(c, t, f, PATH(c, "%s[%s]", at, e->key), e);
	}
}

/* Types whose own functions say everything, in upstream's order and words. */
static bool has_own_rules(const struct type *t)
{
	static const char *const names[] = {"core.v1.PodSpec",
					    "core.v1.ServiceSpec",
					    "core.v1.PersistentVolumeSpec",
					    "core.v1.PersistentVolumeClaimSpec",
					    "core.v1.EndpointSubset",
					    "core.v1.NodeSpec",
					    "core.v1.ResourceQuotaSpec",
					    "core.v1.Toleration",
					    "core.v1.NodeSelectorTerm",
					    "apps.v1.DeploymentStrategy",
					    "apps.v1.DaemonSetUpdateStrategy",
					    "apps.v1.StatefulSetSpec",
					    "networking.v1.NetworkPolicySpec",
					    "storage.v1.CSIDriverSpec",
					    "storage.v1.StorageClass",
					    NULL};
	const char *name = str_after(t->name, "io.k8s.api.");

	return name && str_in(name, names);
}

static void check_type(struct check *c, const struct type *t, const char *path, const struct json *v)
{
	if (!json_is(v, JSON_OBJECT) || has_own_rules(t))
		return;
	for (uint32_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];
		if (f->embedded)
			check_type(c, f->type, path, v);
		else if (*path || (!str_eq(f->name, "status") && !str_eq(f->name, "metadata")))
			check_field(c, t, f, path, v);
	}
}

/* ---- entry points ---- */

static int finish(struct check *c)
{
	arena_release(&c->arena);
	return status_invalid(c->err, c->resource->group, c->resource->kind, meta_name(c->tree));
}

static void check_rules(struct check *c, const char *subresource)
{
	if (*c->resource->group)
		check_group(c, subresource);
	else
		check_core(c, subresource);
}

int validate_create(const struct resource *r, const struct json *tree, struct status *err)
{
	struct check c = {.err = err, .resource = r, .tree = tree};

	check_metadata(&c, true);
	if (r->type)
		check_type(&c, r->type, "", tree);
	check_rules(&c, NULL);
	return finish(&c);
}

/* Does it differ in anything but metadata and status? What was stored may stay as it is. */
static bool content_differs(const struct json *tree, const struct json *old)
{
	static const char *const aside[] = {"apiVersion", "kind", "metadata", "status", NULL};

	JSON_EACH(v, tree) {
		if (!str_in(v->key, aside) && !json_equal(v, json_get(old, v->key)))
			return true;
	}
	return false;
}

int validate_update(const struct resource *r, const struct json *tree, const struct json *old, const char *subresource,
		    struct status *err)
{
	struct check c = {.err = err, .resource = r, .tree = tree, .old = old};

	check_metadata(&c, !subresource && checked_anew(r));
	check_metadata_update(&c);
	if (str_eq(subresource, "status")) {
		if (*r->group)
			check_group(&c, subresource);
		else
			check_core_status(&c);
	} else if (!str_eq(subresource, "binding")) {
		if (r->type && content_differs(tree, old))
			check_type(&c, r->type, "", tree);
		check_rules(&c, subresource);
	}
	return finish(&c);
}

void validate_inherit_metadata(struct arena *a, struct json *tree, const struct json *old)
{
	static const char *const kept[] = {"uid", "creationTimestamp", "deletionTimestamp",
					   "deletionGracePeriodSeconds"};
	struct json *meta = json_object_in(a, tree, "metadata"), *before = json_get(old, "metadata");

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		struct json *was = json_get(before, kept[i]), *is = json_get(meta, kept[i]);
		bool absent = !is || is->type == JSON_NULL || (is->type == JSON_STRING && !is->len);
		if (was && (absent || str_eq(kept[i], "deletionTimestamp")))
			json_set(a, meta, kept[i], json_clone(a, was));
	}
	struct json *generation = json_get(before, "generation");
	if (generation)
		json_set(a, meta, "generation", json_clone(a, generation));
	else
		json_remove(meta, "generation");
}
