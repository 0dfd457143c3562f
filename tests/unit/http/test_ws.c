/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "fixture.h"
#include "http/websocket.h"
#include "io/loop.h"

/* ---- the engine ---- */

struct side {
	struct ws *ws;
	struct buf out, log;
	int code;
	bool free_on_message;
};

static void on_message(void *arg, bool text, const char *p, size_t len)
{
	struct side *s = arg;
	buf_addf(&s->log, "%s(%zu)%.*s;", text ? "text" : "bin", len, (int)MIN_OF(len, (size_t)20), p);
	if (s->free_on_message) {
		ws_free(s->ws);
		s->ws = NULL;
	}
}

static void on_pong(void *arg, const char *p, size_t len)
{
	struct side *s = arg;
	buf_addf(&s->log, "pong %.*s;", (int)len, p);
}

static void on_send(void *arg, const void *p, size_t len)
{
	struct side *s = arg;
	buf_add(&s->out, p, len);
}

static void on_close(void *arg, int code, const char *reason, size_t len)
{
	struct side *s = arg;
	assert_int_equal(s->code, 0); /* once */
	s->code = code;
	buf_addf(&s->log, "close %d %.*s;", code, (int)len, reason);
}

static const struct ws_events events = {
    .on_message = on_message, .on_pong = on_pong, .on_send = on_send, .on_close = on_close};

static void side_init(struct side *s, bool server, size_t max)
{
	*s = (struct side){0};
	s->ws = ws_new(server, max, &events, s);
}

static void side_release(struct side *s)
{
	ws_free(s->ws);
	buf_release(&s->out);
	buf_release(&s->log);
}

/* Moves what a wrote to b, in pieces of n bytes. */
static void carry(struct side *a, struct side *b, size_t n)
{
	struct buf out = a->out;
	a->out = (struct buf)BUF_INIT;
	for (size_t at = 0; at < out.len && b->ws; at += n)
		ws_input(b->ws, out.data + at, MIN_OF(n, out.len - at));
	buf_release(&out);
}

static void test_conversation(void **state)
{
	(void)state;
	static const size_t pieces[] = {1, 2, 3, 7, 1000, 1 << 20};
	char *big = xcalloc(1, 70000);
	memset(big, 'x', 70000);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		struct side c, s;
		side_init(&c, false, 0);
		side_init(&s, true, 0);
		ws_send(c.ws, true, NULL, 0, "h\xc3\xa9llo", 6);
		ws_send(c.ws, false, "\x01", 1, "data", 4);
		ws_send(c.ws, false, NULL, 0, big, 126);
		ws_send(c.ws, false, NULL, 0, big, 65535);
		ws_send(c.ws, false, NULL, 0, big, 70000);
		ws_send(c.ws, false, NULL, 0, NULL, 0);
		ws_ping(c.ws, "tag", 3);
		carry(&c, &s, pieces[i]);
		assert_string_equal(s.log.data, "text(6)h\xc3\xa9llo;bin(5)\x01"
						"data;bin(126)xxxxxxxxxxxxxxxxxxxx;bin(65535)xxxxxxxxxxxxxxxxxxxx;"
						"bin(70000)xxxxxxxxxxxxxxxxxxxx;bin(0);");
		ws_send(s.ws, false, "\x03", 1, big, 300);
		ws_close(s.ws, 1000, "done");
		ws_send(s.ws, false, NULL, 0, "late", 4);
		carry(&s, &c, pieces[i]);
		assert_string_equal(c.log.data, "pong tag;bin(301)\x03xxxxxxxxxxxxxxxxxxx;close 1000 done;");
		carry(&c, &s, pieces[i]);
		assert_int_equal(s.code, 1000);
		assert_true(ws_close_received(s.ws) && ws_close_sent(s.ws));
		assert_int_equal(s.out.len, 0);
		side_release(&c);
		side_release(&s);
	}
	free(big);
}

