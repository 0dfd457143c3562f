/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PodSecurity: a namespace's labels pod-security.kubernetes.io/{enforce,warn,audit}[-version] say which Pod Security
 * Standard (api/pod_security.h) its pods must keep, and about which their authors are warned. Templates of controllers
 * are only warned about: what they make is judged when it is made.
 */
#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/pod_security.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "server/admission_plugins.h"
#include "server/registry.h"
#include "store/store.h"

#define PREFIX "pod-security.kubernetes.io/"
#define EXISTING_PODS_MAX 3000 /* that a new level is held against for warnings; upstream's number */

struct policy {
	struct pod_security_policy enforce, audit, warn;
};

/* ---- labels ---- */

/* Reads one mode's two labels; what is wrong with them becomes causes (err NULL: not told). */
static void read_mode(const struct json *labels, const char *mode, struct arena *a, struct pod_security_policy *p,
		      bool *ret_level, bool *ret_version, struct status *err)
{
	const char *key = arena_printf(a, PREFIX "%s", mode), *versioned = arena_printf(a, "%s-version", key);
	const char *level = json_str(json_get(labels, key)), *version = json_str(json_get(labels, versioned));
	*ret_level = level && pod_security_parse_level(level, &p->level);
	*ret_version = version != NULL;
	if (level && !*ret_level && err)
		status_cause(err, "FieldValueInvalid", arena_printf(a, "metadata.labels[%s]", key),
			     "Invalid value: \"%s\": must be one of privileged, baseline, restricted", level);
	/* Who may not be refused is not warned either when nobody knows of what. */
	if (level && !*ret_level && !str_eq(mode, "enforce"))
		p->level = POD_SECURITY_PRIVILEGED;
	if (version && !pod_security_parse_version(version, &p->minor) && err)
		status_cause(err, "FieldValueInvalid", arena_printf(a, "metadata.labels[%s]", versioned),
			     "Invalid value: \"%s\": must be \"latest\" or \"v1.x\"", version);
}

static struct policy policy_of(struct arena *a, const struct json *ns, struct status *err)
{
	const struct pod_security_policy none = {POD_SECURITY_PRIVILEGED, POD_SECURITY_LATEST};
	struct policy p = {none, none, none};
	const struct json *labels = json_path(ns, "metadata.labels");
	bool enforced, versioned, warn_version;
	read_mode(labels, "enforce", a, &p.enforce, &enforced, &versioned, err);
	bool ignored, ignored_version;
	read_mode(labels, "audit", a, &p.audit, &ignored, &ignored_version, err);
	read_mode(labels, "warn", a, &p.warn, &ignored, &warn_version, err);
	/* Whoever is refused pods wants to hear of it where the template is written. */
	if (!json_get(labels, PREFIX "warn") && enforced && p.enforce.level > p.warn.level) {
		p.warn.level = p.enforce.level;
		if (!warn_version)
			p.warn.minor = p.enforce.minor;
	}
	return p;
}

/* ---- pods and templates ---- */

static bool image_differs(const struct json *a, const struct json *b)
{
	return !str_eq(str_or(json_path_str(a, "image"), ""), str_or(json_path_str(b, "image"), ""));
}

/* An update that changes nothing but labels, tolerations and the like is not judged again. */
static bool significant(const struct json *old, const struct json *new)
{
	static const char *const lists[] = {"containers", "initContainers"};
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const struct json *was = json_get(json_get(old, "spec"), lists[i]);
		const struct json *is = json_get(json_get(new, "spec"), lists[i]);
		if (json_len(was) != json_len(is))
			return true;
		for (size_t k = 0; k < json_len(is); k++)
			if (image_differs(json_at(was, k), json_at(is, k)))
				return true;
	}
	JSON_EACH(e, json_path(new, "spec.ephemeralContainers")) {
		const struct json *was = NULL;
		JSON_EACH(o, json_path(old, "spec.ephemeralContainers"))
			if (str_eq(json_path_str(o, "name"), json_path_str(e, "name")))
				was = o;
		if (!was || image_differs(was, e))
			return true;
	}
	return false;
}

