/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a Container of a Pod to what the runtime is told: command, environment, user, security, resources, mounts.
 * Pure but for the descriptors that subPath mounts need (subpath.h).
 */
#ifndef PROA_NODE_CONTAINER_BUILD_H
#define PROA_NODE_CONTAINER_BUILD_H

#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "runtime/spec.h"

struct arena;
struct env_list;
struct image;
struct json;
struct status;
struct volume;

struct build_input {
	struct arena *arena; /* everything in the result lives here */
	const struct json *pod, *container;
	const struct image *image;
	const char *id;
	const char *hostname;
	const char *upperdir, *workdir, *log_path;
	/* Files of the agent's that are mounted; NULL: not mounted. */
	const char *hosts_path, *resolv_path, *hostname_path, *termination_path;
	const struct volume *volumes;
	size_t n_volumes;
	struct env_list *env; /* env_build's; may be added to */
	int64_t node_memory;  /* capacity: what the out-of-memory score of Burstable containers is relative to */
	/* Compiled filter of a Localhost seccomp profile, or NULL with err set; may be NULL: there are none. */
	const char *(*seccomp_localhost)(void *arg, const char *profile, struct status *err);
	void *arg;
};

struct build_fds {
	VEC(int) fds;
};
void build_fds_release(struct build_fds *f); /* closes them */

/* 0, or -errno with err set; its reason is the container's waiting reason. */
int container_build(const struct build_input *in, struct container_spec *ret, struct build_fds *fds,
		    struct status *err);

/* What exec needs of a container's spec: args as given, the rest the container's own. */
int64_t build_oom_score(const struct json *pod, const struct json *container, int64_t node_memory);
void build_resources(const struct json *resources, struct spec_resources *ret);
/* The pod's cgroup: sums of its containers. */
void build_pod_resources(const struct json *pod, struct spec_resources *ret);
/* "SIGUSR1", "USR1", "10" -> number; 0 when it isn't one. */
int build_signal(const char *name);

#endif
