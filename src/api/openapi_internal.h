/* SPDX-License-Identifier: Apache-2.0 */
/* The writers that OpenAPI v2 and v3 share: schemas of types (openapi_schema.c) and paths (openapi_paths.c). */
#ifndef PROA_API_OPENAPI_INTERNAL_H
#define PROA_API_OPENAPI_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "api/json_out.h"

struct resource;
struct resource_set;
struct type;

/* A document in the making. types collects what has been referred to; their schemas are written last. */
struct openapi {
	struct json_out w;
	const struct resource_set *set;
	bool v2; /* Swagger 2.0 instead of OpenAPI 3.0 */
	struct {
		const struct type **at;
		size_t n, cap;
	} types;
};

#define OPENAPI_META "io.k8s.apimachinery.pkg.apis.meta.v1."

void openapi_release(struct openapi *o);
/* Remembers that the document needs this type, and writes {"$ref": …} to it. */
void openapi_ref(struct openapi *o, const char *key, const struct type *t);
void openapi_ref_name(struct openapi *o, const char *key, const char *model);
/* The schemas of all types needed, which may need more: the members of definitions or components.schemas. */
void openapi_write_types(struct openapi *o);
/* The schemas of a custom row and its list, from set->schema. */
void openapi_write_custom(struct openapi *o, const struct resource *r);
/* "com.example.v1.Widget"; suffix "List" or "". */
struct buf;
void openapi_custom_name(const struct resource *r, const char *suffix, struct buf *out);

/* The members of paths for all rows of a group and version. */
void openapi_write_paths(struct openapi *o, const char *group, const char *version);

/* [{"group", "version", "kind"}, …] of a type; nothing when it is no kind. */
void openapi_write_kinds(struct openapi *o, const struct type *t);

#endif
