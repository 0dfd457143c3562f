/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator whose contents are freed together: one for a request, a sync, a test.
 * Memory is aligned to 8 bytes and not zeroed unless said so. Nothing allocated here is freed alone.
 */
#ifndef PROA_BASE_ARENA_H
#define PROA_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/macros.h"

struct arena_block;

struct arena {
	struct arena_block *blocks;
	char *at, *end;
	size_t total; /* bytes taken from the heap so far */
};

#define ARENA_INIT                                                                                                     \
	{                                                                                                              \
		0                                                                                                      \
	}

void arena_release(struct arena *a); /* frees everything; the arena may be used again */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len); /* NUL-terminated copy */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define _cleanup_arena_ _cleanup_(arena_release)

#endif
