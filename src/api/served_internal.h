/* SPDX-License-Identifier: Apache-2.0 */
/* Which groups and versions a resource_set serves, in discovery order: shared by discovery and OpenAPI. */
#ifndef PROA_API_SERVED_INTERNAL_H
#define PROA_API_SERVED_INTERNAL_H

#include <stddef.h>

#include "base/vec.h"

struct resource;
struct resource_set;

struct group_version {
	const char *group, *version;
};
/* A vector; the versions of a group are neighbours, the preferred one first. */
struct group_versions {
	struct group_version *at;
	size_t n, cap;
};

void served_collect(const struct resource_set *set, struct group_versions *out);

/* Rows of one group and version: for (r = served_next(…, NULL); r; r = served_next(…, r)). */
struct served_iter {
	const struct resource_set *set;
	const char *group, *version;
	size_t at;
};
const struct resource *served_next(struct served_iter *it);

/* "v1" or "apps/v1"; the buffer is large enough for legal names (group 253, version 63). */
#define API_VERSION_MAX 320
char *served_api_version(const char *group, const char *version, char out[API_VERSION_MAX]);

#endif
