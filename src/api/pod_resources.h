/* SPDX-License-Identifier: Apache-2.0 */
/* What a Pod as a whole asks for and may use, and the class of service that follows from it. Pure. */
#ifndef PROA_API_POD_RESOURCES_H
#define PROA_API_POD_RESOURCES_H

#include "api/amounts.h"

struct arena;
struct json;

/*
 * list: "requests" or "limits". max(sum of containers and sidecars, each init container with the sidecars before it);
 * spec.resources takes the place of the sum for the resources it names; overhead comes on top (for limits: of resources
 * that have one). A container that was resized counts with the larger of what it should have and what it still has.
 */
struct amounts pod_amounts(struct arena *a, const struct json *pod, const char *list);

/* "BestEffort", "Burstable" or "Guaranteed". */
const char *pod_qos_class(const struct json *pod);

#endif
