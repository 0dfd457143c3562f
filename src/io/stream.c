/* SPDX-License-Identifier: Apache-2.0 */
#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/stream_internal.h"

#define IOV_MAX_FLUSH 64
#define CIPHER_FLUSH_MAX (256 * 1024) /* encrypted ahead of the socket: bounds what a slow peer makes us copy */
#define CIPHER_SCRATCH_KEEP (512 * 1024)
#define KEEPALIVE_S 30 /* finds peers that vanished under a quiet watch */

static void resume(struct stream *s);
static void flush(struct stream *s);

/* ---- the dirty list ---- */

static void flush_all(void *arg)
{
	struct loop *l = arg;
	while (!list_empty(&l->streams_dirty)) {
		struct stream *s = LIST_ENTRY(l->streams_dirty.next, struct stream, dirty);
		list_remove(&s->dirty);
		resume(s);
		flush(s);
	}
	if (l->cipher_scratch.cap > CIPHER_SCRATCH_KEEP)
		buf_release(&l->cipher_scratch);
}

void stream_mark_dirty(struct stream *s)
{
	struct loop *l = s->loop;
	if (!list_empty(&s->dirty) || s->state == STREAM_CLOSING)
		return;
	if (!l->streams_flush)
		l->streams_flush = loop_defer_new(l, flush_all, l);
	list_add_tail(&l->streams_dirty, &s->dirty);
	loop_defer_schedule(l->streams_flush);
}

/* ---- life ---- */

struct stream *stream_alloc(struct loop *l, bool pipe)
{
	struct stream *s = NEW(struct stream);
	s->loop = l;
	list_init(&s->dirty);
	list_init(&s->waiting);
	int r = pipe ? uv_pipe_init(&l->uv, &s->uv.pipe, 0) : uv_tcp_init(&l->uv, &s->uv.tcp);
	assert(r == 0); /* no descriptor is made here */
	(void)r;
	s->uv.handle.data = s;
	return s;
}

static void on_closed(uv_handle_t *h)
{
	struct stream *s = h->data;

	if (s->listener)
		listener_stream_gone(s);
	if (s->ev.on_close)
		s->ev.on_close(s->arg, s->why);
	SSL_free(s->ssl);
	stream_queue_release(&s->queue);
	buf_release(&s->cipher);
	buf_release(&s->held);
	buf_release(&s->unread);
	OPENSSL_free(s->cert_der);
	free(s->sending);
	free(s->shutdown_req);
	free(s->peer);
	free(s);
}

void stream_fail(struct stream *s, int why)
{
	if (s->state == STREAM_CLOSING)
		return;
	s->state = STREAM_CLOSING;
	s->why = why;
	list_remove(&s->dirty);
	list_remove(&s->waiting);
	uv_close(&s->uv.handle, on_closed);
}

void stream_close(struct stream *s)
{
	if (s->state == STREAM_CLOSING)
		return;
	if (s->state == STREAM_OPEN && !s->writing && (s->queue.len || s->ssl)) {
		/* What the socket takes without waiting still goes out: a last reply, TLS's close_notify. */
		s->undrained = false;
		s->shutdown_wanted = false;
		flush(s);
		if (s->state == STREAM_OPEN && s->ssl && !s->writing && !s->shutdown_sent) {
			SSL_shutdown(s->ssl);
			uv_buf_t b = uv_buf_init(s->cipher.data, (unsigned)s->cipher.len);
			if (s->cipher.len)
				uv_try_write(&s->uv.stream, &b, 1);
		}
	}
	stream_fail(s, 0);
}

void stream_opened(struct stream *s)
{
	s->state = STREAM_OPEN;
	if (s->listener)
		listener_stream_open(s);
	else if (s->ev.on_connect)
		s->ev.on_connect(s->arg, 0);
	if (s->state != STREAM_OPEN)
		return;
	if (s->queue.len)
		stream_mark_dirty(s);
	stream_update_reading(s);
}

void stream_connect_failed(struct stream *s, int why)
{
	bool before = s->state == STREAM_CONNECTING || s->state == STREAM_HANDSHAKE;
	if (s->ssl && s->cipher.len && !s->writing) { /* the alert that says why */
		uv_buf_t b = uv_buf_init(s->cipher.data, (unsigned)s->cipher.len);
		uv_try_write(&s->uv.stream, &b, 1);
	}
	if (before && s->client && s->ev.on_connect)
		s->ev.on_connect(s->arg, why);
	stream_fail(s, why);
}

/* ---- reading ---- */

