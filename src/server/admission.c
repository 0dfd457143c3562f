/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admission.h"

#include <stdarg.h>

#include "api/resource.h"
#include "base/json.h"
#include "base/arena.h"
#include "base/str.h"
#include "server/admission_plugins.h"
#include "server/registry_internal.h"

const struct admission_plugin *const admission_plugins[] = {
    &admission_namespace_lifecycle,
    &admission_limit_ranger,
    &admission_service_account,
    &admission_node_restriction,
    &admission_taint_nodes_by_condition,
    &admission_pod_security,
    &admission_priority,
    &admission_priority_classes,
    &admission_default_toleration_seconds,
    &admission_default_storage_class,
    &admission_storage_object_in_use,
    &admission_claim_resize,
    &admission_runtime_class,
    &admission_certificate_requests,
    &admission_trust_bundles,
    &admission_default_ingress_class,
    &admission_topology_labels,
    &admission_escalation_roles,
    &admission_escalation_clusterroles,
    &admission_escalation_rolebindings,
    &admission_escalation_clusterrolebindings,
    &admission_resource_quota, /* last: nothing after it may refuse what was charged */
    NULL,
};

static bool applies(const struct admission_plugin *p, const struct admission *a)
{
	return (p->operations & a->operation) &&
	       (!p->resource || (str_eq(p->resource, a->resource->plural) && str_eq(p->group, a->resource->group)));
}

int admission_mutate(const struct admission *a, struct status *err)
{
	for (size_t i = 0; admission_plugins[i]; i++)
		if (admission_plugins[i]->mutate && applies(admission_plugins[i], a) &&
		    admission_plugins[i]->mutate(a, err) < 0)
			return -1;
	return 0;
}

int admission_validate(const struct admission *a, struct status *err)
{
	for (size_t i = 0; admission_plugins[i]; i++)
		if (admission_plugins[i]->validate && applies(admission_plugins[i], a) &&
		    admission_plugins[i]->validate(a, err) < 0)
			return -1;
	return 0;
}

void admission_warn(const struct admission *a, const char *message)
{
	struct admission_warnings *w = a->warnings;
	if (!w || w->n == WRITE_WARNINGS_MAX)
		return;
	for (size_t i = 0; i < w->n; i++)
		if (str_eq(w->at[i], message))
			return;
	w->at[w->n++] = arena_strdup(w->arena, message);
}

void admission_annotate(const struct admission *a, const char *key, const char *value)
{
	if (a->annotations)
		json_set_str(a->arena, a->annotations, key, value);
}

int admission_forbid(const struct admission *a, struct status *err, const char *fmt, ...)
{
	va_list ap;
	const struct resource *r = a->resource;
	va_start(ap, fmt);
	const char *why = arena_vprintf(a->arena, fmt, ap);
	va_end(ap);
	const char *resource = *r->group ? arena_printf(a->arena, "%s.%s", r->plural, r->group) : r->plural;
	status_set(err, 403, "%s \"%s\" is forbidden: %s", resource, a->name, why);
	status_details(err, r->group, r->plural, a->name);
	return -1;
}
