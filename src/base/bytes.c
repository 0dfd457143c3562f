/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

struct bytes *bytes_alloc(size_t len)
{
	struct bytes *b = xmalloc(sizeof(*b) + len + 1);
	atomic_init(&b->refs, 1);
	b->len = len;
	b->data[len] = 0;
	return b;
}

struct bytes *bytes_new(const void *p, size_t len)
{
	struct bytes *b = bytes_alloc(len);
	if (len)
		memcpy(b->data, p, len);
	return b;
}

struct bytes *bytes_from_buf(struct buf *b)
{
	struct bytes *r = bytes_new(b->data, b->len);
	buf_clear(b);
	return r;
}

struct bytes *bytes_ref(struct bytes *b)
{
	if (b)
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void bytes_unref(struct bytes *b)
{
	if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		free(b);
}
