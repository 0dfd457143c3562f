/* SPDX-License-Identifier: Apache-2.0 */
/* Which changes of a Pod are allowed: by an update of the pod itself, of its ephemeralcontainers and by a resize. */
#include <string.h>

#include "api/meta.h"
#include "api/pod_resources.h"
#include "api/quantity.h"
#include "api/validate_pod_internal.h"
#include "base/str.h"

#define MIRROR "kubernetes.io/config.mirror"
#define APPARMOR_CONTAINER "container.apparmor.security.beta.kubernetes.io/"

static void copy_member(struct arena *a, struct json *to, const struct json *from, const char *key)
{
	const struct json *v = json_get(from, key);

	if (v)
		json_set(a, to, key, json_clone(a, v));
	else
		json_remove(to, key);
}

/* ---- annotations that say what was done to the pod ---- */

void check_annotations_kept(struct check *c)
{
	const struct json *now = json_path(c->tree, "metadata.annotations"),
			  *old = json_path(c->old, "metadata.annotations");

	JSON_EACH(v, old) {
		const char *at = PATH(c, "metadata.annotations[%s]", v->key);
		if (json_equal(v, json_get(now, v->key)))
			continue;
		if (str_has_prefix(v->key, APPARMOR_CONTAINER))
			bad_forbidden(c, at, "may not remove or update AppArmor annotations");
		if (str_eq(v->key, MIRROR))
			bad_forbidden(c, at, "may not remove or update mirror pod annotation");
	}
	JSON_EACH(v, now) {
		const char *at = PATH(c, "metadata.annotations[%s]", v->key);
		if (json_get(old, v->key))
			continue;
		if (str_has_prefix(v->key, APPARMOR_CONTAINER))
			bad_forbidden(c, at, "may not add AppArmor annotations");
		if (str_eq(v->key, MIRROR))
			bad_forbidden(c, at, "may not add mirror pod annotation");
	}
}

/* ---- the pod itself ---- */

/* to's containers get a member of from's. */
static void copy_of_containers(struct arena *a, struct json *to, const struct json *from, const char *key)
{
	const struct json *f = json_first(from);

	EACH_ITEM(ctr, to) {
		if (!f)
			return;
		if (json_is(ctr, JSON_OBJECT))
			copy_member(a, ctr, f, key);
		f = json_next(from, f);
	}
}

