/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/replicaset_status.h"

#include "api/meta.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "controllers/pod_set.h"
#include "controllers/util.h"

static bool labelled_as(const struct json *pod, const struct json *template)
{
	JSON_EACH(l, json_path(template, "metadata.labels"))
		if (!str_eq(meta_label(pod, l->key), json_str(l)))
			return false;
	return true;
}

struct json *replicaset_status(struct arena *a, const struct json *set, const struct set_pod *pods, size_t n,
			       const char *failure, bool failed_create, int64_t now)
{
	const struct json *template = json_path(set, "spec.template");
	int64_t min_ready = json_path_int(set, "spec.minReadySeconds", 0);
	int64_t replicas = 0, labelled = 0, ready = 0, available = 0, terminating = 0;
	for (size_t i = 0; i < n; i++) {
		const struct json *pod = pods[i].tree;
		if (!pod_active(pod)) {
			terminating += meta_deleting(pod) && !pod_finished(pod);
			continue;
		}
		replicas++;
		labelled += labelled_as(pod, template);
		ready += pod_ready(pod);
		available += pod_available(pod, min_ready, now);
	}
	const struct json *old = json_get(set, "status");
	struct json *st = json_new(a, JSON_OBJECT);
	json_set_int(a, st, "replicas", replicas);
	if (labelled)
		json_set_int(a, st, "fullyLabeledReplicas", labelled);
	if (ready)
		json_set_int(a, st, "readyReplicas", ready);
	if (available)
		json_set_int(a, st, "availableReplicas", available);
	if (terminating || json_get(old, "terminatingReplicas"))
		json_set_int(a, st, "terminatingReplicas", terminating);
	json_set_int(a, st, "observedGeneration", meta_generation(set));

	struct json *conditions = json_new(a, JSON_ARRAY);
	JSON_EACH(c, json_get(old, "conditions"))
		if (failure || !str_eq(json_path_str(c, "type"), "ReplicaFailure"))
			json_append(conditions, json_clone(a, c));
	if (failure && !condition_find(conditions, "ReplicaFailure")) {
		char time[TIME_RFC3339_MAX];
		struct json *c = json_append(conditions, json_new(a, JSON_OBJECT));
		json_set_str(a, c, "type", "ReplicaFailure");
		json_set_str(a, c, "status", "True");
		json_set_str(a, c, "lastTransitionTime", time_format(now, time));
		json_set_str(a, c, "reason", failed_create ? "FailedCreate" : "FailedDelete");
		json_set_str(a, c, "message", failure);
	}
	if (json_len(conditions))
		json_set(a, st, "conditions", conditions);
	return st;
}
