/* SPDX-License-Identifier: Apache-2.0 */
#include "http/gzip.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"

#define GZIP_WRAPPER 16 /* zlib: a gzip header instead of its own */

static void deflate_into(z_stream *z, const void *p, size_t len, int flush, struct buf *out)
{
	const char *at = p;

	do {
		size_t n = MIN_OF(len, (size_t)1 << 30);
		z->next_in = (Bytef *)at;
		z->avail_in = (uInt)n;
		int f = n == len ? flush : Z_NO_FLUSH;
		do {
			size_t room = MAX_OF(out->cap > out->len + 1 ? out->cap - out->len - 1 : 0, (size_t)4096);
			z->next_out = (Bytef *)buf_reserve(out, room);
			z->avail_out = (uInt)MIN_OF(room, (size_t)1 << 30);
			uInt before = z->avail_out;
			deflate(z, f);
			out->len += before - z->avail_out;
		} while (!z->avail_out);
		at += n;
		len -= n;
	} while (len);
}

struct bytes *gzip_parts(struct bytes *const *parts, size_t n)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	z_stream z = {0};

	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + GZIP_WRAPPER, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* out of memory */
	for (size_t i = 0; i < n; i++)
		deflate_into(&z, parts[i]->data, parts[i]->len, Z_NO_FLUSH, &out);
	deflate_into(&z, "", 0, Z_FINISH, &out);
	deflateEnd(&z);
	return bytes_from_buf(&out);
}

struct bytes *gzip_bytes(const void *p, size_t len)
{
	_cleanup_bytes_ struct bytes *b = bytes_new(p, len);
	return gzip_parts(&b, 1);
}

/* "gzip;q=0" refuses; the weight of one coding is all that matters, since we have one. */
bool gzip_accepted(const char *s)
{
	bool any = false;

	while (s && *s) {
		s += strspn(s, " \t,");
		size_t len = strcspn(s, ","), name = strcspn(s, "; \t,");
		const char *q = memchr(s, '=', len);
		bool zero = q && strtod(q + 1, NULL) == 0;
		if (name == 4 && strncasecmp(s, "gzip", 4) == 0)
			return !zero;
		if (name == 1 && *s == '*')
			any = !zero;
		s += len;
	}
	return any;
}