static void warn_of(const struct admission *a, struct pod_security_policy p, const struct json *meta,
		    const struct json *spec)
{
	const char *details, *reasons;
	if (!pod_security_check(a->arena, p, meta, spec, &details, &reasons))
		admission_warn(a, arena_printf(a->arena, "would violate PodSecurity \"%s\": %s",
					       pod_security_text(a->arena, p), details));
}

/* What the audit mode says goes nowhere else. */
static void record(const struct admission *a, struct pod_security_policy p, const struct json *meta,
		   const struct json *spec)
{
	const char *details, *reasons;
	if (a->annotations && !pod_security_check(a->arena, p, meta, spec, &details, &reasons))
		admission_annotate(a, PREFIX "audit-violations",
				   arena_printf(a->arena, "would violate PodSecurity \"%s\": %s",
						pod_security_text(a->arena, p), details));
}

static int check_pod(const struct admission *a, struct status *err)
{
	static const char *const judged[] = {"", "ephemeralcontainers", "resize", NULL};
	const char *details, *reasons;
	if (!str_in(a->subresource, judged))
		return 0;
	if (a->operation == ADMIT_UPDATE && !significant(object_tree(a->old, a->arena), a->object))
		return 0;
	struct policy p = policy_of(a->arena, admission_lookup(a, "", "namespaces", "", a->ns), NULL);
	const struct json *meta = json_get(a->object, "metadata"), *spec = json_get(a->object, "spec");
	admission_annotate(a, PREFIX "enforce-policy", pod_security_text(a->arena, p.enforce));
	record(a, p.audit, meta, spec);
	if (!pod_security_check(a->arena, p.enforce, meta, spec, &details, &reasons))
		return admission_forbid(a, err, "violates PodSecurity \"%s\": %s",
					pod_security_text(a->arena, p.enforce), details);
	warn_of(a, p.warn, meta, spec);
	return 0;
}

static int check_template(const struct admission *a, const char *path)
{
	if (*a->subresource)
		return 0;
	struct policy p = policy_of(a->arena, admission_lookup(a, "", "namespaces", "", a->ns), NULL);
	const struct json *template = json_path(a->object, path);
	if (!template)
		return 0;
	record(a, p.audit, json_get(template, "metadata"), json_get(template, "spec"));
	warn_of(a, p.warn, json_get(template, "metadata"), json_get(template, "spec"));
	return 0;
}

/* ---- namespaces ---- */

struct violation {
	const char *reasons, *pod; /* the first pod by name */
	size_t n;
};

struct existing {
	const struct admission *a;
	struct pod_security_policy policy;
	size_t seen;
	bool more;
	VEC(struct violation) found;
};

