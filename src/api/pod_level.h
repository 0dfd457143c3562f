/* SPDX-License-Identifier: Apache-2.0 */
/* What the containers of a pod need together, for defaults and checks of spec.resources. */
#ifndef PROA_API_POD_LEVEL_H
#define PROA_API_POD_LEVEL_H

#include <stdbool.h>

struct arena;
struct json;

/* cpu, memory, hugepages-*: what a pod as a whole may ask for. */
bool pod_level_resource(const char *name);
/*
 * The sum of requests (or limits) of all containers, as an object in a: those that run side by side are added
 * (sidecars with what runs beside and after them), of the init containers that run alone the largest counts. An
 * overhead is not part of it.
 */
struct json *pod_containers_sum(struct arena *a, const struct json *spec, const char *requests_or_limits);

#endif
