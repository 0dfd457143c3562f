/* SPDX-License-Identifier: Apache-2.0 */
/* Header blocks of SPDY/3: name and value pairs under one zlib stream in each direction, with the draft's dictionary.
 */
#ifndef PROA_HTTP_SPDY_HEADERS_H
#define PROA_HTTP_SPDY_HEADERS_H

#include <stddef.h>
#include <zlib.h>

#include "http/spdy.h"

struct arena;
struct buf;

struct spdy_zip {
	z_stream inflate, deflate;
};

void spdy_zip_init(struct spdy_zip *z);
void spdy_zip_release(struct spdy_zip *z);
/* Decompresses a block (it must be, in order, even for a stream that is refused) and splits it; -EPROTO. */
int spdy_unzip(struct spdy_zip *z, const char *p, size_t len, struct arena *a, struct spdy_header *headers,
	       size_t *ret_n);
void spdy_zip_headers(struct spdy_zip *z, const struct spdy_header *headers, size_t n, struct buf *out);

#endif
