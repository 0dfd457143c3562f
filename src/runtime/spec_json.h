/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specs to JSON and back, by one table per struct. Absent members are zero, and members that are zero are left out.
 * -EOPNOTSUPP: a spec has a member that is not known, asked for by a newer agent: what it restricts would silently not
 * be restricted. Of a status unknown ones are skipped. Decoded specs live in the arena. -EINVAL: a member has the wrong
 * type.
 */
#ifndef PROA_RUNTIME_SPEC_JSON_H
#define PROA_RUNTIME_SPEC_JSON_H

#include "runtime/spec.h"

struct arena;
struct json;

struct json *pod_spec_to_json(struct arena *a, const struct pod_spec *s);
int pod_spec_from_json(struct arena *a, const struct json *v, struct pod_spec *ret);
struct json *container_spec_to_json(struct arena *a, const struct container_spec *s);
int container_spec_from_json(struct arena *a, const struct json *v, struct container_spec *ret);
/* The name of the first member that is not known; NULL: there is none. */
const char *container_spec_unknown(const struct json *v);
struct json *spec_resources_to_json(struct arena *a, const struct spec_resources *s);
int spec_resources_from_json(struct arena *a, const struct json *v, struct spec_resources *ret);
struct json *container_status_to_json(struct arena *a, const struct container_status *s);
int container_status_from_json(struct arena *a, const struct json *v, struct container_status *ret);

#endif
