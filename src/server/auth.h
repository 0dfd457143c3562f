/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between the server and those who know users and rights (authn.c, authz.c: x509, bearer tokens, RBAC).
 * Everything is synchronous and answered from memory; only the keys of other token issuers may be waited for.
 *
 * A struct user is built in the request's arena and borrowed from then on; it has no owner of its own.
 */
#ifndef PROA_SERVER_AUTH_H
#define PROA_SERVER_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct http_request;
struct json;
struct status;

struct user_extra {
	const char *key;
	const char *const *values;
	size_t n_values;
};

struct user {
	const char *name, *uid; /* uid may be NULL */
	const char *const *groups;
	size_t n_groups;
	const struct user_extra *extra;
	size_t n_extra;
};

bool user_in_group(const struct user *u, const char *group);
/* A user with up to three groups (NULL: fewer) in a. */
struct user *user_new(struct arena *a, const char *name, const char *group1, const char *group2, const char *group3);
/* userInfo as in authentication.k8s.io: {username, uid, groups, extra}. */
struct json *user_to_json(struct arena *a, const struct user *u);

#define USER_ANONYMOUS "system:anonymous"
#define GROUP_AUTHENTICATED "system:authenticated"
#define GROUP_UNAUTHENTICATED "system:unauthenticated"
#define GROUP_MASTERS "system:masters"

/* What a bound service account token says; also what issue_token signs. NULL: absent. */
struct token_spec {
	const char *ns, *name, *uid; /* of the service account */
	const char *const *audiences;
	size_t n_audiences;				 /* 0: the API server's own */
	int64_t expiration_seconds;			 /* 0: the default, 3600 */
	const char *bound_kind, *bound_name, *bound_uid; /* Pod, Secret or Node */
	const char *node_name, *node_uid;
	bool extended; /* lasts a year, and says since when it is stale */
};

struct authenticator_ops {
	/* 0 with *ret filled in (anonymous included, when allowed); -1 with a 401 in err. */
	int (*authenticate)(void *self, struct http_request *r, struct arena *a, struct user *ret, struct status *err);
	/*
	 * true: what it takes to judge the request is on its way, and fn(arg) will be called once, when authenticate
	 * is to be asked. Everything else is judged from memory. May be NULL: never.
	 */
	bool (*await)(void *self, struct http_request *r, void (*fn)(void *arg), void *arg);
	/* TokenReview. 0: valid, *ret and the audiences (a JSON array, may be NULL) set; -1: not, reason in err. */
	int (*review_token)(void *self, const char *token, const struct json *audiences, struct arena *a,
			    struct user *ret, struct json **ret_audiences, struct status *err);
	/* TokenRequest. 0 with a token in a and its expiry in seconds since 1970; -1 with err. */
	int (*issue_token)(void *self, const struct token_spec *spec, struct arena *a, char **ret_token,
			   int64_t *ret_expires_s, struct status *err);
	/* What verifies those tokens, for others: the issuer's name, and a JWK Set. May be NULL: not published. */
	const char *(*issuer)(void *self);
	struct json *(*key_set)(void *self, struct arena *a);
};

struct authz_attributes {
	const struct user *user;
	const char *verb;
	const char *group, *version, *resource, *subresource; /* resource requests; "" when absent, never NULL */
	const char *ns, *name;				      /* likewise */
	const char *path;				      /* non-resource requests */
	const char *field_selector, *label_selector;	      /* of lists, watches, deletecollection; NULL: none */
	bool resource_request;
};

#define AUTHZ_REASON_MAX 256

struct authorizer_ops {
	/* 1: allowed, 0: nobody allows it (denied). reason (AUTHZ_REASON_MAX bytes) is set to a string, maybe "". */
	int (*authorize)(void *self, const struct authz_attributes *attr, char *reason);
	/*
	 * SelfSubjectRulesReview: fills two JSON arrays in a: resourceRules {verbs, apiGroups, resources,
	 * resourceNames} and nonResourceRules {verbs, nonResourceURLs}. NULL ops: the review answers incomplete.
	 */
	void (*rules)(void *self, const struct user *user, const char *ns, struct arena *a, struct json *resource_rules,
		      struct json *non_resource_rules);
};

/* Both halves, as the server and the registry get them. authz NULL: everything is allowed (tests, local sockets). */
struct auth {
	const struct authenticator_ops *authn;
	void *authn_self;
	const struct authorizer_ops *authz;
	void *authz_self;
};

/* true: allowed. reason must have AUTHZ_REASON_MAX bytes. */
bool auth_allowed(const struct auth *auth, const struct authz_attributes *attr, char *reason);
/* The message of the 403 that upstream would send; into a. */
char *auth_forbidden_message(struct arena *a, const struct authz_attributes *attr, const char *reason);

#endif
