/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one hash map: strings to pointers. Keys are copied; values belong to the caller. Hashing is keyed with a
 * per-process random seed, so that keys chosen by a client cannot collide on purpose. Iteration order is unspecified.
 */
#ifndef PROA_BASE_MAP_H
#define PROA_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	char *key; /* NULL: empty */
	void *value;
	uint32_t hash;
};

struct map {
	struct map_slot *slots;
	size_t n, cap; /* cap: 0 or a power of two */
};

#define MAP_INIT                                                                                                       \
	{                                                                                                              \
		0                                                                                                      \
	}

void map_release(struct map *m, void (*free_value)(void *)); /* free_value may be NULL */
void *map_get(const struct map *m, const char *key);	     /* NULL when absent */
bool map_has(const struct map *m, const char *key);
void *map_set(struct map *m, const char *key, void *value); /* returns the value it replaced, or NULL */
void *map_remove(struct map *m, const char *key);	    /* returns the removed value, or NULL */

/* for (struct map_slot *s = map_next(m, NULL); s; s = map_next(m, s)); the map must not change meanwhile. */
struct map_slot *map_next(const struct map *m, struct map_slot *after);
#define MAP_EACH(s, m) for (struct map_slot *s = map_next((m), NULL); s; s = map_next((m), s))

/* Keyed hash of bytes, for tables elsewhere. */
uint64_t hash_bytes(const void *p, size_t len);

#endif
