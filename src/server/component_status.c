/* SPDX-License-Identifier: Apache-2.0 */
#include "api/meta.h"
#include "base/json.h"
#include "base/str.h"
#include "server/component_status.h"

static const char *const names[COMPONENT_STATUSES] = {"controller-manager", "etcd-0", "scheduler"};

struct json *component_status(struct arena *a, size_t i)
{
	struct json *o = meta_object_new(a, "v1", "ComponentStatus", NULL, names[i]);
	struct json *healthy = json_append(json_array_in(a, o, "conditions"), json_new(a, JSON_OBJECT));
	json_set_str(a, healthy, "type", "Healthy");
	json_set_str(a, healthy, "status", "True");
	json_set_str(a, healthy, "message", "ok");
	return o;
}

struct json *component_status_named(struct arena *a, const char *name)
{
	for (size_t i = 0; i < COMPONENT_STATUSES; i++)
		if (str_eq(names[i], name))
			return component_status(a, i);
	return NULL;
}
