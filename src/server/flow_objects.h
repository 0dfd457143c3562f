/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The priority levels and flow schemas that every cluster has: the mandatory ones, which are kept as they are here, and
 * upstream's suggestions, which are kept as long as their annotation apf.kubernetes.io/autoupdate-spec is "true". The
 * numbers are those that Kubernetes documents for v1.37.
 */
#ifndef PROA_SERVER_FLOW_OBJECTS_H
#define PROA_SERVER_FLOW_OBJECTS_H

#include <stdbool.h>

struct arena;
struct json;
struct server;

#define FLOW_AUTOUPDATE "apf.kubernetes.io/autoupdate-spec"

/* Levels come before the schemas that name them. The object is built in a. */
void flow_objects_each(struct arena *a, void (*fn)(void *arg, const char *plural, bool mandatory, struct json *object),
		       void *arg);

/* Restores what must be, and keeps the Dangling condition of flow schemas true; watches the store. */
struct flow_upkeep;
struct flow_upkeep *flow_upkeep_new(struct server *s);
void flow_upkeep_free(struct flow_upkeep *u); /* NULL-safe */

#endif
