/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP/1.1 upgrade on a connection of its own: request out, head in, then the raw stream is the caller's. */
#include <errno.h>
#include <http_parser.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"
#include "http/h1_head.h"

#define REFUSAL_BYTES_MAX (1024 * 1024) /* a Status object */

struct tunnel {
	struct http_client *client;
	struct list link;
	struct stream *stream; /* NULL: handed over */
	struct loop_timer *timer;
	struct http_tunnel_events ev;
	void *arg;
	struct buf request, in, body;
	struct h1_head_scan scan;
	http_parser parser;
	char *content_type;
	bool type_next, in_body, complete, told;
};

static void tunnel_free(struct tunnel *t)
{
	list_remove(&t->link);
	loop_timer_free(t->timer);
	buf_release(&t->request);
	buf_release(&t->in);
	buf_release(&t->body);
	free(t->content_type);
	free(t);
}

/* Tells the result once; the rest happens in on_close. */
static void fail(struct tunnel *t, int error)
{
	if (t->told)
		return;
	t->told = true;
	stream_close(t->stream);
	if (t->ev.on_error)
		t->ev.on_error(t->arg, error);
}

static void refused(struct tunnel *t)
{
	t->told = true;
	stream_close(t->stream);
	if (t->ev.on_refused)
		t->ev.on_refused(t->arg, (int)t->parser.status_code, t->content_type, buf_str(&t->body), t->body.len);
}

static int on_field(http_parser *p, const char *at, size_t len)
{
	struct tunnel *t = p->data;
	t->type_next = len == 12 && strncasecmp(at, "content-type", 12) == 0;
	return 0;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
	struct tunnel *t = p->data;
	if (t->type_next && !t->content_type)
		t->content_type = xstrndup(at, len);
	return 0;
}

static int on_headers_complete(http_parser *p)
{
	p->upgrade = 0;
	return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
	struct tunnel *t = p->data;
	buf_add(&t->body, at, len);
	return buf_failed(&t->body);
}

static int on_complete(http_parser *p)
{
	struct tunnel *t = p->data;
	t->complete = true;
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

static void input_body(struct tunnel *t, const char *p, size_t len)
{
	http_parser_execute(&t->parser, &settings, p, len);
	enum http_errno e = HTTP_PARSER_ERRNO(&t->parser);
	if (e != HPE_OK && e != HPE_PAUSED)
		fail(t, -EPROTO);
	else if (t->complete)
		refused(t);
}

static void hand_over(struct tunnel *t, size_t head_len)
{
	static const struct stream_events nobody = {0};
	struct stream *s = TAKE_PTR(t->stream);

	t->told = true;
	stream_read_stop(s);
	stream_set_events(s, &nobody, NULL);
	stream_unread(s, t->in.data + head_len, t->in.len - head_len);
	t->ev.on_upgraded(t->arg, s, t->in.data, head_len);
	tunnel_free(t);
}

static void on_data(void *arg, const char *p, size_t len)
{
	struct tunnel *t = arg;

	if (t->told)
		return;
	if (t->in_body) {
		input_body(t, p, len);
		return;
	}
	buf_add(&t->in, p, len);
	enum h1_head_result r = h1_head_scan(&t->scan, t->in.data, t->in.len, H1_HEAD_RESPONSE);
	if (r == H1_HEAD_MORE && t->in.len <= CLIENT_HEADER_BYTES_MAX)
		return;
	if (r != H1_HEAD_DONE) {
		fail(t, -EPROTO);
		return;
	}
	size_t end = t->scan.at;
	if (t->in.len >= 12 && memcmp(t->in.data, "HTTP/1.1 101", 12) == 0) {
		hand_over(t, end);
		return;
	}
	http_parser_init(&t->parser, HTTP_RESPONSE);
	t->parser.data = t;
	t->in_body = true;
	input_body(t, t->in.data, t->in.len);
}

static void on_connect(void *arg, int result)
{
	struct tunnel *t = arg;
	if (t->told)
		return;
	if (result < 0) {
		t->told = true;
		if (t->ev.on_error)
			t->ev.on_error(t->arg, result);
		return; /* on_close follows */
	}
	stream_write(t->stream, t->request.data, t->request.len);
	buf_release(&t->request);
	stream_read_start(t->stream);
}

static void on_eof(void *arg)
{
	struct tunnel *t = arg;
	if (t->in_body && !t->told)
		input_body(t, NULL, 0);
	fail(t, -ECONNRESET);
}

static void on_close(void *arg, int why)
{
	struct tunnel *t = arg;
	if (!t->told && t->ev.on_error) {
		t->told = true;
		t->ev.on_error(t->arg, why ? why : -ECONNRESET);
	}
	tunnel_free(t);
}

static void on_time(void *arg)
{
	fail(arg, -ETIMEDOUT);
}

void http_tunnels_cancel(struct http_client *c)
{
	while (!list_empty(&c->tunnels)) {
		struct tunnel *t = LIST_ENTRY(c->tunnels.next, struct tunnel, link);
		list_remove(&t->link);
		fail(t, -ECANCELED);
	}
}

int http_tunnel(struct http_client *c, const struct http_call_config *cfg, const struct http_tunnel_events *ev,
		void *arg)
{
	static const char *const h1[] = {"http/1.1", NULL};
	static const struct stream_events events = {
	    .on_connect = on_connect, .on_data = on_data, .on_eof = on_eof, .on_close = on_close};
	struct tunnel *t = NEW(struct tunnel);

	list_init(&t->link);
	t->client = c;
	t->ev = *ev;
	t->arg = arg;
	buf_init(&t->body, REFUSAL_BYTES_MAX);
	int r = stream_connect(c->loop, c->address, c->tls, c->server_name, &events, t, &t->stream);
	if (r < 0) {
		tunnel_free(t);
		return r;
	}
	stream_set_alpn(t->stream, h1);
	struct http_call *call = http_call_new(c, cfg);
	http_call_write_head(call, &t->request);
	buf_add(&t->request, call->body, call->body_len);
	http_call_free(call);
	list_add_tail(&c->tunnels, &t->link);
	t->timer = loop_timer_new(c->loop, on_time, t);
	loop_timer_start(t->timer, cfg->timeout_ms > 0 ? cfg->timeout_ms : CLIENT_CONNECT_MS_MAX * 3);
	return 0;
}
