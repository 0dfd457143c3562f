/* SPDX-License-Identifier: Apache-2.0 */
/* The write queue of a stream: small writes are gathered, shared bytes are referenced. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "io/stream_internal.h"

#define CHUNK_MIN 512	      /* first own chunk of a burst: a small reply */
#define CHUNK_MAX (64 * 1024) /* own chunks grow up to this, then another begins */
#define COPY_BELOW 2048	      /* shared bytes shorter than this are copied: cheaper than a record of their own */

static void chunk_release(struct chunk *c)
{
	bytes_unref(c->ref);
	free(c->own);
}

/* The last chunk if own bytes may be appended to it. */
static struct chunk *open_chunk(struct out_queue *q, size_t locked)
{
	if (q->chunks.n <= q->head + locked)
		return NULL;
	struct chunk *c = &VEC_LAST(&q->chunks);
	return c->ref || c->end >= CHUNK_MAX ? NULL : c;
}

void stream_queue_add(struct out_queue *q, size_t locked, const void *p, size_t len)
{
	if (!len)
		return;
	struct chunk *c = open_chunk(q, locked);
	if (!c) {
		struct chunk fresh = {0};
		VEC_PUSH(&q->chunks, fresh);
		c = &VEC_LAST(&q->chunks);
	}
	if (c->cap - c->end < len) {
		size_t cap = c->cap ? c->cap * 2 : CHUNK_MIN;
		while (cap < c->end + len)
			cap *= 2;
		c->own = xrealloc(c->own, cap);
		c->cap = cap;
	}
	memcpy(c->own + c->end, p, len);
	c->end += len;
	q->len += len;
}

void stream_queue_add_bytes(struct out_queue *q, size_t locked, struct bytes *b, size_t offset, size_t len)
{
	assert(offset <= b->len && len <= b->len - offset);
	if (len < COPY_BELOW) {
		stream_queue_add(q, locked, b->data + offset, len);
		return;
	}
	struct chunk c = {.ref = bytes_ref(b), .off = offset, .end = offset + len};
	VEC_PUSH(&q->chunks, c);
	q->len += len;
}

static const char *chunk_data(const struct chunk *c)
{
	return (c->ref ? c->ref->data : c->own) + c->off;
}

void stream_queue_consume(struct out_queue *q, size_t n)
{
	assert(n <= q->len);
	q->len -= n;
	while (n) {
		struct chunk *c = &q->chunks.at[q->head];
		size_t take = MIN_OF(n, c->end - c->off);
		c->off += take;
		n -= take;
		if (c->off == c->end) {
			chunk_release(c);
			q->head++;
		}
	}
	if (!q->len)
		stream_queue_release(q); /* an idle stream keeps no queue */
	else if (q->head > 64 && q->head > q->chunks.n / 2) {
		memmove(q->chunks.at, q->chunks.at + q->head, (q->chunks.n - q->head) * sizeof(struct chunk));
		q->chunks.n -= q->head;
		q->head = 0;
	}
}

size_t stream_queue_iov(const struct out_queue *q, uv_buf_t *iov, size_t max)
{
	size_t n = 0;
	for (size_t i = q->head; i < q->chunks.n && n < max; i++) {
		const struct chunk *c = &q->chunks.at[i];
		iov[n++] = uv_buf_init((char *)chunk_data(c), (unsigned)(c->end - c->off));
	}
	return n;
}

size_t stream_queue_peek(const struct out_queue *q, char *scratch, size_t max, const char **ret)
{
	size_t n = 0;
	if (!q->len)
		return 0;
	const struct chunk *first = &q->chunks.at[q->head];
	if (first->end - first->off >= max || q->head + 1 == q->chunks.n) {
		*ret = chunk_data(first);
		return MIN_OF(max, first->end - first->off);
	}
	for (size_t i = q->head; i < q->chunks.n && n < max; i++) {
		const struct chunk *c = &q->chunks.at[i];
		size_t take = MIN_OF(max - n, c->end - c->off);
		memcpy(scratch + n, chunk_data(c), take);
		n += take;
	}
	*ret = scratch;
	return n;
}

void stream_queue_release(struct out_queue *q)
{
	for (size_t i = q->head; i < q->chunks.n; i++)
		chunk_release(&q->chunks.at[i]);
	VEC_RELEASE(&q->chunks);
	q->head = q->len = 0;
}
