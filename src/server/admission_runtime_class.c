/* SPDX-License-Identifier: Apache-2.0 */
/* RuntimeClass: a Pod gets the overhead, the node selector and the tolerations of the class it runs under. */
#include "api/quantity.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"

/* The class the pod names. *ret stays NULL when it names none. */
static int class_of(const struct admission *a, struct json **ret, struct status *err)
{
	const char *name = json_path_str(a->object, "spec.runtimeClassName");
	if (str_empty(name))
		return 0;
	*ret = admission_lookup(a, "node.k8s.io", "runtimeclasses", "", name);
	return *ret ? 0 : admission_forbid(a, err, "pod rejected: RuntimeClass \"%s\" not found", name);
}

static bool same_amounts(const struct json *a, const struct json *b)
{
	if (json_len(a) != json_len(b))
		return false;
	JSON_EACH(v, a) {
		struct quantity x, y;
		if (!json_get(b, v->key) || quantity_from_json(v, &x) < 0 ||
		    quantity_from_json(json_get(b, v->key), &y) < 0 || quantity_compare(&x, &y) != 0)
			return false;
	}
	return true;
}

static int merge_scheduling(const struct admission *a, const struct json *class, struct json *spec, struct status *err)
{
	JSON_EACH(v, json_path(class, "scheduling.nodeSelector")) {
		struct json *selector = json_object_in(a->arena, spec, "nodeSelector");
		const char *have = json_str(json_get(selector, v->key)), *want = str_or(json_str(v), "");
		if (have && !str_eq(have, want))
			return admission_forbid(a, err,
						"conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; "
						"pod.spec.nodeSelector[%s] = %s",
						v->key, want, v->key, have);
		json_set_str(a->arena, selector, v->key, want);
	}
	JSON_EACH(t, json_path(class, "scheduling.tolerations")) {
		bool there = false;
		JSON_EACH(have, json_get(spec, "tolerations"))
			there |= json_equal(have, t);
		if (!there)
			json_append(json_array_in(a->arena, spec, "tolerations"), json_clone(a->arena, t));
	}
	return 0;
}

static int mutate(const struct admission *a, struct status *err)
{
	struct json *class = NULL, *spec = json_object_in(a->arena, a->object, "spec");
	if (*a->subresource)
		return 0;
	if (class_of(a, &class, err) < 0)
		return -1;
	if (!class)
		return 0;
	struct json *overhead = json_path(class, "overhead.podFixed"), *own = json_get(spec, "overhead");
	if (json_len(overhead) && json_len(own) && !same_amounts(overhead, own))
		return admission_forbid(a, err,
					"pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
	if (json_len(overhead))
		json_set(a->arena, spec, "overhead", json_clone(a->arena, overhead));
	return merge_scheduling(a, class, spec, err);
}

static int validate(const struct admission *a, struct status *err)
{
	struct json *class = NULL;
	if (*a->subresource)
		return 0;
	if (class_of(a, &class, err) < 0)
		return -1;
	if (json_len(json_path(a->object, "spec.overhead")) && !json_len(json_path(class, "overhead.podFixed")))
		return admission_forbid(
		    a, err, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
	return 0;
}

const struct admission_plugin admission_runtime_class = {
    .name = "RuntimeClass",
    .operations = ADMIT_CREATE,
    .group = "",
    .resource = "pods",
    .mutate = mutate,
    .validate = validate,
};
