/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ResourceList as a small table: names and exact quantities. In an arena; names are borrowed from the tree they were
 * read from, or from the arena. Order is that of insertion; amounts_sort makes texts stable.
 */
#ifndef PROA_API_AMOUNTS_H
#define PROA_API_AMOUNTS_H

#include <stddef.h>

#include "api/quantity.h"

struct arena;
struct json;

struct amount {
	const char *name;
	struct quantity value;
};

struct amounts {
	struct amount *at;
	size_t n, cap;
};

/* NULL when it is not there. */
struct quantity *amounts_get(const struct amounts *m, const char *name);
void amounts_set(struct arena *a, struct amounts *m, const char *name, struct quantity value);
void amounts_set_int(struct arena *a, struct amounts *m, const char *name, int64_t value);
/* Of a ResourceList; what is no quantity is left out. */
struct amounts amounts_read(struct arena *a, const struct json *list);
void amounts_add(struct arena *a, struct amounts *into, const struct amounts *from);
void amounts_sub(struct arena *a, struct amounts *into, const struct amounts *from);
void amounts_max(struct arena *a, struct amounts *into, const struct amounts *from);
void amounts_sort(struct amounts *m); /* by name */
struct json *amounts_json(struct arena *a, const struct amounts *m);

#endif