void stream_deliver(struct stream *s, const char *p, size_t len)
{
	if (s->ev.on_data && s->state == STREAM_OPEN)
		s->ev.on_data(s->arg, p, len);
}

void stream_deliver_eof(struct stream *s)
{
	if (s->state != STREAM_OPEN || s->eof_told)
		return;
	s->eof_told = true;
	stream_update_reading(s);
	if (s->ev.on_eof)
		s->ev.on_eof(s->arg);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct stream *s = h->data;
	(void)suggested;
	*buf = uv_buf_init(loop_read_scratch(s->loop), LOOP_SCRATCH_SIZE);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf)
{
	struct stream *s = h->data;

	if (n == 0 || s->state == STREAM_CLOSING)
		return;
	if (n > 0 && s->ssl)
		stream_tls_input(s, buf->base, (size_t)n);
	else if (n > 0)
		stream_deliver(s, buf->base, (size_t)n);
	else if (n == UV_EOF && !s->ssl)
		stream_deliver_eof(s);
	else if (s->state == STREAM_HANDSHAKE)
		stream_connect_failed(s, n == UV_EOF ? -ECONNRESET : (int)n);
	else if (!s->eof_told) /* TLS without close_notify: the data may be cut */
		stream_fail(s, n == UV_EOF ? -ECONNRESET : (int)n);
	else
		stream_update_reading(s);
}

void stream_update_reading(struct stream *s)
{
	bool want = s->state == STREAM_HANDSHAKE || (s->state == STREAM_OPEN && s->reading && !s->eof_told);
	if (want == s->uv_reading || s->state == STREAM_CLOSING)
		return;
	if (want) {
		int r = uv_read_start(&s->uv.stream, on_alloc, on_read);
		if (r < 0) {
			stream_fail(s, r);
			return;
		}
	} else {
		uv_read_stop(&s->uv.stream);
	}
	s->uv_reading = want;
}

/* Whether the TLS side has something for the owner that the socket will not announce again. */
static bool has_backlog(const struct stream *s)
{
	return s->ssl && (s->held.len || SSL_has_pending(s->ssl) ||
			  (!s->eof_told && (SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN)));
}

/* Delivers what arrived before reading was started again. */
static void resume(struct stream *s)
{
	if (s->state == STREAM_OPEN && s->reading && s->unread.len) {
		struct buf again = s->unread;
		s->unread = (struct buf)BUF_INIT;
		stream_deliver(s, again.data, again.len);
		buf_release(&again);
	}
	if (s->state == STREAM_OPEN && s->reading && !s->unread.len && has_backlog(s)) {
		struct buf held = s->held;
		s->held = (struct buf)BUF_INIT;
		stream_tls_input(s, held.data, held.len);
		buf_release(&held);
	}
	stream_update_reading(s);
}

void stream_read_start(struct stream *s)
{
	if (s->reading)
		return;
	s->reading = true;
	if (s->state != STREAM_OPEN)
		return;
	if (s->unread.len || has_backlog(s))
		stream_mark_dirty(s); /* older bytes first; the socket after them */
	else
		stream_update_reading(s);
}

void stream_read_stop(struct stream *s)
{
	s->reading = false;
	stream_update_reading(s);
}

void stream_unread(struct stream *s, const void *p, size_t len)
{
	if (!len)
		return;
	if (s->unread.len) { /* the newer call is about earlier bytes */
		struct buf rest = s->unread;
		s->unread = (struct buf)BUF_INIT;
		buf_add(&s->unread, p, len);
		buf_add(&s->unread, rest.data, rest.len);
		buf_release(&rest);
	} else {
		buf_add(&s->unread, p, len);
	}
	stream_mark_dirty(s);
}

/* ---- writing ---- */

static void on_written(uv_write_t *req, int status)
{
	struct stream *s = container_of(req, struct stream, req.write);

	s->writing = false;
	if (s->sending)
		free(TAKE_PTR(s->sending));
	if (s->state == STREAM_CLOSING)
		return;
	if (status < 0) {
		stream_fail(s, status);
		return;
	}
	if (s->in_flight) {
		stream_queue_consume(&s->queue, s->in_flight);
		s->in_flight = 0;
	}
	s->sending_len = 0;
	flush(s);
}

/* Writes what the socket takes at once. Returns the number of bytes taken, or negative errno. */
static ssize_t try_write(struct stream *s, uv_buf_t *iov, size_t n)
{
	int r = uv_try_write(&s->uv.stream, iov, (unsigned)n);
	return r == UV_EAGAIN ? 0 : r;
}

