/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a Job's spec about when it has failed or succeeded (path: of the spec), and of its status. */
#ifndef PROA_API_VALIDATE_JOB_POLICY_H
#define PROA_API_VALIDATE_JOB_POLICY_H

struct check;
struct json;

void check_job_limits(struct check *c, const char *path, const struct json *spec); /* per index */
void check_pod_failure_policy(struct check *c, const char *path, const struct json *spec);
void check_success_policy(struct check *c, const char *path, const struct json *spec);
void check_job_status(struct check *c, const char *subresource); /* validate_job_status.c */

#endif
