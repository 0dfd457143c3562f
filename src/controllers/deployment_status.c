/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/deployment_status.h"

#include "api/meta.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "controllers/deployment_plan.h"
#include "controllers/util.h"

#define DEADLINE_NONE INT32_MAX /* upstream's way to say that there is none */

int64_t deployment_deadline_s(const struct json *d)
{
	int64_t s = json_path_int(d, "spec.progressDeadlineSeconds", 600);
	return s >= DEADLINE_NONE ? -1 : s;
}

void deployment_set_condition(struct arena *a, struct json *status, const char *type, const char *value,
			      const char *reason, const char *message, int64_t now)
{
	struct json *conditions = json_array_in(a, status, "conditions");
	struct json *c = condition_find(conditions, type);
	char time[TIME_RFC3339_MAX];
	if (c && str_eq(json_path_str(c, "status"), value) && str_eq(json_path_str(c, "reason"), reason))
		return;
	bool turned = !c || !str_eq(json_path_str(c, "status"), value);
	if (!c) {
		c = json_append(conditions, json_new(a, JSON_OBJECT));
		json_set_str(a, c, "type", type);
	}
	time_format(now, time);
	json_set_str(a, c, "status", value);
	json_set_str(a, c, "lastUpdateTime", time);
	if (turned)
		json_set_str(a, c, "lastTransitionTime", time);
	json_set_str(a, c, "reason", reason);
	json_set_str(a, c, "message", message);
}

static int64_t sum_status(const struct deployment_plan *p, const char *path)
{
	int64_t n = 0;
	for (size_t i = 0; i < p->n_sets; i++)
		n += json_path_int(p->sets[i].tree, path, 0);
	return n;
}

static void set_count(struct arena *a, struct json *status, const char *name, int64_t n)
{
	if (n)
		json_set_int(a, status, name, n);
}

static struct json *counts(struct deployment_plan *p)
{
	struct arena *a = p->arena;
	struct json *st = json_new(a, JSON_OBJECT), *old = json_get(p->deployment, "status");
	int64_t available = sum_status(p, "status.availableReplicas");
	int64_t wanted = 0;
	for (size_t i = 0; i < p->n_sets; i++)
		wanted += json_path_int(p->sets[i].tree, "spec.replicas", 1);
	set_count(a, st, "observedGeneration", meta_generation(p->deployment));
	set_count(a, st, "replicas", sum_status(p, "status.replicas"));
	set_count(a, st, "updatedReplicas", p->new_set ? json_path_int(p->new_set->tree, "status.replicas", 0) : 0);
	set_count(a, st, "readyReplicas", sum_status(p, "status.readyReplicas"));
	set_count(a, st, "availableReplicas", available);
	set_count(a, st, "unavailableReplicas", wanted > available ? wanted - available : 0);
	int64_t terminating = sum_status(p, "status.terminatingReplicas");
	if (terminating || json_get(old, "terminatingReplicas"))
		json_set_int(a, st, "terminatingReplicas", terminating);
	set_count(a, st, "collisionCount", json_path_int(old, "collisionCount", 0));
	struct json *conditions = json_get(old, "conditions");
	if (json_len(conditions))
		json_set(a, st, "conditions", json_clone(a, conditions));
	return st;
}

static bool complete(const struct json *d, const struct json *st)
{
	int64_t replicas = json_path_int(d, "spec.replicas", 1);
	return json_path_int(st, "updatedReplicas", 0) == replicas && json_path_int(st, "replicas", 0) == replicas &&
	       json_path_int(st, "availableReplicas", 0) == replicas &&
	       json_path_int(st, "observedGeneration", 0) >= meta_generation(d);
}

bool deployment_complete(const struct deployment_plan *p)
{
	return complete(p->deployment, json_get(p->deployment, "status"));
}

static bool progressed(const struct json *old, const struct json *new)
{
	int64_t old_updated = json_path_int(old, "updatedReplicas", 0);
	int64_t new_updated = json_path_int(new, "updatedReplicas", 0);
	return new_updated > old_updated ||
	       json_path_int(new, "replicas", 0) - new_updated < json_path_int(old, "replicas", 0) - old_updated ||
	       json_path_int(new, "readyReplicas", 0) > json_path_int(old, "readyReplicas", 0) ||
	       json_path_int(new, "availableReplicas", 0) > json_path_int(old, "availableReplicas", 0);
}

static int64_t updated_at(const struct json *condition)
{
	int64_t ns;
	const char *t = json_path_str(condition, "lastUpdateTime");
	return t && time_parse(t, &ns) == 0 ? ns : 0;
}

