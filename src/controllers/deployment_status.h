/* SPDX-License-Identifier: Apache-2.0 */
/* The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure. Pure. */
#ifndef PROA_CONTROLLERS_DEPLOYMENT_STATUS_H
#define PROA_CONTROLLERS_DEPLOYMENT_STATUS_H

#include <stdbool.h>
#include <stdint.h>

struct deployment_plan;
struct json;

/* spec.progressDeadlineSeconds; -1: none. */
int64_t deployment_deadline_s(const struct json *deployment);
/* maxSurge and maxUnavailable as numbers of pods. */
void deployment_bounds(const struct json *deployment, int64_t *ret_surge, int64_t *ret_unavailable);
/* Replaces status in p->deployment; sets p->again_ms to the moment the deadline would be exceeded. */
void deployment_write_status(struct deployment_plan *p);
/* By the status just written: everything is updated and available. */
bool deployment_complete(const struct deployment_plan *p);

#endif
