/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: what a cluster wants of objects beyond their validity. A plugin is a row of one const table; mutating
 * functions run in order before defaulting and validation, validating ones after. Both are synchronous and answer from
 * memory. They see the object in its storage version.
 */
#ifndef PROA_SERVER_ADMISSION_H
#define PROA_SERVER_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct arena;
struct json;
struct object;
struct quota_charges;
struct registry;
struct resource;
struct user;

enum admission_operation {
	ADMIT_CREATE = 1 << 0,
	ADMIT_UPDATE = 1 << 1,
	ADMIT_DELETE = 1 << 2,
	ADMIT_CONNECT = 1 << 3,
};

struct admission {
	struct registry *registry;
	enum admission_operation operation;
	const struct resource *resource; /* storage row */
	const char *subresource;	 /* "" for the object itself */
	const char *ns, *name;		 /* "" when absent; name is "" for generateName */
	struct json *object;		 /* new object; NULL for delete. Mutating functions edit it in arena */
	const struct object *old;	 /* update, delete */
	const struct user *user;
	struct arena *arena;
	bool dry_run;
	struct admission_warnings *warnings; /* admission_warn */
	struct json *annotations;	     /* admission_annotate; may be NULL */
	struct quota_charges *charges;	     /* what to take from quotas when the write succeeds; may be NULL */
};

struct admission_plugin {
	const char *name; /* upstream's */
	unsigned operations;
	/* NULL: for every group and resource. */
	const char *group, *resource;
	/* 0, or -1 with err (usually 403). */
	int (*mutate)(const struct admission *a, struct status *err);
	int (*validate)(const struct admission *a, struct status *err);
};

extern const struct admission_plugin *const admission_plugins[]; /* in upstream's order, NULL-terminated */

int admission_mutate(const struct admission *a, struct status *err);
int admission_validate(const struct admission *a, struct status *err);
void admission_warn(const struct admission *a, const char *message); /* a Warning header; message is copied */
/* An annotation of the audit event, if there is one. */
void admission_annotate(const struct admission *a, const char *key, const char *value);
/* 403 as upstream writes it: pods "x" is forbidden: why */
int admission_forbid(const struct admission *a, struct status *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