static bool judge_existing(void *arg, struct object *o)
{
	struct existing *e = arg;
	_cleanup_arena_ struct arena own = ARENA_INIT;
	const char *details, *reasons;
	if (e->seen == EXISTING_PODS_MAX) {
		e->more = true;
		return false;
	}
	e->seen++;
	struct json *pod = object_tree(o, &own);
	if (pod_security_check(&own, e->policy, json_get(pod, "metadata"), json_get(pod, "spec"), &details, &reasons))
		return true;
	VEC_EACH(v, &e->found)
		if (str_eq(v->reasons, reasons)) {
			v->n++;
			return true;
		}
	struct violation v = {arena_strdup(e->a->arena, reasons), arena_strdup(e->a->arena, o->name), 1};
	VEC_PUSH(&e->found, v);
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void tell_violations(const struct existing *e)
{
	struct arena *mem = e->a->arena;
	const char **texts = arena_alloc(mem, (e->found.n + 1) * sizeof(*texts));
	for (size_t i = 0; i < e->found.n; i++) {
		const struct violation *v = &e->found.at[i];
		const char *others = v->n == 1	 ? ""
				     : v->n == 2 ? " (and 1 other pod)"
						 : arena_printf(mem, " (and %zu other pods)", v->n - 1);
		texts[i] = arena_printf(mem, "%s%s: %s", v->pod, others, v->reasons);
	}
	qsort(texts, e->found.n, sizeof(*texts), by_text);
	for (size_t i = 0; i < e->found.n; i++)
		admission_warn(e->a, texts[i]);
}

/* Pods that are there already stay; whoever raises the level is told what would not come back. */
static void warn_of_existing(const struct admission *a, struct pod_security_policy p)
{
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	struct existing e = {.a = a, .policy = p};
	struct store *store = registry_store(a->registry);
	resource_key(registry_storage_row(resource_by_plural("", "pods")), a->name, NULL, &prefix);
	store_each(store, buf_str(&prefix), NULL, judge_existing, &e);
	if (e.more)
		admission_warn(a, arena_printf(a->arena,
					       "new PodSecurity enforce level only checked against the first %d of "
					       "%llu existing pods",
					       EXISTING_PODS_MAX,
					       (unsigned long long)store_count(store, buf_str(&prefix))));
	if (e.found.n)
		admission_warn(
		    a,
		    arena_printf(a->arena,
				 "existing pods in namespace \"%s\" violate the new PodSecurity enforce level \"%s\"",
				 a->name, pod_security_text(a->arena, p)));
	tell_violations(&e);
	VEC_RELEASE(&e.found);
}

static bool same_causes(const struct status *a, const struct status *b)
{
	if (a->n_causes != b->n_causes)
		return false;
	for (size_t i = 0; i < a->n_causes; i++)
		if (!str_eq(a->causes[i].field, b->causes[i].field) ||
		    !str_eq(a->causes[i].message, b->causes[i].message))
			return false;
	return true;
}

static int check_namespace(const struct admission *a, struct status *err)
{
	_cleanup_status_ struct status wrong = STATUS_INIT, before = STATUS_INIT;
	if (*a->subresource)
		return 0;
	struct policy new = policy_of(a->arena, a->object, &wrong), old = {0};
	if (a->old)
		old = policy_of(a->arena, object_tree(a->old, a->arena), &before);
	/* A mistake that was there before is no reason to refuse what else is changed. */
	if (wrong.n_causes && (!a->old || !same_causes(&wrong, &before))) {
		status_invalid(&wrong, "", "Namespace", a->name);
		status_move(err, &wrong);
		return -1;
	}
	if (!a->old || new.enforce.level == POD_SECURITY_PRIVILEGED ||
	    (new.enforce.minor == old.enforce.minor &&new.enforce.level <= old.enforce.level))
		return 0;
	warn_of_existing(a, new.enforce);
	return 0;
}

static int validate(const struct admission *a, struct status *err)
{
	static const struct {
		const char *group, *plural, *template;
	} controllers[] = {
	    {"", "replicationcontrollers", "spec.template"},
	    {"", "podtemplates", "template"},
	    {"apps", "replicasets", "spec.template"},
	    {"apps", "deployments", "spec.template"},
	    {"apps", "statefulsets", "spec.template"},
	    {"apps", "daemonsets", "spec.template"},
	    {"batch", "jobs", "spec.template"},
	    {"batch", "cronjobs", "spec.jobTemplate.spec.template"},
	};
	const struct resource *r = a->resource;
	if (!*r->group && str_eq(r->plural, "pods"))
		return check_pod(a, err);
	if (!*r->group && str_eq(r->plural, "namespaces"))
		return check_namespace(a, err);
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (str_eq(r->plural, controllers[i].plural) && str_eq(r->group, controllers[i].group))
			return check_template(a, controllers[i].template);
	return 0;
}

const struct admission_plugin admission_pod_security = {
    .name = "PodSecurity",
    .operations = ADMIT_CREATE | ADMIT_UPDATE,
    .validate = validate,
};
