/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Pod Security Standards (levels privileged, baseline, restricted) in every version that changed them. A pod spec
 * is judged as it is written; nothing is looked up. Order of checks and substance of findings are those of v1.37, so
 * that what a user reads is the same everywhere.
 */
#ifndef PROA_API_POD_SECURITY_H
#define PROA_API_POD_SECURITY_H

#include <stdbool.h>

struct arena;
struct json;

enum pod_security_level { POD_SECURITY_PRIVILEGED, POD_SECURITY_BASELINE, POD_SECURITY_RESTRICTED };

#define POD_SECURITY_LATEST 1000000 /* as a minor version: newer than all */

struct pod_security_policy {
	enum pod_security_level level;
	int minor; /* of v1.x, or POD_SECURITY_LATEST */
};

/* "restricted:latest", "baseline:v1.27". In a. */
const char *pod_security_text(struct arena *a, struct pod_security_policy p);
/* false: not one of the levels; not "latest" or "v1.x". *ret is then the strictest: restricted, latest. */
bool pod_security_parse_level(const char *text, enum pod_security_level *ret);
bool pod_security_parse_version(const char *text, int *ret_minor);

/*
 * Judges a pod or a template: its metadata and spec. true: allowed. Otherwise *ret_details says what is wrong
 * ("privileged (container "c" must not …), host namespaces (hostPID=true)") and *ret_reasons only which rules; in a.
 */
bool pod_security_check(struct arena *a, struct pod_security_policy p, const struct json *metadata,
			const struct json *spec, const char **ret_details, const char **ret_reasons);

#endif
