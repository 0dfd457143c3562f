/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap allocation. These never return NULL: when memory is gone the process reports it and aborts, and is started
 * again by its supervisor (starting is recovering). Sizes that come from outside are bounded by their readers before
 * they get here.
 */
#ifndef PROA_BASE_MEM_H
#define PROA_BASE_MEM_H

#include <stddef.h>

#include "base/macros.h"

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);		 /* NULL gives NULL */
void xreplace(char **at, const char *s); /* *at is freed, and becomes a copy of s, which may be in it, or NULL */
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
void *xmemdup(const void *p, size_t len);

#define NEW(type) ((type *)xcalloc(1, sizeof(type)))

#endif
