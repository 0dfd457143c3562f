/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer with a maximum. Once an append would pass `max` the buffer is marked failed, keeps what it
 * had, and ignores further appends: check buf_failed() once at the end. data is always NUL-terminated after an append
 * (the NUL is not counted in len).
 */
#ifndef PROA_BASE_BUF_H
#define PROA_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct buf {
	char *data;
	size_t len, cap;
	size_t max; /* 0: no limit */
	bool failed;
};

#define BUF_INIT                                                                                                       \
	{                                                                                                              \
		0                                                                                                      \
	}
#define _cleanup_buf_ _cleanup_(buf_release)

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
static inline bool buf_failed(const struct buf *b)
{
	return b->failed;
}
/* Makes room for n more bytes and returns where to write them, or NULL when over the maximum. len is not changed. */
char *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_consume(struct buf *b, size_t n);	 /* drops n bytes from the front */
char *buf_steal(struct buf *b, size_t *ret_len); /* hands over a malloc'd, NUL-terminated string ("" when empty) */
const char *buf_str(const struct buf *b);	 /* never NULL */

#endif
