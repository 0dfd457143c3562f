/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules of resource.k8s.io share. */
#ifndef PROA_API_VALIDATE_RESOURCE_H
#define PROA_API_VALIDATE_RESOURCE_H

struct check;
struct json;

/* "[domain/]identifier" */
#define QUALIFIED_DOMAIN_BYTES_MAX 63
#define QUALIFIED_ID_BYTES_MAX 32

const char *rule_c_identifier(const char *s);
const char *rule_qualified_attribute(const char *s);
const char *rule_pool_name(const char *s);
void check_device_taint(struct check *c, const char *at, const struct json *taint);
void check_resource_slice(struct check *c); /* validate_resource_slice.c */

#endif
