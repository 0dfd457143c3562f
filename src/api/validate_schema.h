/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemas of custom resources (JSONSchemaProps): well-formed, and structural, that is, the type of every field is said
 * once, outside of allOf, anyOf, oneOf and not. Expressions are looked at only for their presence.
 */
#ifndef PROA_API_VALIDATE_SCHEMA_H
#define PROA_API_VALIDATE_SCHEMA_H

struct check;
struct json;

void check_schema(struct check *c, const char *path, const struct json *root);

#endif
