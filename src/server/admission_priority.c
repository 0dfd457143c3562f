/* SPDX-License-Identifier: Apache-2.0 */
/* Priority: the number and the preemption policy behind a Pod's priority class; one default class in a cluster. */
#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"
#include "server/registry.h"
#include "store/store.h"

struct default_class {
	struct arena *arena;
	struct json *found;
};

static bool find_default_class(void *arg, struct object *o)
{
	struct default_class *d = arg;
	struct json *tree = object_tree(o, d->arena);
	if (!json_path_bool(tree, "globalDefault", false))
		return true;
	/* Of several, the lowest value is the cautious one; upstream does the same. */
	if (!d->found || json_path_int(tree, "value", 0) < json_path_int(d->found, "value", 0))
		d->found = tree;
	return true;
}

static struct json *default_class(const struct admission *a)
{
	const struct resource *r = resource_by_plural("scheduling.k8s.io", "priorityclasses");
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	struct default_class d = {a->arena, NULL};
	resource_key(registry_storage_row(r), NULL, NULL, &prefix);
	store_each(registry_store(a->registry), buf_str(&prefix), NULL, find_default_class, &d);
	return d.found;
}

/* A client that writes a Pod back without what admission had filled in does not mean to change it. */
static void keep_on_update(const struct admission *a, struct json *spec)
{
	static const char *const members[] = {"priority", "preemptionPolicy"};
	struct json *old = object_tree(a->old, a->arena);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		struct json *was = json_get(json_get(old, "spec"), members[i]);
		if (was && !json_get(spec, members[i]))
			json_set(a->arena, spec, members[i], json_clone(a->arena, was));
	}
}

static int set_priority(const struct admission *a, struct status *err)
{
	struct json *spec = json_object_in(a->arena, a->object, "spec"), *class;
	const char *name = json_path_str(spec, "priorityClassName");
	if (*a->subresource)
		return 0;
	if (a->operation == ADMIT_UPDATE) {
		keep_on_update(a, spec);
		return 0;
	}
	if (str_empty(name)) {
		class = default_class(a);
		if (class)
			json_set_str(a->arena, spec, "priorityClassName", meta_name(class));
	} else {
		class = admission_lookup(a, "scheduling.k8s.io", "priorityclasses", "", name);
		if (!class)
			return admission_forbid(a, err, "no PriorityClass with name %s was found", name);
	}
	int64_t value = json_path_int(class, "value", 0);
	const struct json *given = json_get(spec, "priority");
	if (json_is(given, JSON_NUMBER) && json_int(given, 0) != value)
		return admission_forbid(a, err,
					"the integer value of priority (%lld) must not be provided in pod spec; "
					"priority admission controller "
					"computed %lld from the given PriorityClass name",
					(long long)json_int(given, 0), (long long)value);
	const char *policy = str_or(json_path_str(class, "preemptionPolicy"), "PreemptLowerPriority");
	const char *asked = json_path_str(spec, "preemptionPolicy");
	if (asked && !str_eq(asked, policy))
		return admission_forbid(a, err,
					"the string value of PreemptionPolicy (%s) must not be provided in pod spec; "
					"priority admission controller computed %s from the given PriorityClass name",
					asked, policy);
	json_set_int(a->arena, spec, "priority", value);
	json_set_str(a->arena, spec, "preemptionPolicy", policy);
	return 0;
}

const struct admission_plugin admission_priority = {
    .name = "Priority",
    .operations = ADMIT_CREATE | ADMIT_UPDATE,
    .group = "",
    .resource = "pods",
    .mutate = set_priority,
};

static int one_default(const struct admission *a, struct status *err)
{
	if (*a->subresource || !json_path_bool(a->object, "globalDefault", false))
		return 0;
	struct json *other = default_class(a);
	if (other && !str_eq(meta_name(other), a->name))
		return admission_forbid(a, err,
					"PriorityClass %s is already marked as default. Only one default can exist",
					meta_name(other));
	return 0;
}

const struct admission_plugin admission_priority_classes = {
    .name = "Priority",
    .operations = ADMIT_CREATE | ADMIT_UPDATE,
    .group = "scheduling.k8s.io",
    .resource = "priorityclasses",
    .validate = one_default,
};
