/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of validation share: one check collects causes into a status. Paths are text in the check's arena;
 * values are shown in messages as upstream shows them (strings quoted, the rest as JSON).
 */
#ifndef PROA_API_VALIDATE_INTERNAL_H
#define PROA_API_VALIDATE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/map.h"

struct resource;
struct status;

struct check {
	struct arena arena;
	struct status *err;
	const struct resource *resource;
	const struct json *tree, *old; /* old: NULL on create */
};

#define PATH(c, ...) arena_printf(&(c)->arena, __VA_ARGS__)
#define EACH_ITEM(x, list)                                                                                             \
	if (json_is((list), JSON_ARRAY))                                                                               \
		JSON_EACH(x, (list))

void bad_required(struct check *c, const char *path, const char *detail); /* detail may be NULL */
void bad_invalid(struct check *c, const char *path, const struct json *value, const char *detail);
void bad_invalid_str(struct check *c, const char *path, const char *value, const char *detail);
void bad_unsupported(struct check *c, const char *path, const char *value, const char *const *supported);
void bad_forbidden(struct check *c, const char *path, const char *detail);
void bad_duplicate(struct check *c, const char *path, const char *value);
void bad_not_found(struct check *c, const char *path, const char *value);
void bad_too_long(struct check *c, const char *path, size_t max);

/* Each returns whether the value is fine. v may be NULL (absent): only need_* complain then. */
bool need_str(struct check *c, const char *path, const struct json *v); /* not empty; else Required */
bool check_name(struct check *c, const char *path, const struct json *v,
		const char *(*rule)(const char *));				      /* if set */
bool check_min(struct check *c, const char *path, const struct json *v, int64_t min); /* integers */
bool check_port(struct check *c, const char *path, const struct json *v);
bool check_immutable(struct check *c, const char *path, const char *dotted); /* against old, when there is one */
void check_labels(struct check *c, const char *path, const struct json *labels);
void check_selector(struct check *c, const char *path, const struct json *selector);
void check_quantities(struct check *c, const char *path, const struct json *map); /* not negative */

const char *rule_ip(const char *s);
const char *rule_cidr(const char *s);

/* validate_pod.c */
void check_pod_spec(struct check *c, const char *path, const struct json *spec);
void check_pod_update(struct check *c, const char *subresource);
/* Labels, annotations and spec of a template; restart: the policies allowed, NULL-terminated. */
void check_pod_template(struct check *c, const char *path, const struct json *template, const char *const *restart);

/* A set of names met so far, released with its scope. */
static inline void names_release(struct map *m)
{
	map_release(m, NULL);
}
#define _cleanup_names_ _cleanup_(names_release)

/* validate_core.c: core/v1; validate_kinds.c, validate_workloads.c: the other groups. */
void check_core(struct check *c, const char *subresource);
void check_kind(struct check *c, const char *subresource);
void check_workload(struct check *c);

#endif
