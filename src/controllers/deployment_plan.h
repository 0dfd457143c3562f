/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Deployment asks for next: a pure function of the Deployment, its ReplicaSets and the time. It edits the trees
 * it is given (sizes, annotations, conditions) and marks what has to be written. One step a call: what follows from the
 * step is decided when its effect is seen, as upstream does.
 *
 * Rolling update: at most replicas + maxSurge pods wanted in all sets, at least replicas - maxUnavailable available.
 * Recreate: the new set grows when no pod of the old ones is left.
 */
#ifndef PROA_CONTROLLERS_DEPLOYMENT_PLAN_H
#define PROA_CONTROLLERS_DEPLOYMENT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct json;
struct object;

#define DEPLOYMENT_REVISION "deployment.kubernetes.io/revision"
#define DEPLOYMENT_REVISION_HISTORY "deployment.kubernetes.io/revision-history"
#define DEPLOYMENT_DESIRED "deployment.kubernetes.io/desired-replicas"
#define DEPLOYMENT_MAX "deployment.kubernetes.io/max-replicas"

struct plan_set {
	struct object *obj; /* NULL: to be created */
	struct json *tree;
	bool write, delete;
	const char *event; /* ScalingReplicaSet message to record once it is written, or NULL */
};

struct deployment_plan {
	/* in */
	struct arena *arena;
	struct object *obj;
	struct json *deployment; /* edited: the revision annotation, status */
	struct plan_set *sets;	 /* with room for one more */
	size_t n_sets;
	bool old_pods_left; /* pods (not finished) of other sets than the new one; for Recreate */
	int64_t now_ns;
	/* out */
	struct plan_set *new_set; /* in sets, or NULL */
	int64_t again_ms;	  /* look again after this time; -1: no need */
};

/* The set whose template is the Deployment's, or NULL. */
struct plan_set *deployment_find_new(const struct json *deployment, struct plan_set *sets, size_t n);
void deployment_plan(struct deployment_plan *p);
/* Writes a condition with lastUpdateTime; unchanged when status and reason are the same. */
void deployment_set_condition(struct arena *a, struct json *status, const char *type, const char *value,
			      const char *reason, const char *message, int64_t now_ns);

#endif
