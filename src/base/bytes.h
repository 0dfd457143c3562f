/* SPDX-License-Identifier: Apache-2.0 */
/* Immutable reference-counted bytes, shared between readers, connections and threads. The count is atomic. */
#ifndef PROA_BASE_BYTES_H
#define PROA_BASE_BYTES_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/macros.h"

struct buf;

struct bytes {
	_Atomic unsigned refs;
	size_t len;
	char data[]; /* len bytes and a NUL */
};

struct bytes *bytes_new(const void *p, size_t len); /* copies */
struct bytes *bytes_alloc(size_t len);		    /* to be filled before it is shared */
struct bytes *bytes_from_buf(struct buf *b);	    /* copies and clears b */
struct bytes *bytes_ref(struct bytes *b);
void bytes_unref(struct bytes *b); /* NULL-safe */
static inline void cleanup_bytes(struct bytes **b)
{
	bytes_unref(*b);
}
#define _cleanup_bytes_ _cleanup_(cleanup_bytes)

#endif
