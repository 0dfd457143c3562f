/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DefaultStorageClass and DefaultIngressClass: a claim or Ingress that names no class gets the one that is marked as
 * default; of several the newest, then the first by name.
 */
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

struct search {
	struct arena *arena;
	const char *const *marks; /* annotations that say "true"; NULL-terminated */
	const char *name;
	int64_t created_ns;
};

/* Called in the order of names. */
static bool consider(void *arg, struct object *o)
{
	struct search *s = arg;
	_cleanup_arena_ struct arena own = ARENA_INIT;
	struct json *t = object_tree(o, &own);
	for (size_t i = 0; s->marks[i]; i++) {
		if (!str_eq(meta_annotation(t, s->marks[i]), "true"))
			continue;
		if (!s->name || meta_created_ns(t) > s->created_ns) {
			s->name = arena_strdup(s->arena, o->name);
			s->created_ns = meta_created_ns(t);
		}
		break;
	}
	return true;
}

static const char *default_class(const struct admission *a, const char *group, const char *plural,
				 const char *const *marks)
{
	struct search s = {.arena = a->arena, .marks = marks};
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	resource_key(registry_storage_row(resource_by_plural(group, plural)), NULL, NULL, &prefix);
	store_each(registry_store(a->registry), buf_str(&prefix), NULL, consider, &s);
	return s.name;
}

static int set_storage_class(const struct admission *a, struct status *err)
{
	static const char *const marks[] = {"storageclass.kubernetes.io/is-default-class",
					    "storageclass.beta.kubernetes.io/is-default-class", NULL};
	(void)err;
	/* "" is a choice too: no class. */
	if (*a->subresource || json_path(a->object, "spec.storageClassName") ||
	    meta_annotation(a->object, "volume.beta.kubernetes.io/storage-class"))
		return 0;
	const char *name = default_class(a, "storage.k8s.io", "storageclasses", marks);
	if (name)
		json_set_path(a->arena, a->object, "spec.storageClassName", json_new_str(a->arena, name));
	return 0;
}

const struct admission_plugin admission_default_storage_class = {
    .name = "DefaultStorageClass",
    .operations = ADMIT_CREATE,
    .group = "",
    .resource = "persistentvolumeclaims",
    .mutate = set_storage_class,
};

static int set_ingress_class(const struct admission *a, struct status *err)
{
	static const char *const marks[] = {"ingressclass.kubernetes.io/is-default-class", NULL};
	(void)err;
	if (*a->subresource || json_path(a->object, "spec.ingressClassName") ||
	    meta_annotation(a->object, "kubernetes.io/ingress.class"))
		return 0;
	const char *name = default_class(a, "networking.k8s.io", "ingressclasses", marks);
	if (name)
		json_set_path(a->arena, a->object, "spec.ingressClassName", json_new_str(a->arena, name));
	return 0;
}

const struct admission_plugin admission_default_ingress_class = {
    .name = "DefaultIngressClass",
    .operations = ADMIT_CREATE,
    .group = "networking.k8s.io",
    .resource = "ingresses",
    .mutate = set_ingress_class,
};
