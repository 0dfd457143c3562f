/* SPDX-License-Identifier: Apache-2.0 */
#include "server/document.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/loop.h"

struct document_cache {
	VEC(struct document *) documents; /* a dozen or two: no index needed. Oldest first */
	size_t bytes;
	struct loop_timer *idle;
};

static void document_free(struct document *d)
{
	bytes_unref(d->body);
	free(d->name);
	free(d);
}

void document_cache_clear(struct document_cache *c)
{
	VEC_EACH(d, &c->documents)
		document_free(*d);
	VEC_RELEASE(&c->documents);
	c->bytes = 0;
	loop_timer_stop(c->idle);
}

static void on_idle(void *arg)
{
	document_cache_clear(arg);
}

struct document_cache *document_cache_new(struct loop *l)
{
	struct document_cache *c = NEW(struct document_cache);
	c->idle = loop_timer_new(l, on_idle, c);
	return c;
}

void document_cache_free(struct document_cache *c)
{
	if (!c)
		return;
	document_cache_clear(c);
	loop_timer_free(c->idle);
	free(c);
}

const struct document *document_get(struct document_cache *c, const char *name)
{
	VEC_EACH(d, &c->documents) {
		if (!str_eq((*d)->name, name))
			continue;
		loop_timer_start(c->idle, DOCUMENT_IDLE_MS);
		return *d;
	}
	return NULL;
}

static void drop_oldest(struct document_cache *c)
{
	struct document *d = c->documents.at[0];
	c->bytes -= d->body->len;
	c->documents.n--;
	memmove(c->documents.at, c->documents.at + 1, c->documents.n * sizeof(struct document *));
	document_free(d);
}

const struct document *document_put(struct document_cache *c, const char *name, const char *content_type,
				    struct buf *doc)
{
	struct document *d = NEW(struct document);
	*d = (struct document){.name = xstrdup(name), .content_type = content_type};
	discovery_etag(doc, d->etag);
	d->body = bytes_from_buf(doc);
	while (c->documents.n && c->bytes + d->body->len > DOCUMENT_BYTES_MAX)
		drop_oldest(c);
	c->bytes += d->body->len;
	VEC_PUSH(&c->documents, d);
	loop_timer_start(c->idle, DOCUMENT_IDLE_MS);
	return d;
}
