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

#define EACH_MEMBER(x, map)                                                                                            \
	if (json_is((map), JSON_OBJECT))                                                                               \
		JSON_EACH(x, (map))

void bad_required(struct check *c, const char *path, const char *detail); /* detail may be NULL */
/* Each line of detail is a complaint of its own. */
void bad_invalid(struct check *c, const char *path, const struct json *value, const char *detail);
void bad_invalid_str(struct check *c, const char *path, const char *value, const char *detail);
void bad_unsupported(struct check *c, const char *path, const char *value, const char *const *supported);
void bad_forbidden(struct check *c, const char *path, const char *detail);
void bad_duplicate(struct check *c, const char *path, const char *value);
void bad_not_found(struct check *c, const char *path, const char *value);
void bad_too_long(struct check *c, const char *path, size_t max);
void bad_too_many_characters(struct check *c, const char *path, size_t max); /* told in the newer words */
void bad_too_many(struct check *c, const char *path, size_t n, size_t max);
void bad_invalid_plain(struct check *c, const char *path, const char *detail); /* without showing the value */
void bad_duplicate_value(struct check *c, const char *path, const struct json *value);

/* How many complaints there are so far. */
size_t check_count(const struct check *c);

/* Each returns whether the value is fine. v may be NULL (absent): only need_* complain then. */
bool need_str(struct check *c, const char *path, const struct json *v); /* not empty; else Required */
bool check_name(struct check *c, const char *path, const struct json *v,
		const char *(*rule)(const char *));				      /* if set */
bool check_min(struct check *c, const char *path, const struct json *v, int64_t min); /* integers */
bool check_port(struct check *c, const char *path, const struct json *v);
bool check_immutable(struct check *c, const char *path, const char *dotted); /* against old, when there is one */
/* held: name and generateName must be what the rest of the object says. */
void check_derived_name(struct check *c, const char *want, bool held, const char *why);
void check_labels(struct check *c, const char *path, const struct json *labels);
void check_selector(struct check *c, const char *path, const struct json *selector);
void check_quantities(struct check *c, const char *path, const struct json *map); /* not negative */

/*
 * The same for a member of an object at a path ("" is the root). The member's path is built only for a complaint, so
 * that what is fine costs nothing. Absent members are fine, except to need_in.
 */
#define OWNER_ID_MAX 2147483647 /* of uid and gid: an int32 */
static inline bool has_member(const struct json *o, const char *key)
{
	return json_get(o, key) != NULL;
}
const char *member_path(struct check *c, const char *at, const char *key);
bool need_in(struct check *c, const char *at, const struct json *o, const char *key);
bool name_in(struct check *c, const char *at, const struct json *o, const char *key, const char *(*rule)(const char *));
bool choice_in(struct check *c, const char *at, const struct json *o, const char *key, const char *const *set);
bool range_in(struct check *c, const char *at, const struct json *o, const char *key, int64_t min, int64_t max);
bool min_in(struct check *c, const char *at, const struct json *o, const char *key, int64_t min);
bool forbid_in(struct check *c, const char *at, const struct json *o, const char *key, const char *detail);
void names_in(struct check *c, const char *at, const struct json *o, const char *key,
	      const char *(*rule)(const char *));

void check_annotations(struct check *c, const char *path, const struct json *annotations);
/* Metadata of an embedded template that has labels and annotations only. */
void check_template_metadata(struct check *c, const char *path, const struct json *meta);
void check_port_or_name(struct check *c, const char *path, const struct json *v);
/* Whether selector would be complained of: what was stored so may stay so. */
bool selector_is_bad(const struct json *selector);
/* What a value is now and was before, one line each: for messages that say what an update may not change. */
const char *json_diff(struct arena *a, const struct json *before, const struct json *after);

const char *rule_ip(const char *s);
const char *rule_cidr(const char *s);
const char *rule_public_ip(const char *s); /* not unspecified, loopback or link-local */
bool is_ipv6(const char *s);
/* validate_formats.c */
const char *rule_host(const char *s);		   /* a DNS subdomain, or *. and one */
const char *rule_domain_path(const char *s);	   /* "example.com/foo" */
#define DRIVER_NAME_BYTES_MAX 63		   /* the CSI specification's limit of a plugin's name */
const char *rule_csi_driver(const char *s);	   /* but for the limit below a name's */
const char *rule_extended_resource(const char *s); /* "example.com/gpu" */
const char *rule_semver(const char *s);
void check_meta_conditions(struct check *c, const char *path, const struct json *list); /* metav1.Condition */
/* Text must be a percentage. false: neither that nor a count from 0 (complained about). */
bool check_count_or_percent(struct check *c, const char *path, const struct json *v);
bool check_percent_max(struct check *c, const char *path, const struct json *v); /* not above 100% */
bool is_zero_count(const struct json *v);					 /* 0, 0% or absent */

/* How a webhook is reached: a WebhookClientConfig (validate_client_config.c). */
void check_client_config(struct check *c, const char *at, const struct json *config);

/* validate_resources.c: names and amounts of resources */
bool resource_is_native(const char *name);
bool resource_is_extended(const char *name);
bool resource_is_hugepages(const char *name);
bool resource_may_overcommit(const char *name);
bool resource_is_for_quota(const char *name);
bool check_resource_name(struct check *c, const char *path, const char *name);
void check_container_resource_name(struct check *c, const char *path, const char *name);
void check_quota_resource_name(struct check *c, const char *path, const char *name);
void check_resource_amount(struct check *c, const char *path, const struct json *v); /* v->key is the resource */

/* validate_pod.c, validate_pod_update.c, validate_pod_status.c */
void check_pod(struct check *c, const char *subresource);
void check_pod_update(struct check *c, const char *subresource);
void check_pod_status(struct check *c);
/*
 * Labels, annotations and spec of a template; restart: the policies allowed, NULL-terminated. What c->old has at the
 * same path may go on being wrong where upstream bears it.
 */
void check_pod_template(struct check *c, const char *path, const struct json *template, const char *const *restart);

/* A set of names met so far, released with its scope. */
static inline void names_release(struct map *m)
{
	map_release(m, NULL);
}
#define _cleanup_names_ _cleanup_(names_release)

/* Pieces that other kinds have too. */
void check_node_selector(struct check *c, const char *path, const struct json *selector, bool bad_values_allowed);
void check_tolerations(struct check *c, const char *path, const struct json *list);
void check_taints(struct check *c, const char *path, const struct json *list);
void check_claim_spec(struct check *c, const char *path, const struct json *spec, const struct json *old);
void check_csi_driver_name(struct check *c, const char *path, const char *name);

/* validate_core_*.c */
void check_service(struct check *c);
void check_service_status(struct check *c);
void check_endpoints(struct check *c);
void check_config_map(struct check *c);
void check_secret(struct check *c);
void check_node(struct check *c);
void check_persistent_volume(struct check *c);
void check_claim(struct check *c);
void check_claim_status(struct check *c);
void check_resource_quota(struct check *c);
void check_resource_quota_status(struct check *c);
void check_limit_range(struct check *c);

/* validate_core.c: core/v1. The other groups: validate_rules.h. */
void check_core(struct check *c, const char *subresource);
void check_core_status(struct check *c);

#endif
