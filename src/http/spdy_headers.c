/* SPDX-License-Identifier: Apache-2.0 */
#include "http/spdy_headers.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"

#define DICTIONARY_LEN 1423
#define DICTIONARY_ADLER 0xe3c6a7c2u /* what both sides compute over it: a wrong byte would show here */
#define DEFLATE_WINDOW_BITS 11	     /* blocks are small: 4 kB instead of 256 kB a connection (as browsers did) */
#define DEFLATE_MEM_LEVEL 1

/* draft-mbelshe-httpbis-spdy-00, 2.6.10.1: words, each after its length in four bytes, then this text. */
static const char *const words[] = {
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
};
static const char tail[] =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static unsigned char dictionary[DICTIONARY_LEN];
static size_t dictionary_len;

static void add_u32(struct buf *b, uint32_t n)
{
	unsigned char p[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
			      (unsigned char)n};
	buf_add(b, p, 4);
}

static uint32_t get_u32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;
	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void make_dictionary(void)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (dictionary_len)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		add_u32(&b, (uint32_t)strlen(words[i]));
		buf_adds(&b, words[i]);
	}
	buf_adds(&b, tail);
	if (b.len != DICTIONARY_LEN ||
	    adler32(adler32(0, NULL, 0), (const Bytef *)b.data, (uInt)b.len) != DICTIONARY_ADLER)
		__builtin_trap(); /* our bug, whatever the input */
	memcpy(dictionary, b.data, b.len);
	dictionary_len = b.len;
}

void spdy_zip_init(struct spdy_zip *z)
{
	make_dictionary();
	memset(z, 0, sizeof(*z));
	if (inflateInit(&z->inflate) != Z_OK || deflateInit2(&z->deflate, Z_BEST_SPEED, Z_DEFLATED, DEFLATE_WINDOW_BITS,
							     DEFLATE_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		__builtin_trap(); /* out of memory */
	deflateSetDictionary(&z->deflate, dictionary, (uInt)dictionary_len);
}

void spdy_zip_release(struct spdy_zip *z)
{
	inflateEnd(&z->inflate);
	deflateEnd(&z->deflate);
}

static int unzip(z_stream *zs, const char *p, size_t len, struct buf *out)
{
	zs->next_in = (Bytef *)p;
	zs->avail_in = (uInt)len;
	for (;;) {
		char chunk[4096];
		zs->next_out = (Bytef *)chunk;
		zs->avail_out = sizeof(chunk);
		int r = inflate(zs, Z_SYNC_FLUSH);
		if (r == Z_NEED_DICT) {
			if (inflateSetDictionary(zs, dictionary, (uInt)dictionary_len) != Z_OK)
				return -EPROTO; /* compressed with another one */
			continue;
		}
		buf_add(out, chunk, sizeof(chunk) - zs->avail_out);
		if (buf_failed(out))
			return -EPROTO;
		if (r == Z_BUF_ERROR || (r == Z_OK && !zs->avail_in && zs->avail_out))
			return 0;
		if (r != Z_OK)
			return -EPROTO; /* also Z_STREAM_END: the stream goes on as long as the connection */
	}
}

/* One length-prefixed string at *at. */
static const char *take(const struct buf *b, size_t *at, struct arena *a)
{
	if (b->len - *at < 4)
		return NULL;
	uint32_t n = get_u32(b->data + *at);
	*at += 4;
	if (n > b->len - *at)
		return NULL;
	const char *s = arena_strndup(a, b->data + *at, n);
	*at += n;
	return s;
}

int spdy_unzip(struct spdy_zip *z, const char *p, size_t len, struct arena *a, struct spdy_header *headers,
	       size_t *ret_n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t at = 4;

	buf_init(&b, SPDY_HEADER_BYTES_MAX);
	int r = unzip(&z->inflate, p, len, &b);
	if (r < 0)
		return r;
	if (b.len < 4)
		return -EPROTO;
	uint32_t n = get_u32(b.data);
	if (n > SPDY_HEADERS_MAX)
		return -EPROTO;
	for (uint32_t i = 0; i < n; i++) {
		headers[i].name = take(&b, &at, a);
		headers[i].value = headers[i].name ? take(&b, &at, a) : NULL;
		if (!headers[i].value || !*headers[i].name)
			return -EPROTO;
	}
	*ret_n = n;
	return at == b.len ? 0 : -EPROTO;
}

void spdy_zip_headers(struct spdy_zip *z, const struct spdy_header *headers, size_t n, struct buf *out)
{
	_cleanup_buf_ struct buf plain = BUF_INIT;
	z_stream *zs = &z->deflate;

	add_u32(&plain, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		add_u32(&plain, (uint32_t)strlen(headers[i].name));
		buf_adds(&plain, headers[i].name);
		add_u32(&plain, (uint32_t)strlen(headers[i].value));
		buf_adds(&plain, headers[i].value);
	}
	zs->next_in = (Bytef *)plain.data;
	zs->avail_in = (uInt)plain.len;
	do {
		char chunk[1024];
		zs->next_out = (Bytef *)chunk;
		zs->avail_out = sizeof(chunk);
		deflate(zs, Z_SYNC_FLUSH);
		buf_add(out, chunk, sizeof(chunk) - zs->avail_out);
	} while (!zs->avail_out);
}
