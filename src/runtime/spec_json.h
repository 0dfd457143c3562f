/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specs to JSON and back, by one table per struct. Absent members are zero; unknown ones are ignored, so that an older
 * shim understands a newer agent. Decoded specs live in the arena. -EINVAL: a member has the wrong type.
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
struct json *spec_resources_to_json(struct arena *a, const struct spec_resources *s);
int spec_resources_from_json(struct arena *a, const struct json *v, struct spec_resources *ret);
struct json *container_status_to_json(struct arena *a, const struct container_status *s);
int container_status_from_json(struct arena *a, const struct json *v, struct container_status *ret);

#endif
