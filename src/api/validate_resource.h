/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules of resource.k8s.io share. */
#ifndef PROA_API_VALIDATE_RESOURCE_H
#define PROA_API_VALIDATE_RESOURCE_H

struct check;
struct json;

/* "[domain/]identifier" */
#define QUALIFIED_ID_BYTES_MAX 32

void check_qualified_attribute(struct check *c, const char *at, const char *s);
void check_pool_name(struct check *c, const char *at, const struct json *v); /* but for being required */
/* Conditions that binding waits for, and those that tell that it failed. */
void check_device_bindings(struct check *c, const char *at, const struct json *device);
void check_device_taint(struct check *c, const char *at, const struct json *taint);
void check_resource_slice(struct check *c); /* validate_resource_slice.c */

#endif
