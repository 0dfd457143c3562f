/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which requests are recorded, and how much of them: a Policy of audit.k8s.io/v1 (Kubernetes documentation,
 * "Auditing"). The first rule that matches decides; what no rule matches is not recorded.
 */
#ifndef PROA_SERVER_AUDIT_POLICY_H
#define PROA_SERVER_AUDIT_POLICY_H

#include <stdbool.h>
#include <stddef.h>

struct audit_policy;
struct authz_attributes;
struct status;

#define AUDIT_POLICY_FILE_MAX (256 * 1024)

enum audit_level { AUDIT_NONE, AUDIT_METADATA, AUDIT_REQUEST, AUDIT_REQUEST_RESPONSE };
enum audit_stage { AUDIT_RECEIVED = 1, AUDIT_STARTED = 2, AUDIT_COMPLETE = 4, AUDIT_PANIC = 8 };

extern const char *const audit_level_names[]; /* by enum audit_level, ends with NULL */
const char *audit_stage_name(enum audit_stage s);

struct audit_decision {
	enum audit_level level;
	unsigned omit_stages; /* of enum audit_stage */
	bool omit_managed_fields;
};

/* Parses YAML or JSON. 0, or -1 with everything that is wrong in err. */
int audit_policy_parse(const char *text, size_t len, struct audit_policy **ret, struct status *err);
void audit_policy_free(struct audit_policy *p); /* NULL-safe */
struct audit_decision audit_policy_decide(const struct audit_policy *p, const struct authz_attributes *at);

#endif
