/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of the control plane that `proa up` hands on to `proa server`: audit, encryption at rest, authentication.
 * They are read before the sandbox is entered and are not remembered: whoever wants them gives them at each start.
 */
#ifndef PROA_CMD_SERVER_OPTIONS_H
#define PROA_CMD_SERVER_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "server/authn_options.h"

struct args;
struct audit_policy;
struct encryption;
struct status;

#define SERVER_OPTION_FLAGS                                                                                            \
	{"audit-policy-file", "FILE", NULL, "Which requests are recorded: a Policy of audit.k8s.io/v1."},              \
	    {"audit-log-path", "FILE", NULL, "Where they are recorded; its directory must be the log's own."},         \
	    {"audit-log-maxsize", "MIB", "100", "When the audit log is full and gets a new file."},                    \
	    {"audit-log-maxbackup", "N", "0", "How many full audit logs are kept; 0 keeps all."},                      \
	    {"encryption-provider-config", "FILE", NULL,                                                               \
	     "How Secrets and others are encrypted on disk: an EncryptionConfiguration."},                             \
	    {"authentication-config", "FILE", NULL, "Who else may come in: an AuthenticationConfiguration."},          \
	    {"anonymous-auth", "true|false", NULL, "Whether requests without credentials are system:anonymous."},      \
	    {"oidc-issuer-url", "URL", NULL, "An OpenID Connect issuer whose ID tokens are accepted."},                \
	    {"oidc-client-id", "ID", NULL, "The audience its tokens must have."},                                      \
	    {"oidc-username-claim", "CLAIM", NULL, "The claim that is the user's name; sub if not given."},            \
	    {"oidc-username-prefix", "TEXT", NULL,                                                                     \
	     "Before that name; the issuer's URL and # if not given, - for none."},                                    \
	    {"oidc-groups-claim", "CLAIM", NULL, "The claim that lists the user's groups."},                           \
	    {"oidc-groups-prefix", "TEXT", NULL, "Before the name of each."},                                          \
	    {"oidc-required-claim", "KEY=VALUE", NULL, "A claim that tokens must have. May be given again."},          \
	    {"oidc-signing-algs", "LIST", NULL, "Accepted algorithms with commas between them; RS256 if not given."},  \
	{                                                                                                              \
		"oidc-ca-file", "FILE", NULL, "The authority of the issuer's certificate; the system's if not given."  \
	}

extern const char *const server_option_names[]; /* ends with NULL */

struct server_options {
	struct audit_policy *policy; /* NULL: no audit log */
	char *audit_path, *audit_dir;
	uint64_t audit_bytes_max;
	unsigned audit_backups_max;
	struct encryption *encryption; /* NULL: everything is plain */
	struct authn_options authn;
};

/* 0, or -1 with what is wrong in err. */
int server_options_load(const struct args *a, const char *own_issuer, struct server_options *ret, struct status *err);
void server_options_release(struct server_options *o);

#endif