static bool timed_out(const struct json *condition, int64_t deadline_s, int64_t now)
{
	const char *reason = json_path_str(condition, "reason");
	if (!condition || str_eq(reason, "NewReplicaSetAvailable"))
		return false;
	return str_eq(reason, "ProgressDeadlineExceeded") || updated_at(condition) + deadline_s * 1000000000 < now;
}

/* The condition Progressing, and when to look at the deadline again. */
static void judge_progress(struct deployment_plan *p, struct json *old, struct json *st)
{
	struct arena *a = p->arena;
	int64_t deadline = deployment_deadline_s(p->deployment);
	struct json *conditions = json_get(st, "conditions");
	struct json *c = condition_find(conditions, "Progressing");
	if (deadline < 0) {
		if (c)
			json_remove_child(conditions, c);
		return;
	}
	const char *who = p->new_set ? arena_printf(a, "ReplicaSet \"%s\"", meta_name(p->new_set->tree))
				     : arena_printf(a, "Deployment \"%s\"", meta_name(p->deployment));
	bool was_complete = json_path_int(st, "replicas", 0) == json_path_int(st, "updatedReplicas", 0) &&
			    str_eq(json_path_str(c, "reason"), "NewReplicaSetAvailable");
	if (!was_complete) {
		if (complete(p->deployment, st)) {
			deployment_set_condition(a, st, "Progressing", "True", "NewReplicaSetAvailable",
						 arena_printf(a, "%s has successfully progressed.", who), p->now_ns);
		} else if (progressed(old, st)) {
			char time[TIME_RFC3339_MAX];
			deployment_set_condition(a, st, "Progressing", "True", "ReplicaSetUpdated",
						 arena_printf(a, "%s is progressing.", who), p->now_ns);
			/* Each step starts the deadline anew. */
			c = condition_find(json_get(st, "conditions"), "Progressing");
			json_set_str(a, c, "lastUpdateTime", time_format(p->now_ns, time));
		} else if (timed_out(c, deadline, p->now_ns)) {
			deployment_set_condition(a, st, "Progressing", "False", "ProgressDeadlineExceeded",
						 arena_printf(a, "%s has timed out progressing.", who), p->now_ns);
		}
	}
	c = condition_find(json_get(st, "conditions"), "Progressing");
	const char *reason = json_path_str(c, "reason");
	if (!c || complete(p->deployment, st) || str_eq(reason, "ProgressDeadlineExceeded") ||
	    str_eq(reason, "DeploymentPaused"))
		return;
	int64_t left_ms = (updated_at(c) + deadline * 1000000000 - p->now_ns) / 1000000;
	p->again_ms = (left_ms > 0 ? left_ms : 0) + 1000;
}

static void judge_available(struct deployment_plan *p, struct json *st)
{
	int64_t surge, unavailable;
	deployment_bounds(p->deployment, &surge, &unavailable);
	if (json_path_int(st, "availableReplicas", 0) >= json_path_int(p->deployment, "spec.replicas", 1) - unavailable)
		deployment_set_condition(p->arena, st, "Available", "True", "MinimumReplicasAvailable",
					 "Deployment has minimum availability.", p->now_ns);
	else
		deployment_set_condition(p->arena, st, "Available", "False", "MinimumReplicasUnavailable",
					 "Deployment does not have minimum availability.", p->now_ns);
}

/* A set that can't make pods shows in its Deployment: the new one first. */
static void judge_failure(struct deployment_plan *p, struct json *st)
{
	const struct json *failure = NULL;
	if (p->new_set)
		failure = meta_condition(p->new_set->tree, "ReplicaFailure");
	for (size_t i = 0; i < p->n_sets && !failure; i++)
		failure = meta_condition(p->sets[i].tree, "ReplicaFailure");
	struct json *conditions = json_get(st, "conditions");
	struct json *c = condition_find(conditions, "ReplicaFailure");
	if (failure)
		deployment_set_condition(p->arena, st, "ReplicaFailure", json_path_str(failure, "status"),
					 json_path_str(failure, "reason"), json_path_str(failure, "message"),
					 p->now_ns);
	else if (c)
		json_remove_child(conditions, c);
}

void deployment_write_status(struct deployment_plan *p)
{
	struct json *old = json_get(p->deployment, "status");
	struct json *st = counts(p);
	judge_available(p, st);
	judge_progress(p, old, st);
	judge_failure(p, st);
	json_set(p->arena, p->deployment, "status", st);
}