/* The examples of RFC 6455, 5.7, and 1.3 for the key. */
static void test_rfc_examples(void **state)
{
	struct side s;
	struct buf b = BUF_INIT;
	(void)state;
	side_init(&s, true, 0);
	ws_input(s.ws, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
	assert_string_equal(s.log.data, "text(5)Hello;");
	ws_send(s.ws, true, NULL, 0, "Hello", 5);
	assert_memory_equal(s.out.data, "\x81\x05\x48\x65\x6c\x6c\x6f", 7);
	side_release(&s);
	side_init(&s, false, 0);
	ws_input(s.ws, "\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f", 9);
	assert_string_equal(s.log.data, "text(5)Hello;");
	side_release(&s);
	ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", &b);
	assert_string_equal(b.data, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	buf_release(&b);
}

/* p as received by a client, so that nothing needs masking. */
static void breaks(const char *p, size_t len, int code)
{
	for (size_t piece = 1; piece <= len; piece += len > 2 ? len - 1 : 1) {
		struct side s;
		side_init(&s, false, 1000);
		for (size_t at = 0; at < len; at += piece)
			ws_input(s.ws, p + at, MIN_OF(piece, len - at));
		if (s.code != code)
			fail_msg("bytes %02x %02x…: code %d, not %d", (unsigned char)p[0], (unsigned char)p[1], s.code,
				 code);
		ws_input(s.ws, "\x81\x01x", 3);
		assert_null(strstr(buf_str(&s.log), "text(1)x"));
		if (code != WS_NO_CODE)
			assert_true(s.out.len > 0 && s.out.data[0] == (char)0x88);
		side_release(&s);
	}
}

static void test_hostile(void **state)
{
	struct side s;
	(void)state;
	breaks("\xc1\x00", 2, 1002);	       /* reserved bit */
	breaks("\x83\x00", 2, 1002);	       /* unknown opcode */
	breaks("\x8b\x00", 2, 1002);	       /* unknown control opcode */
	breaks("\x80\x00", 2, 1002);	       /* continuation of nothing */
	breaks("\x01\x01x\x81\x01y", 6, 1002); /* message within a message */
	breaks("\x09\x00", 2, 1002);	       /* fragmented ping */
	breaks("\x89\x7e\x00\x7e", 4, 1002);   /* long ping */
	breaks("\x82\x7e\x00\x05", 4, 1002);   /* length not minimal */
	breaks("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10, 1002);
	breaks("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10, 1002);
	breaks("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10, 1009); /* too big, said before any of it came */
	breaks("\x82\x7e\x03\xe9", 4, 1009);
	breaks("\x81\x81\x00\x00\x00\x00x", 7, 1002); /* a masked frame to a client */
	breaks("\x81\x02\xc3\x28", 4, 1007);	      /* not UTF-8 */
	breaks("\x81\x02\xed\xa0", 4, 1007);
	breaks("\x88\x01\x03", 3, 1002);     /* half a code */
	breaks("\x88\x02\x03\xed", 4, 1002); /* 1005 must not be sent */
	breaks("\x88\x02\x00\x01", 4, 1002);
	breaks("\x88\x04\x03\xe8\xc3\x28", 6, 1007); /* reason is not UTF-8 */
	breaks("\x88\x00", 2, WS_NO_CODE);
	side_init(&s, true, 0);
	ws_input(s.ws, "\x81\x01x", 3); /* an unmasked frame to a server */
	assert_int_equal(s.code, 1002);
	side_release(&s);
	/* Fragments add up against the bound; a control frame may come between. */
	side_init(&s, false, 6);
	ws_input(s.ws,
		 "\x01\x03"
		 "abc"
		 "\x89\x01p"
		 "\x80\x03"
		 "def",
		 13);
	assert_string_equal(s.log.data, "text(6)abcdef;");
	assert_int_equal(s.out.data[0], (char)0x8a);
	ws_input(s.ws,
		 "\x01\x03"
		 "abc"
		 "\x80\x04"
		 "defg",
		 11);
	assert_int_equal(s.code, 1009);
	side_release(&s);
	/* A character split over fragments is fine. */
	side_init(&s, false, 0);
	ws_input(s.ws, "\x01\x01\xc3\x80\x01\xa9", 6);
	assert_string_equal(s.log.data, "text(2)\xc3\xa9;");
	side_release(&s);
	/* Freed by its owner in the middle of input. */
	side_init(&s, false, 0);
	s.free_on_message = true;
	ws_input(s.ws, "\x81\x01x\x81\x01y", 6);
	assert_string_equal(s.log.data, "text(1)x;");
	side_release(&s);
}

/* ---- on a stream: the child echoes with a channel byte, "quit" closes ---- */

static struct websocket *peer;

static void echo(void *arg, bool text, const char *p, size_t len)
{
	(void)arg;
	if (len == 4 && memcmp(p, "quit", 4) == 0)
		websocket_close(peer, 1000, "as you wish");
	else if (len == 5 && memcmp(p, "abort", 5) == 0)
		websocket_abort(peer);
	else
		websocket_send_prefixed(peer, text, ">", 1, p, len);
}

static void gone(void *arg, int code, const char *reason)
{
	(void)arg, (void)code, (void)reason;
	peer = NULL;
}

static void accept_ws(struct http_request *r, void *arg)
{
	static const char *const protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", "SPDY/3.1+portforward.k8s.io",
						NULL};
	static const struct websocket_events ev = {.on_message = echo, .on_close = gone};
	(void)arg;
	struct websocket *w = websocket_accept(r, protocols, 0, &ev, NULL);
	if (w)
		peer = w;
}

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UP "GET /exec HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"

static void test_handshake(void **state)
{
	struct test_server s;
	(void)state;
	server_start(&s, NULL, NULL, accept_ws);

	int fd = raw_connect(&s);
	const char *ok =
	    UP KEY "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.eA, "
		   "v4.channel.k8s.io,v5.channel.k8s.io\r\n\r\n"
		   "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
	raw_send(fd, ok, strlen(ok));
	char *got = raw_read(fd, ">Hello");
	assert_non_null(strstr(got, "HTTP/1.1 101 "));
	assert_non_null(strstr(got, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_non_null(strstr(got, "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n"));
	free(got);
	raw_send(fd, "\x81\x84\x00\x00\x00\x00quit", 10);
	got = raw_read(fd, "wish");
	assert_memory_equal(got,
			    "\x88\x0d\x03\xe8"
			    "as you wish",
			    15);
	free(got);
	raw_send(fd, "\x88\x82\x00\x00\x00\x00\x03\xe8", 8);
	got = raw_read(fd, NULL);
	assert_string_equal(got, ""); /* closed, at once */
	free(got);
	close(fd);

	static const struct {
		const char *text, *code;
	} bad[] = {
	    {UP KEY "Sec-WebSocket-Version: 13\r\n\r\n", "400"},
	    {UP KEY "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v9\r\n\r\n", "400"},
	    {UP KEY "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n", "426"},
	    {UP "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n", "400"},
	    {UP "Sec-WebSocket-Key: c2hvcnQ=\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: "
		"v4.channel.k8s.io\r\n\r\n",
	     "400"},
	    {"GET /exec HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
	    {"POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n" KEY
	     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n",
	     "405"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		fd = raw_connect(&s);
		raw_send(fd, bad[i].text, strlen(bad[i].text));
		got = raw_read(fd, "}");
		if (strncmp(got + 9, bad[i].code, 3) != 0)
			fail_msg("%zu: %s", i, got);
		free(got);
		close(fd);
	}
	fd = raw_connect(&s);
	const char *pf =
	    UP KEY "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n";
	raw_send(fd, pf, strlen(pf));
	got = raw_read(fd, "\r\n\r\n");
	assert_non_null(strstr(got, "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n"));
	free(got);
	raw_send(fd,
		 "\x81\x85\x00\x00\x00\x00"
		 "abort",
		 11);
	got = raw_read(fd, NULL);
	assert_string_equal(got, "");
	free(got);
	close(fd);
	server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_conversation),
	    cmocka_unit_test(test_rfc_examples),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_handshake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
