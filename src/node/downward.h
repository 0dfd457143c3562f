/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container may learn about its own pod: fieldRef and resourceFieldRef, in environment variables and downward
 * API files. Pure.
 */
#ifndef PROA_NODE_DOWNWARD_H
#define PROA_NODE_DOWNWARD_H

#include <stdint.h>

struct arena;
struct json;
struct status;

struct downward {
	const struct json *pod;
	const char *pod_ip, *host_ip; /* NULL: not known */
	const char *node_name;
	int64_t allocatable_cpu_milli, allocatable_memory, allocatable_storage; /* stand in for absent limits */
};

/* The text, in a; NULL with err set (400) when the field is not one that may be referred to. */
const char *downward_field(struct arena *a, const struct downward *d, const char *field_path, struct status *err);
/*
 * ref: a ResourceFieldSelector; container: the Container spec that it is about (ref's containerName is the caller's
 * to look up). NULL with err set when the resource is unknown.
 */
const char *downward_resource(struct arena *a, const struct downward *d, const struct json *container,
			      const struct json *ref, struct status *err);
/* The container (also init or ephemeral) of that name in the pod, or NULL. */
const struct json *downward_container(const struct json *pod, const char *name);

#endif
