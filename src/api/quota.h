/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ResourceQuota as arithmetic: which objects a quota is about and what each uses of it. Shared by the admission plugin,
 * which charges new objects, and by the controller, which counts what is there. Pure.
 */
#ifndef PROA_API_QUOTA_H
#define PROA_API_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "api/amounts.h"

struct arena;
struct json;
struct resource;

/* Does the resource name in a quota ("pods", "requests.cpu", "count/jobs.batch") concern objects of this resource? */
bool quota_names(const struct resource *r, const char *name);
/* Are all scopes of the quota (spec.scopes, spec.scopeSelector) met by the object? */
bool quota_scopes_match(const struct json *quota, const struct resource *r, const struct json *object);
/* Everything an object uses, under every name that counts it. */
struct amounts quota_usage(struct arena *a, const struct resource *r, const struct json *object, int64_t now_ns);
/* May objects of this resource use anything but the number of objects, or come under scopes? false: counting does. */
bool quota_needs_object(const struct resource *r);
/*
 * "must specify limits.cpu for: a,b; memory for: a": what the containers of a Pod leave open although the quota
 * (its hard amounts) limits it. NULL: nothing. In a.
 */
const char *quota_unspecified(struct arena *a, const struct amounts *hard, const struct json *pod);

#endif
