/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 of the client: one call at a time on a connection. */
#include <errno.h>
#include <http_parser.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"
#include "http/h1_head.h"

struct c1 {
	http_parser parser;
	struct http_call *call; /* NULL: idle */
	struct h1_head_scan scan;
	struct buf in; /* an incomplete head */
	const char *name;
	size_t name_len;
	bool in_body, complete, keep, bad;
};

static int on_field(http_parser *p, const char *at, size_t len)
{
	struct http_client_conn *k = p->data;
	k->c1->name = at;
	k->c1->name_len = len;
	return 0;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
	struct http_client_conn *k = p->data;
	struct c1 *s = k->c1;

	if (s->in_body || !s->call) /* trailers */
		return 0;
	while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	if (!http_call_add_reply_header(s->call, s->name, s->name_len, at, len))
		s->bad = true;
	return 0;
}

static int on_headers_complete(http_parser *p)
{
	struct http_client_conn *k = p->data;
	p->upgrade = 0;
	return str_eq(k->c1->call->method, "HEAD");
}

static int on_body(http_parser *p, const char *at, size_t len)
{
	struct http_client_conn *k = p->data;
	struct http_call *call = k->c1->call;

	if (call && call->ev.on_data)
		call->ev.on_data(call->arg, at, len);
	return k->dead || k->closing; /* cancelled by its owner */
}

static int on_complete(http_parser *p)
{
	struct http_client_conn *k = p->data;
	k->c1->complete = true;
	k->c1->keep = http_should_keep_alive(p);
	http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

static void finish(struct http_client_conn *k)
{
	struct c1 *s = k->c1;
	struct http_call *call = TAKE_PTR(s->call);

	s->complete = s->in_body = false;
	if (!s->keep)
		http_client_conn_close(k, 0);
	else if (call->paused)
		stream_read_start(k->stream);
	if (k->client)
		http_client_work(k->client);
	http_call_done(call, 0);
}

static void input_head(struct http_client_conn *k, const char *head, size_t len)
{
	struct c1 *s = k->c1;

	http_parser_init(&s->parser, HTTP_RESPONSE);
	s->parser.data = k;
	s->bad = s->complete = false;
	size_t n = http_parser_execute(&s->parser, &settings, head, len);
	enum http_errno e = HTTP_PARSER_ERRNO(&s->parser);
	if ((e != HPE_OK && e != HPE_PAUSED) || n != len || s->bad || s->parser.status_code == 101) {
		http_client_conn_close(k, -EPROTO);
		return;
	}
	if (s->parser.status_code < 200) { /* 100 Continue, 103 Early Hints */
		s->complete = false;
		s->call->n_reply = 0;
		return;
	}
	s->in_body = true;
	s->call->code = (int)s->parser.status_code;
	http_call_responded(s->call);
	if (!k->dead && !k->closing && s->complete)
		finish(k);
}

static size_t take_head(struct http_client_conn *k, const char *p, size_t len)
{
	struct c1 *s = k->c1;
	size_t before = s->in.len;

	buf_add(&s->in, p, len);
	enum h1_head_result res = h1_head_scan(&s->scan, s->in.data, s->in.len, H1_HEAD_RESPONSE);
	if (res == H1_HEAD_BAD || s->scan.at > CLIENT_HEADER_BYTES_MAX ||
	    (res == H1_HEAD_MORE && s->in.len > CLIENT_HEADER_BYTES_MAX)) {
		http_client_conn_close(k, -EPROTO);
		return len;
	}
	if (res == H1_HEAD_MORE)
		return len;
	struct buf in = s->in;
	size_t end = s->scan.at;
	s->in = (struct buf)BUF_INIT;
	s->scan = (struct h1_head_scan){0};
	input_head(k, in.data, end);
	buf_release(&in);
	return end - before;
}

static void c1_input(struct http_client_conn *k, const char *p, size_t len)
{
	struct c1 *s = k->c1;

	while (len && !k->closing && !k->dead) {
		if (!s->call) { /* nobody asked */
			http_client_conn_close(k, -EPROTO);
			return;
		}
		size_t n;
		if (!s->in_body) {
			n = take_head(k, p, len);
		} else {
			n = http_parser_execute(&s->parser, &settings, p, len);
			if (k->closing || k->dead)
				return;
			enum http_errno e = HTTP_PARSER_ERRNO(&s->parser);
			if (e != HPE_OK && e != HPE_PAUSED) {
				http_client_conn_close(k, -EPROTO);
				return;
			}
			if (s->complete)
				finish(k);
		}
		p += n;
		len -= n;
	}
}

static void c1_eof(struct http_client_conn *k)
{
	struct c1 *s = k->c1;

	if (s->call && s->in_body) {
		http_parser_execute(&s->parser, &settings, NULL, 0); /* the end may be the end of the body */
		if (!k->dead && !k->closing && s->complete) {
			s->keep = false;
			finish(k);
			return;
		}
	}
	http_client_conn_close(k, -ECONNRESET);
}

static bool c1_can_take(struct http_client_conn *k)
{
	return !k->c1->call && !k->closing;
}

static int c1_send(struct http_client_conn *k, struct http_call *call)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	k->c1->call = call;
	http_call_write_head(call, &b);
	stream_write(k->stream, b.data, b.len);
	stream_write(k->stream, call->body, call->body_len);
	if (call->paused)
		stream_read_stop(k->stream);
	return 0;
}

static void c1_cancel(struct http_client_conn *k, struct http_call *call)
{
	(void)call;
	k->c1->call = NULL;
	http_client_conn_close(k, -ECANCELED); /* the rest of the answer is of no use to the next call */
}

static void c1_pause(struct http_client_conn *k, struct http_call *call)
{
	(void)call;
	stream_read_stop(k->stream);
}

static void c1_resume(struct http_client_conn *k, struct http_call *call)
{
	(void)call;
	stream_read_start(k->stream);
}

static void c1_flush(struct http_client_conn *k)
{
	(void)k; /* the stream flushes itself */
}

static void c1_free(struct http_client_conn *k)
{
	buf_release(&k->c1->in);
	free(TAKE_PTR(k->c1));
}

void c1_start(struct http_client_conn *k)
{
	static const struct http_client_conn_ops ops = {
	    .input = c1_input,
	    .eof = c1_eof,
	    .can_take = c1_can_take,
	    .send = c1_send,
	    .cancel = c1_cancel,
	    .pause = c1_pause,
	    .resume = c1_resume,
	    .flush = c1_flush,
	    .free = c1_free,
	};
	k->c1 = NEW(struct c1);
	k->ops = &ops;
}
