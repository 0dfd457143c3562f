/* SPDX-License-Identifier: Apache-2.0 */
/* NamespaceLifecycle: nothing is created in a namespace that isn't there or is going; some can't be deleted. */
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

struct json *admission_lookup(const struct admission *a, const char *group, const char *plural, const char *ns,
			      const char *name)
{
	const struct resource *r = resource_by_plural(group, plural);
	_cleanup_buf_ struct buf key = BUF_INIT;
	if (!r || str_empty(name))
		return NULL;
	resource_key(registry_storage_row(r), r->namespaced ? ns : NULL, name, &key);
	struct object *o = store_get_latest(registry_store(a->registry), buf_str(&key));
	return o ? object_tree(o, a->arena) : NULL;
}

static bool is_namespaces(const struct resource *r)
{
	return !*r->group && str_eq(r->plural, "namespaces");
}

static int validate(const struct admission *a, struct status *err)
{
	static const char *const immortal[] = {"default", "kube-system", "kube-public", NULL};
	if (is_namespaces(a->resource)) {
		if (a->operation == ADMIT_DELETE && str_in(a->name, immortal))
			return admission_forbid(a, err, "this namespace may not be deleted");
		return 0;
	}
	if (a->operation != ADMIT_CREATE || !a->resource->namespaced)
		return 0;
	/* Reviews and the like are about a namespace, not in it. */
	if (!a->resource->storage_prefix)
		return 0;
	struct json *ns = admission_lookup(a, "", "namespaces", "", a->ns);
	if (!ns)
		return status_not_found(err, "", "namespaces", a->ns);
	if (!meta_deleting(ns) && !str_eq(json_path_str(ns, "status.phase"), "Terminating"))
		return 0;
	admission_forbid(a, err, "unable to create new content in namespace %s because it is being terminated", a->ns);
	status_cause(err, "NamespaceTerminating", "metadata.namespace", "namespace %s is being terminated", a->ns);
	return -1;
}

/* Both before defaults and mutation cost anything, and after. */
const struct admission_plugin admission_namespace_lifecycle = {
    .name = "NamespaceLifecycle",
    .operations = ADMIT_CREATE | ADMIT_DELETE,
    .mutate = validate,
    .validate = validate,
};
