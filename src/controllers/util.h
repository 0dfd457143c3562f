/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about pods and templates that several controllers ask for. All pure. */
#ifndef PROA_CONTROLLERS_UTIL_H
#define PROA_CONTROLLERS_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct informer;
struct json;
struct label_selector;
struct object;
struct object_list;

/* "25%" of total (rounded up or down) or a plain number; absent gives fallback. */
int64_t int_or_percent(const struct json *v, int64_t total, bool round_up, int64_t fallback);

bool pod_active(const struct json *pod);   /* neither finished nor being deleted */
bool pod_finished(const struct json *pod); /* Succeeded or Failed */
bool pod_ready(const struct json *pod);
/* Ready for min_ready_s. */
bool pod_available(const struct json *pod, int64_t min_ready_s, int64_t now_ns);
int64_t pod_restarts(const struct json *pod); /* the highest of its containers */

/*
 * A stable hash of a pod template (without the pod-template-hash label), rendered in the alphabet of generated names.
 * collisions: Deployment.status.collisionCount. Equal templates give equal hashes whatever the order of their members.
 */
#define TEMPLATE_HASH_MAX 17
char *template_hash(const struct json *template, int64_t collisions, char out[TEMPLATE_HASH_MAX]);

/* A new pod from a template, owned by owner; generateName is prefix + "-". Without a name. */
struct json *pod_from_template(struct arena *a, const struct json *template, const struct object *owner,
			       const char *prefix);

/* The condition `type` as in conditions, whatever list they are in. */
struct json *condition_find(const struct json *conditions, const char *type);

/* Index functions for informers. */
void index_orphan_ns(const struct object *obj, void (*emit)(void *ctx, const char *value),
		     void *ctx); /* no controller */

#endif
