/* SPDX-License-Identifier: Apache-2.0 */
/* Names of resources (cpu, hugepages-2Mi, example.com/gpu) and amounts of them (validate_internal.h). */
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "api/validate_internal.h"
#include "base/str.h"

#define NANO 1000000000

/* What is counted in whole objects. */
static const char *const counted[] = {
    "pods",	  "resourcequotas",	    "services",		  "replicationcontrollers", "secrets",
    "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers", NULL};
static const char *const measured[] = {"cpu",
				       "memory",
				       "ephemeral-storage",
				       "requests.cpu",
				       "requests.memory",
				       "requests.storage",
				       "requests.ephemeral-storage",
				       "limits.cpu",
				       "limits.memory",
				       "limits.ephemeral-storage",
				       NULL};
static const char *const of_containers[] = {"cpu", "memory", "ephemeral-storage", NULL};

bool resource_is_native(const char *name)
{
	return !strchr(name, '/') || strstr(name, "kubernetes.io/");
}

bool resource_is_hugepages(const char *name)
{
	return str_has_prefix(name, "hugepages-");
}

bool resource_may_overcommit(const char *name)
{
	return resource_is_native(name) && !resource_is_hugepages(name);
}

bool resource_is_extended(const char *name)
{
	char quota[NAME_MAX_DNS_SUBDOMAIN + NAME_MAX_DNS_LABEL + sizeof("requests./")];

	if (resource_is_native(name) || str_has_prefix(name, "requests."))
		return false;
	int n = snprintf(quota, sizeof(quota), "requests.%s", name);
	return n > 0 && (size_t)n < sizeof(quota) && !name_check_qualified(quota);
}

bool resource_is_for_quota(const char *name)
{
	return str_in(name, counted) || str_in(name, measured) || resource_is_hugepages(name) ||
	       str_has_prefix(name, "requests.hugepages-");
}

static bool is_integer(const char *name)
{
	return str_in(name, counted) || resource_is_extended(name);
}

bool check_resource_name(struct check *c, const char *path, const char *name)
{
	const char *why = name_check_qualified(name);

	if (!why && !strchr(name, '/') && !resource_is_for_quota(name) && !str_eq(name, "storage"))
		why = "must be a standard resource type or fully qualified";
	if (why)
		bad_invalid_str(c, path, name, why);
	return !why;
}

void check_container_resource_name(struct check *c, const char *path, const char *name)
{
	check_resource_name(c, path, name);
	if (!strchr(name, '/')) {
		if (!str_in(name, of_containers) && !resource_is_hugepages(name))
			bad_invalid_str(c, path, name, "must be a standard resource for containers");
	} else if (!resource_is_native(name) && !resource_is_extended(name)) {
		bad_invalid_str(c, path, name, "doesn't follow extended resource name standard");
	}
}

void check_quota_resource_name(struct check *c, const char *path, const char *name)
{
	check_resource_name(c, path, name);
	if (!strchr(name, '/') && !resource_is_for_quota(name))
		bad_invalid_str(c, path, name, "must be a standard resource for quota");
}

void check_resource_amount(struct check *c, const char *path, const struct json *v)
{
	struct quantity q;

	if (quantity_from_json(v, &q) < 0)
		return; /* decoding told so */
	if (q.nano < 0)
		bad_invalid(c, path, v, "must be greater than or equal to 0");
	if (is_integer(v->key) && q.nano % NANO)
		bad_invalid(c, path, v, "must be an integer");
}
