/* SPDX-License-Identifier: Apache-2.0 */
/* The status of a ReplicaSet from its pods. Pure. */
#ifndef PROA_CONTROLLERS_REPLICASET_STATUS_H
#define PROA_CONTROLLERS_REPLICASET_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct json;
struct set_pod;

/*
 * A new status object for set (whose own status is read for its conditions). failure: why pods could not be created or
 * deleted, or NULL; it becomes the condition ReplicaFailure with reason FailedCreate or FailedDelete.
 */
struct json *replicaset_status(struct arena *a, const struct json *set, const struct set_pod *pods, size_t n,
			       const char *failure, bool failed_create, int64_t now_ns);

#endif
