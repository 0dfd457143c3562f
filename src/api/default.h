/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Defaults: what upstream v1.37 fills in when a field is left out. First the type table's default_json values, then
 * functions for kinds whose defaults depend on other fields. Applied to every object after it was decoded or patched
 * and before admission, also to those read by an older version. Values that the server allocates (clusterIP,
 * ipFamilies, node ports, uid, timestamps) are not set here.
 */
#ifndef PROA_API_DEFAULT_H
#define PROA_API_DEFAULT_H

struct arena;
struct json;
struct resource;

/* Edits tree in place. Idempotent. */
void default_object(struct arena *a, const struct resource *r, struct json *tree);

#endif