static void flush_plain(struct stream *s)
{
	uv_buf_t iov[IOV_MAX_FLUSH];

	while (s->queue.len && !s->writing) {
		size_t n = stream_queue_iov(&s->queue, iov, IOV_MAX_FLUSH), total = 0;
		for (size_t i = 0; i < n; i++)
			total += iov[i].len;
		ssize_t done = try_write(s, iov, n);
		if (done < 0) {
			stream_fail(s, (int)done);
			return;
		}
		stream_queue_consume(&s->queue, (size_t)done);
		if ((size_t)done == total)
			continue;
		n = stream_queue_iov(&s->queue, iov, IOV_MAX_FLUSH);
		for (size_t i = 0; i < n; i++)
			s->in_flight += iov[i].len;
		int r = uv_write(&s->req.write, &s->uv.stream, iov, (unsigned)n, on_written);
		if (r < 0) {
			s->in_flight = 0;
			stream_fail(s, r);
			return;
		}
		s->writing = true;
	}
}

static void flush_tls(struct stream *s)
{
	struct buf *out = &s->loop->cipher_scratch;

	while ((s->queue.len || s->cipher.len) && !s->writing) {
		buf_clear(out);
		int r = stream_tls_encrypt(s, out, CIPHER_FLUSH_MAX);
		uv_buf_t b = uv_buf_init(out->data, (unsigned)out->len);
		ssize_t done = r < 0 ? r : out->len ? try_write(s, &b, 1) : 0;
		if (done < 0) {
			if (s->state == STREAM_HANDSHAKE)
				stream_connect_failed(s, (int)done);
			stream_fail(s, (int)done);
			return;
		}
		if ((size_t)done == out->len) {
			if (s->state != STREAM_OPEN)
				return;
			continue;
		}
		s->sending_len = out->len - (size_t)done;
		s->sending = xmemdup(out->data + done, s->sending_len);
		b = uv_buf_init(s->sending, (unsigned)s->sending_len);
		r = uv_write(&s->req.write, &s->uv.stream, &b, 1, on_written);
		if (r < 0) {
			stream_fail(s, r);
			return;
		}
		s->writing = true;
	}
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	(void)req, (void)status; /* a lost connection is found by reading */
}

static void send_shutdown(struct stream *s)
{
	s->shutdown_sent = true;
	if (s->ssl) {
		SSL_shutdown(s->ssl);
		flush_tls(s);
		if (s->state != STREAM_OPEN || s->writing)
			return; /* close_notify says it; the socket is closed by its owner */
	}
	s->shutdown_req = NEW(uv_shutdown_t);
	if (uv_shutdown(s->shutdown_req, &s->uv.stream, on_shutdown) < 0)
		free(TAKE_PTR(s->shutdown_req));
}

static void flush(struct stream *s)
{
	if (s->state == STREAM_OPEN && !s->ssl)
		flush_plain(s);
	else if (s->ssl && (s->state == STREAM_OPEN || s->state == STREAM_HANDSHAKE))
		flush_tls(s);
	if (s->state != STREAM_OPEN || s->queue.len || s->writing)
		return;
	if (s->shutdown_wanted && !s->shutdown_sent)
		send_shutdown(s);
	if (s->undrained && s->state == STREAM_OPEN) {
		s->undrained = false;
		if (s->ev.on_drain)
			s->ev.on_drain(s->arg);
	}
}

static bool can_write(const struct stream *s)
{
	return s->state != STREAM_CLOSING && !s->shutdown_wanted;
}

static void wrote(struct stream *s)
{
	s->undrained = true;
	if (stream_queued(s) > STREAM_QUEUE_MAX)
		stream_fail(s, -ENOBUFS);
	else
		stream_mark_dirty(s);
}

/* Number of chunks at the head of the queue that a running uv_write points into. */
static size_t locked_chunks(const struct stream *s)
{
	size_t n = 0, bytes = 0;
	for (size_t i = s->queue.head; bytes < s->in_flight; i++, n++)
		bytes += s->queue.chunks.at[i].end - s->queue.chunks.at[i].off;
	return n;
}

void stream_write(struct stream *s, const void *p, size_t len)
{
	if (!can_write(s) || !len)
		return;
	stream_queue_add(&s->queue, locked_chunks(s), p, len);
	wrote(s);
}

void stream_write_bytes(struct stream *s, struct bytes *b, size_t offset, size_t len)
{
	if (!can_write(s) || !len)
		return;
	stream_queue_add_bytes(&s->queue, locked_chunks(s), b, offset, len);
	wrote(s);
}

size_t stream_queued(const struct stream *s)
{
	return s->queue.len + s->cipher.len + s->sending_len;
}

