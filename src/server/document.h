/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents that cost milliseconds to make and change only with the set of resources (OpenAPI): clients ask for several
 * of them in a row, at most of them once. They are kept while somebody asks, and dropped after DOCUMENT_IDLE_MS without
 * a question, so that an idle server holds none.
 */
#ifndef PROA_SERVER_DOCUMENT_H
#define PROA_SERVER_DOCUMENT_H

#include "api/discovery.h"

struct buf;
struct bytes;
struct document_cache;
struct loop;

#define DOCUMENT_IDLE_MS 30000	      /* a command of a client is over by then */
#define DOCUMENT_BYTES_MAX (8u << 20) /* all documents of all built-in groups are below 6 MB */

struct document {
	char *name; /* unique in the cache; the caller's choice */
	const char *content_type;
	char etag[DISCOVERY_ETAG_MAX];
	struct bytes *body;
};

struct document_cache *document_cache_new(struct loop *l);
void document_cache_free(struct document_cache *c); /* NULL-safe */
/* The resources have changed: everything is made anew. */
void document_cache_clear(struct document_cache *c);
/* Borrowed until the end of this turn; NULL: not there. */
const struct document *document_get(struct document_cache *c, const char *name);
/* Takes the content of doc. content_type is not copied. Borrowed as above; older ones give way when it gets too much.
 */
const struct document *document_put(struct document_cache *c, const char *name, const char *content_type,
				    struct buf *doc);

#endif
