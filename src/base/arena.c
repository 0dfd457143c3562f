/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK_FIRST 2048
#define BLOCK_MAX (256 * 1024)
#define ALIGN 8

struct arena_block {
	struct arena_block *next;
	char data[];
};

void arena_release(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;
		a->blocks = b->next;
		free(b);
	}
	*a = (struct arena)ARENA_INIT;
}

static void *alloc_slow(struct arena *a, size_t size)
{
	size_t room = a->total < BLOCK_FIRST ? BLOCK_FIRST : MIN_OF(a->total, (size_t)BLOCK_MAX);

	if (size > room / 2) { /* a block of its own; what is left of the current one stays in use */
		struct arena_block *b = xmalloc(sizeof(*b) + size);
		a->total += size;
		if (a->blocks) {
			b->next = a->blocks->next;
			a->blocks->next = b;
		} else {
			b->next = NULL;
			a->blocks = b;
			a->at = a->end = b->data + size;
		}
		return b->data;
	}
	struct arena_block *b = xmalloc(sizeof(*b) + room);
	a->total += room;
	b->next = a->blocks;
	a->blocks = b;
	a->at = b->data + size;
	a->end = b->data + room;
	return b->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (size > (size_t)(a->end - a->at))
		return alloc_slow(a, size);
	void *p = a->at;
	a->at += size;
	return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
	return memset(arena_alloc(a, size), 0, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_alloc(a, len + 1);
	if (len)
		memcpy(copy, s, len);
	copy[len] = 0;
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	assert(fmt);
	char text[256]; /* of nearly all: so they are formatted once */
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0)
		abort();
	char *s = arena_alloc(a, (size_t)n + 1);
	if ((size_t)n < sizeof(text))
		memcpy(s, text, (size_t)n + 1);
	else if (vsnprintf(s, (size_t)n + 1, fmt, again) != n)
		abort();
	va_end(again);
	return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *s = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return s;
}