void stream_shutdown(struct stream *s)
{
	if (!can_write(s))
		return;
	s->shutdown_wanted = true;
	stream_mark_dirty(s);
}

void stream_set_events(struct stream *s, const struct stream_events *ev, void *arg)
{
	s->ev = *ev;
	s->arg = arg;
}

/* ---- what is at the other end ---- */

bool stream_input_waits(const struct stream *s)
{
	uv_os_fd_t fd;
	int n = 0;

	return uv_fileno(&s->uv.handle, &fd) == 0 && ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

const char *stream_peer_address(const struct stream *cs)
{
	struct stream *s = (struct stream *)cs; /* remembers the text only */
	struct sockaddr_storage sa = {0};
	int len = sizeof(sa);

	if (s->peer)
		return s->peer;
	if (s->uv.handle.type == UV_TCP && uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&sa, &len) == 0)
		s->peer = stream_address_format((struct sockaddr *)&sa);
	else
		s->peer = xstrdup("unix");
	return s->peer;
}

const char *stream_alpn(const struct stream *s)
{
	const unsigned char *p = NULL;
	unsigned len = 0;

	if (s->ssl)
		SSL_get0_alpn_selected(s->ssl, &p, &len);
	if (len == 2 && memcmp(p, "h2", 2) == 0)
		return "h2";
	if (len == 8 && memcmp(p, "http/1.1", 8) == 0)
		return "http/1.1";
	return NULL;
}

bool stream_peer_rejected(const struct stream *s)
{
	return s->ssl && SSL_get0_peer_certificate(s->ssl) && SSL_get_verify_result(s->ssl) != X509_V_OK;
}

bool stream_peer_cert(const struct stream *cs, const unsigned char **ret_der, size_t *ret_len)
{
	struct stream *s = (struct stream *)cs; /* remembers the encoding only */

	if (!s->ssl || SSL_get_verify_result(s->ssl) != X509_V_OK)
		return false;
	if (!s->cert_der) {
		X509 *x = SSL_get0_peer_certificate(s->ssl);
		if (!x || (s->cert_len = i2d_X509(x, &s->cert_der)) <= 0)
			return false;
	}
	*ret_der = s->cert_der;
	*ret_len = (size_t)s->cert_len;
	return true;
}

/* ---- beginning ---- */

void stream_begin(struct stream *s)
{
	if (!s->ssl) {
		stream_opened(s);
		return;
	}
	s->state = STREAM_HANDSHAKE;
	stream_update_reading(s);
	if (s->client && s->state == STREAM_HANDSHAKE)
		stream_tls_input(s, NULL, 0); /* ClientHello */
}

static void on_connected(uv_connect_t *req, int status)
{
	struct stream *s = container_of(req, struct stream, req.connect);

	if (s->state == STREAM_CLOSING)
		return;
	if (status < 0)
		stream_connect_failed(s, status);
	else
		stream_begin(s);
}

int stream_connect(struct loop *l, const char *address, struct tls_context *tls, const char *server_name,
		   const struct stream_events *ev, void *arg, struct stream **ret)
{
	struct address a;
	int r = stream_address_parse(address, &a);
	if (r < 0)
		return r;
	struct stream *s = stream_alloc(l, a.path[0] != 0);
	s->client = true;
	if (tls)
		r = stream_tls_begin(s, tls, server_name);
	if (r == 0 && a.path[0])
		uv_pipe_connect(&s->req.connect, &s->uv.pipe, a.path, on_connected);
	else if (r == 0)
		r = uv_tcp_connect(&s->req.connect, &s->uv.tcp, (struct sockaddr *)&a.sa, on_connected);
	if (r < 0) {
		stream_fail(s, r); /* without events: nobody is told but by the result */
		return r;
	}
	if (!a.path[0]) {
		uv_tcp_nodelay(&s->uv.tcp, 1);
		uv_tcp_keepalive(&s->uv.tcp, 1, KEEPALIVE_S);
	}
	stream_set_events(s, ev, arg);
	*ret = s;
	return 0;
}

int stream_from_fd(struct loop *l, int fd, const struct stream_events *ev, void *arg, struct stream **ret)
{
	int domain = 0;
	socklen_t len = sizeof(domain);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return -errno;
	bool pipe = domain == AF_UNIX;
	struct stream *s = stream_alloc(l, pipe);
	int r = pipe ? uv_pipe_open(&s->uv.pipe, fd) : uv_tcp_open(&s->uv.tcp, fd);
	if (r < 0) {
		stream_fail(s, r);
		return r;
	}
	s->state = STREAM_OPEN;
	stream_set_events(s, ev, arg);
	*ret = s;
	return 0;
}
