/* SPDX-License-Identifier: Apache-2.0 */
/* What a new Pod gets: tolerations of a node that fails for a while, and the number behind its priority class. */
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

/* ---- DefaultTolerationSeconds ---- */

#define DEFAULT_TOLERATION_SECONDS 300 /* upstream's default for both taints */

static bool tolerates(const struct json *tolerations, const char *key)
{
	JSON_EACH(t, tolerations) {
		const char *k = str_or(json_path_str(t, "key"), ""), *effect = str_or(json_path_str(t, "effect"), "");
		if ((str_eq(k, key) || !*k) && (!*effect || str_eq(effect, "NoExecute")))
			return true;
	}
	return false;
}

static int add_tolerations(const struct admission *a, struct status *err)
{
	static const char *const keys[] = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"};
	struct json *spec = json_object_in(a->arena, a->object, "spec");
	(void)err;
	if (*a->subresource || a->operation != ADMIT_CREATE)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (tolerates(json_get(spec, "tolerations"), keys[i]))
			continue;
		struct json *t =
		    json_append(json_array_in(a->arena, spec, "tolerations"), json_new(a->arena, JSON_OBJECT));
		json_set_str(a->arena, t, "key", keys[i]);
		json_set_str(a->arena, t, "operator", "Exists");
		json_set_str(a->arena, t, "effect", "NoExecute");
		json_set_int(a->arena, t, "tolerationSeconds", DEFAULT_TOLERATION_SECONDS);
	}
	return 0;
}

const struct admission_plugin admission_default_toleration_seconds = {
    .name = "DefaultTolerationSeconds",
    .operations = ADMIT_CREATE,
    .group = "",
    .resource = "pods",
    .mutate = add_tolerations,
};

/* ---- Priority ---- */

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
	if (!r)
		return NULL;
	resource_key(registry_storage_row(r), NULL, NULL, &prefix);
	store_each(registry_store(a->registry), buf_str(&prefix), NULL, find_default_class, &d);
	return d.found;
}

static int set_priority(const struct admission *a, struct status *err)
{
	struct json *spec = json_object_in(a->arena, a->object, "spec");
	const char *name = json_path_str(spec, "priorityClassName");
	if (*a->subresource || a->operation != ADMIT_CREATE)
		return 0;
	struct json *class;
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
	json_set_int(a->arena, spec, "priority", value);
	if (!json_get(spec, "preemptionPolicy"))
		json_set_str(a->arena, spec, "preemptionPolicy",
			     str_or(json_path_str(class, "preemptionPolicy"), "PreemptLowerPriority"));
	return 0;
}

const struct admission_plugin admission_priority = {
    .name = "Priority",
    .operations = ADMIT_CREATE,
    .group = "",
    .resource = "pods",
    .mutate = set_priority,
};
