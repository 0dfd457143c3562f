/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of a container: envFrom, env with its sources and $(VAR) references, and the variables that describe
 * Services. Pure: objects come through volume_input.
 */
#ifndef PROA_NODE_POD_ENV_H
#define PROA_NODE_POD_ENV_H

#include <stddef.h>

#include "base/vec.h"
#include "node/volume.h"

struct env_var {
	const char *name, *value;
};
/* In order; a name is in it once. Strings are the arena's. */
struct env_list {
	VEC(struct env_var) vars;
};

void env_list_release(struct env_list *e);
void env_list_set(struct env_list *e, const char *name, const char *value);
const char *env_list_get(void *env_list, const char *name); /* an expand_lookup */
/* "K=V" strings, NULL-terminated, in a. */
const char *const *env_list_strings(struct arena *a, const struct env_list *e);

/* The objects that a container's env and envFrom refer to. */
void env_needs(const struct json *container, const struct volume_needs *n);
/*
 * services: array of the Service objects in the pod's namespace plus default/kubernetes, as trees. 0, or -errno with
 * err set: upstream's CreateContainerConfigError with its message.
 */
int env_build(struct env_list *e, const struct json *container, const struct json *const *services, size_t n_services,
	      const struct volume_input *in, struct status *err);
/* The variables of one Service (NAME_SERVICE_HOST, NAME_PORT_80_TCP, …); nothing for headless ones. */
void env_add_service(struct arena *a, struct env_list *e, const struct json *service);

#endif
