/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PodTopologyLabels: a pod learns zone and region of its node, so that the downward API can tell its containers. Put on
 * the Binding, from where they come to the pod; on pods that are made with a node at once.
 */
#include "base/json.h"
#include "base/str.h"
#include "server/admission_plugins.h"

static int copy_labels(const struct admission *a, struct status *err)
{
	static const char *const copied[] = {"topology.kubernetes.io/zone", "topology.kubernetes.io/region"};
	bool binding = str_eq(a->subresource, "binding");
	(void)err;
	if ((*a->subresource && !binding) || (binding && !str_eq(json_path_str(a->object, "target.kind"), "Node")))
		return 0;
	const char *node = json_path_str(a->object, binding ? "target.name" : "spec.nodeName");
	const struct json *from = json_path(admission_lookup(a, "", "nodes", "", str_or(node, "")), "metadata.labels");
	for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
		const char *value = json_str(json_get(from, copied[i]));
		struct json *meta = json_object_in(a->arena, a->object, "metadata");
		/* What somebody has chosen himself stays. */
		if (value && !json_get(json_get(meta, "labels"), copied[i]))
			json_set_str(a->arena, json_object_in(a->arena, meta, "labels"), copied[i], value);
	}
	return 0;
}

const struct admission_plugin admission_topology_labels = {
    .name = "PodTopologyLabels",
    .operations = ADMIT_CREATE,
    .group = "",
    .resource = "pods",
    .mutate = copy_labels,
};
