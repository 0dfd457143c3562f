/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of a stream. OpenSSL reads and writes through a BIO of ours that points straight at the bytes just received and
 * at the buffer being flushed, so ciphertext is not copied through memory BIOs and an idle session holds no buffers.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <string.h>

#include "base/log.h"
#include "io/stream_internal.h"
#include "io/tls_internal.h"

#define RECORD_MAX 16384

static BIO_METHOD *method;

static int bio_read(BIO *b, char *out, size_t len, size_t *ret)
{
	struct stream *s = BIO_get_data(b);
	BIO_clear_retry_flags(b);
	if (!s->in_len) {
		BIO_set_retry_read(b);
		return 0;
	}
	*ret = MIN_OF(len, s->in_len);
	memcpy(out, s->in, *ret);
	s->in += *ret;
	s->in_len -= *ret;
	return 1;
}

static int bio_write(BIO *b, const char *p, size_t len, size_t *ret)
{
	struct stream *s = BIO_get_data(b);
	buf_add(&s->cipher, p, len);
	*ret = len;
	return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b, (void)num, (void)ptr;
	return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

static int bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static BIO_METHOD *bio_method(void)
{
	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
		BIO_meth_set_read_ex(method, bio_read);
		BIO_meth_set_write_ex(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
		BIO_meth_set_create(method, bio_create);
	}
	return method;
}

int stream_tls_begin(struct stream *s, struct tls_context *t, const char *server_name)
{
	int r = tls_session_new(t, server_name, &s->ssl);
	if (r < 0)
		return r;
	BIO *b = BIO_new(bio_method());
	if (!b)
		return -ENOMEM;
	BIO_set_data(b, s);
	SSL_set_bio(s->ssl, b, b);
	return 0;
}

static int tls_errno(struct stream *s)
{
	char reason[160] = "";
	unsigned long e = ERR_peek_last_error();
	long verify = SSL_get_verify_result(s->ssl);

	if (e)
		ERR_error_string_n(e, reason, sizeof(reason));
	ERR_clear_error();
	log_debug("tls failed peer=%s verify=%ld error=\"%s\"", stream_peer_address(s), verify, reason);
	return s->client && verify != X509_V_OK && s->state == STREAM_HANDSHAKE ? -EKEYREJECTED : -EPROTO;
}

/* True when the handshake is complete. */
static bool handshake(struct stream *s)
{
	ERR_clear_error();
	int r = SSL_do_handshake(s->ssl);
	if (s->cipher.len)
		stream_mark_dirty(s);
	if (r == 1) {
		stream_opened(s);
		return s->state == STREAM_OPEN;
	}
	if (SSL_get_error(s->ssl, r) != SSL_ERROR_WANT_READ)
		stream_connect_failed(s, tls_errno(s));
	return false;
}

/* Decrypts as many records as fit into the scratch memory. Returns what SSL_get_error says about stopping, or 0 when
 * full. */
static int decrypt(struct stream *s, char *out, size_t max, size_t *ret)
{
	size_t at = 0, n;
	ERR_clear_error();
	while (max - at >= RECORD_MAX) {
		int r = SSL_read_ex(s->ssl, out + at, max - at, &n);
		if (r != 1) {
			*ret = at;
			return SSL_get_error(s->ssl, r);
		}
		at += n;
	}
	*ret = at;
	return 0;
}

static void pump(struct stream *s)
{
	if (s->state == STREAM_HANDSHAKE && !handshake(s))
		return;
	while (s->state == STREAM_OPEN && s->reading) {
		char *out = loop_plain_scratch(s->loop);
		size_t n;
		int stop = decrypt(s, out, LOOP_SCRATCH_SIZE, &n);
		int why = stop && stop != SSL_ERROR_WANT_READ && stop != SSL_ERROR_ZERO_RETURN ? tls_errno(s) : 0;
		if (s->cipher.len)
			stream_mark_dirty(s); /* alerts, key updates */
		if (n)
			stream_deliver(s, out, n);
		if (s->state != STREAM_OPEN)
			return;
		if (why) {
			stream_fail(s, why);
			return;
		}
		if (stop == SSL_ERROR_ZERO_RETURN && s->reading) { /* else told when reading goes on */
			s->in_len = 0;
			stream_deliver_eof(s);
			return;
		}
		if (stop)
			return;
	}
}

void stream_tls_input(struct stream *s, const char *p, size_t len)
{
	s->in = p;
	s->in_len = len;
	pump(s);
	if (s->in_len && s->state == STREAM_OPEN)
		buf_add(&s->held, s->in, s->in_len); /* reading was stopped on the way */
	s->in = NULL;
	s->in_len = 0;
}

int stream_tls_encrypt(struct stream *s, struct buf *out, size_t max)
{
	char scratch[RECORD_MAX];
	/* The BIO writes into s->cipher; the loop's scratch takes its place meanwhile, what was waiting goes first. */
	buf_add(out, s->cipher.data, s->cipher.len);
	buf_release(&s->cipher);
	struct buf own = s->cipher;
	s->cipher = *out;

	int r = 0;
	while (r == 0 && s->state == STREAM_OPEN && s->queue.len && s->cipher.len < max) {
		const char *p;
		size_t n = stream_queue_peek(&s->queue, scratch, sizeof(scratch), &p), done = 0;
		ERR_clear_error();
		if (SSL_write_ex(s->ssl, p, n, &done) == 1)
			stream_queue_consume(&s->queue, done);
		else
			r = tls_errno(s);
	}
	*out = s->cipher;
	s->cipher = own;
	return r;
}

void stream_set_alpn(struct stream *s, const char *const *alpn)
{
	_cleanup_buf_ struct buf wire = BUF_INIT;

	if (s->ssl && tls_alpn_wire(alpn, &wire) == 0)
		SSL_set_alpn_protos(s->ssl, (unsigned char *)wire.data, (unsigned)wire.len);
}