static bool same_containers(struct check *c, const struct json *spec, const struct json *old)
{
	static const char *const lists[] = {"containers", "initContainers"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (json_len(json_get(spec, lists[i])) != json_len(json_get(old, lists[i]))) {
			bad_forbidden(c, PATH(c, "spec.%s", lists[i]), "pod updates may not add or remove containers");
			return false;
		}
	return true;
}

/* It may be set, and lowered. */
static bool check_deadline(struct check *c, const struct json *spec, const struct json *old)
{
	const struct json *now = json_get(spec, "activeDeadlineSeconds"),
			  *before = json_get(old, "activeDeadlineSeconds");

	if (!now && before) {
		bad_invalid(c, "spec.activeDeadlineSeconds", NULL,
			    "must not update from a positive integer to nil value");
	} else if (now && before && json_int(now, 0) > json_int(before, 0)) {
		bad_invalid(c, "spec.activeDeadlineSeconds", now, "must be less than or equal to previous value");
		return false;
	}
	return true;
}

/* All of a toleration but its seconds. */
static const char *toleration_key(struct check *c, const struct json *t)
{
	return PATH(c, "%s\n%s\n%s\n%s", str_or(json_path_str(t, "key"), ""), str_or(json_path_str(t, "operator"), ""),
		    str_or(json_path_str(t, "value"), ""), str_or(json_path_str(t, "effect"), ""));
}

static void check_tolerations_kept(struct check *c, const struct json *list, const struct json *old)
{
	_cleanup_names_ struct map now = MAP_INIT;

	EACH_ITEM(t, list)
		map_set(&now, toleration_key(c, t), c);
	EACH_ITEM(o, old) {
		if (!map_has(&now, toleration_key(c, o))) {
			bad_forbidden(c, "spec.tolerations",
				      "existing toleration can not be modified except its tolerationSeconds");
			return;
		}
	}
}

static bool has_gate(const struct json *gates, const char *name)
{
	EACH_ITEM(g, gates)
		if (str_eq(json_path_str(g, "name"), name))
			return true;
	return false;
}

static void check_gates_removed(struct check *c, const struct json *gates, const struct json *old)
{
	size_t i = 0;

	EACH_ITEM(g, gates) {
		const char *name = str_or(json_path_str(g, "name"), "");
		if (!has_gate(old, name))
			bad_forbidden(c, PATH(c, "spec.schedulingGates[%zu].name", i),
				      PATH(c, "only deletion is allowed, but found new scheduling gate '%s'", name));
		i++;
	}
}

/* ---- where a pod may go, as long as it isn't scheduled: only narrower ---- */

static bool is_prefix(const struct json *list, const struct json *prefix)
{
	const struct json *l = json_first(list);

	EACH_ITEM(x, prefix) {
		if (!l || !json_equal(l, x))
			return false;
		l = json_next(list, l);
	}
	return true;
}

static bool term_only_grew(const struct json *term, const struct json *old)
{
	static const char *const lists[] = {"matchExpressions", "matchFields"};
	bool empty = !json_len(json_get(old, lists[0])) && !json_len(json_get(old, lists[1]));

	/* A term without requirements matches nothing; one with some would be wider. */
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (!is_prefix(json_get(term, lists[i]), json_get(old, lists[i])) ||
		    (empty && json_len(json_get(term, lists[i]))))
			return false;
	return true;
}

#define TERMS "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
static void check_node_affinity_narrowed(struct check *c, const struct json *now, const struct json *old)
{
	const struct json *terms = json_path(now, TERMS), *old_terms = json_path(old, TERMS);
	const struct json *o = json_first(old_terms);
	size_t i = 0;

	if (!json_len(old_terms))
		return;
	if (json_len(terms) != json_len(old_terms)) {
		bad_invalid(c, "spec.affinity.nodeAffinity." TERMS, terms,
			    "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
		return;
	}
	EACH_ITEM(t, terms) {
		if (!term_only_grew(t, o))
			bad_invalid(c, PATH(c, "spec.affinity.nodeAffinity." TERMS "[%zu]", i), t,
				    "only additions are allowed (no mutations or deletions)");
		o = json_next(old_terms, o);
		i++;
	}
}

static void allow_narrowing(struct check *c, struct json *mine, const struct json *old)
{
	struct arena *a = &c->arena;
	const struct json *selector = json_get(mine, "nodeSelector");

	JSON_EACH(s, json_get(old, "nodeSelector"))
		if (!json_equal(s, json_get(selector, s->key))) {
			bad_invalid(c, "spec.nodeSelector", selector,
				    "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
			break;
		}
	copy_member(a, mine, old, "nodeSelector");
	const struct json *now = json_path(mine, "affinity.nodeAffinity"),
			  *was = json_path(old, "affinity.nodeAffinity");
	if (json_equal(now, was))
		return;
	check_node_affinity_narrowed(c, now, was);
	struct json *affinity = json_object_in(a, mine, "affinity");
	copy_member(a, affinity, json_get(old, "affinity"), "nodeAffinity");
	if (!json_len(affinity) && !json_get(old, "affinity"))
		json_remove(mine, "affinity");
}

static void check_spec_update(struct check *c, const struct json *spec, const struct json *old)
{
	struct arena *a = &c->arena;
	struct json *mine = json_clone(a, spec);

	copy_member(a, mine, old, "activeDeadlineSeconds");
	copy_of_containers(a, json_get(mine, "containers"), json_get(old, "containers"), "image");
	copy_of_containers(a, json_get(mine, "initContainers"), json_get(old, "initContainers"), "image");
	copy_member(a, mine, old, "tolerations");
	copy_member(a, mine, old, "schedulingGates");
	if (json_path_int(old, "terminationGracePeriodSeconds", 0) < 0 &&
	    json_path_int(spec, "terminationGracePeriodSeconds", 0) == 1)
		copy_member(a, mine, old, "terminationGracePeriodSeconds");
	if (json_len(json_get(old, "schedulingGates")))
		allow_narrowing(c, mine, old);
	if (!json_equal(mine, old))
		bad_forbidden(c, "spec",
			      PATH(c,
				   "pod updates may not change fields other than `spec.containers[*].image`,"
				   "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
				   "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
				   "(allow it to be set to 1 if it was previously negative)\n%s",
				   json_diff(a, old, mine)));
}

/* ---- ephemeral containers: they are only added ---- */

static void check_ephemeral_update(struct check *c, const struct json *spec, const struct json *old)
{
	static const char at[] = "spec.ephemeralContainers";

	if (meta_annotation(c->old, MIRROR)) {
		bad_forbidden(c, "", "static pods do not support ephemeral containers");
		return;
	}
	_cleanup_names_ struct map by_name = MAP_INIT;
	EACH_ITEM(e, json_get(spec, "ephemeralContainers"))
		map_set(&by_name, str_or(json_path_str(e, "name"), ""), (void *)(uintptr_t)(const void *)e);
	EACH_ITEM(o, json_get(old, "ephemeralContainers")) {
		const char *name = str_or(json_path_str(o, "name"), "");
		const struct json *now = map_get(&by_name, name);
		if (!now)
			bad_forbidden(c, at,
				      PATH(c, "existing ephemeral containers \"%s\" may not be removed\n", name));
		else if (!json_equal(o, now))
			bad_forbidden(c, at,
				      PATH(c, "existing ephemeral containers \"%s\" may not be changed\n%s", name,
					   json_diff(&c->arena, o, now)));
	}
}

/* ---- resize: cpu and memory of containers, sidecars and the pod ---- */

static void check_not_removed(struct check *c, const char *at, const struct json *now, const struct json *old)
{
	static const char *const lists[] = {"requests", "limits"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(v, json_get(old, lists[i]))
			if (!json_get(json_get(now, lists[i]), v->key)) {
				bad_forbidden(c, PATH(c, "%s.%s", at, lists[i]),
					      PATH(c, "resource %s cannot be removed", lists[i]));
				break;
			}
}

/* resources as before, but for cpu and memory. */
static void undo_resize(struct arena *a, struct json *holder, const struct json *old)
{
	static const char *const lists[] = {"requests", "limits"}, *const resizable[] = {"cpu", "memory"};
	const struct json *was = json_get(old, "resources");

	if (!json_get(holder, "resources"))
		return;
	struct json *mine = json_get(holder, "resources");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct json *list = json_object_in(a, mine, lists[i]);
		for (size_t k = 0; k < ARRAY_SIZE(resizable); k++)
			copy_member(a, list, json_get(was, lists[i]), resizable[k]);
		if (!json_len(list) && !json_get(was, lists[i]))
			json_remove(mine, lists[i]);
	}
	if (!json_len(mine) && !was)
		json_remove(holder, "resources");
}

static void resize_list(struct check *c, struct json *mine, const struct json *old, const char *list, bool init)
{
	const struct json *o = json_first(json_get(old, list));
	size_t i = 0;

	EACH_ITEM(ctr, json_get(mine, list)) {
		if (!o)
			return;
		const char *at = PATH(c, "spec.%s[%zu].resources", list, i++);
		if (!init || container_is_sidecar(o)) {
			check_not_removed(c, at, json_get(ctr, "resources"), json_get(o, "resources"));
			undo_resize(&c->arena, ctr, o);
			if (!json_equal(ctr, o))
				bad_forbidden(c, "spec",
					      init ? "only cpu and memory resources for sidecar containers are mutable"
						   : "only cpu and memory resources are mutable");
		} else if (!json_equal(ctr, o)) {
			bad_forbidden(c, "spec", "resources for non-sidecar init containers are immutable");
		}
		o = json_next(json_get(old, list), o);
	}
}

/* A node that doesn't tell the resources of its running containers can't resize them. */
static bool node_can_resize(const struct json *pod)
{
	EACH_ITEM(s, json_path(pod, "status.containerStatuses"))
		if (json_path(s, "state.running"))
			return json_get(s, "resources") != NULL;
	return true;
}

static void check_resize(struct check *c, const struct json *spec, const struct json *old)
{
	struct json *mine = json_clone(&c->arena, spec);
	size_t before = check_count(c);

	if (meta_annotation(c->old, MIRROR)) {
		bad_forbidden(c, "", "static pods cannot be resized");
		return;
	}
	if (str_eq(json_path_str(old, "os.name"), "windows")) {
		bad_forbidden(c, "", "windows pods cannot be resized");
		return;
	}
	if (!str_eq(pod_qos_class(c->tree), pod_qos_class(c->old)))
		bad_invalid_str(c, "spec", pod_qos_class(c->old),
				"Pod QOS Class may not change as a result of resizing");
	if (!node_can_resize(c->old))
		bad_forbidden(c, "spec", "Pod running on node without support for resize");
	check_not_removed(c, "spec.resources", json_get(spec, "resources"), json_get(old, "resources"));
	resize_list(c, mine, old, "initContainers", true);
	resize_list(c, mine, old, "containers", false);
	undo_resize(&c->arena, mine, old);
	if (check_count(c) == before && !json_equal(mine, old))
		bad_forbidden(c, "spec", "only cpu and memory resources are mutable");
}

void check_pod_update(struct check *c, const char *subresource)
{
	const struct json *spec = json_get(c->tree, "spec"), *old = json_get(c->old, "spec");

	check_annotations_kept(c);
	if (json_equal(spec, old) || !json_is(spec, JSON_OBJECT) || !json_is(old, JSON_OBJECT))
		return;
	if (!same_containers(c, spec, old))
		return;
	if (str_eq(subresource, "ephemeralcontainers")) {
		check_ephemeral_update(c, spec, old);
		return;
	}
	if (str_eq(subresource, "resize")) {
		check_resize(c, spec, old);
		return;
	}
	if (!check_deadline(c, spec, old))
		return;
	check_tolerations_kept(c, json_get(spec, "tolerations"), json_get(old, "tolerations"));
	check_gates_removed(c, json_get(spec, "schedulingGates"), json_get(old, "schedulingGates"));
	check_spec_update(c, spec, old);
}
