/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/spdy.h"

struct side {
	struct spdy *s;
	struct buf out, log;
	unsigned open, closed;
	bool refuse, free_on_data;
	size_t bytes;
};

static void on_stream(void *arg, struct spdy_stream *st)
{
	struct side *d = arg;
	d->open++;
	buf_addf(&d->log, "open %u %s %s;", spdy_stream_id(st), str_or(spdy_stream_header(st, "streamtype"), "-"),
		 str_or(spdy_stream_header(st, "port"), "-"));
	if (d->refuse)
		spdy_reset(st, SPDY_REFUSED_STREAM);
	else
		spdy_accept(st);
}

static void on_reply(void *arg, struct spdy_stream *st)
{
	struct side *d = arg;
	buf_addf(&d->log, "reply %u;", spdy_stream_id(st));
}

static void on_data(void *arg, struct spdy_stream *st, const char *p, size_t len)
{
	struct side *d = arg;
	d->bytes += len;
	if (len < 20)
		buf_addf(&d->log, "data %u %.*s;", spdy_stream_id(st), (int)len, p);
	if (d->free_on_data)
		spdy_free(TAKE_PTR(d->s));
}

static void on_fin(void *arg, struct spdy_stream *st)
{
	struct side *d = arg;
	buf_addf(&d->log, "fin %u;", spdy_stream_id(st));
}

static void on_closed(void *arg, struct spdy_stream *st, bool reset)
{
	struct side *d = arg;
	d->closed++;
	buf_addf(&d->log, "closed %u %d;", spdy_stream_id(st), reset);
}

static void on_goaway(void *arg)
{
	struct side *d = arg;
	buf_adds(&d->log, "goaway;");
}

static void on_send(void *arg, const void *p, size_t len)
{
	struct side *d = arg;
	buf_add(&d->out, p, len);
}

static void on_error(void *arg, const char *why)
{
	struct side *d = arg;
	buf_addf(&d->log, "error %s;", why);
}

static const struct spdy_events events = {
    .on_stream = on_stream,
    .on_reply = on_reply,
    .on_data = on_data,
    .on_fin = on_fin,
    .on_closed = on_closed,
    .on_goaway = on_goaway,
    .on_send = on_send,
    .on_error = on_error,
};

static void side_init(struct side *d, bool server)
{
	*d = (struct side){0};
	d->s = spdy_new(server, &events, d);
}

static void side_release(struct side *d)
{
	spdy_free(d->s);
	buf_release(&d->out);
	buf_release(&d->log);
}

static void carry(struct side *a, struct side *b, size_t piece)
{
	struct buf out = a->out;
	a->out = (struct buf)BUF_INIT;
	for (size_t at = 0; at < out.len && b->s; at += piece)
		spdy_input(b->s, out.data + at, MIN_OF(piece, out.len - at));
	buf_release(&out);
}

static void expect_log(struct side *d, const char *want)
{
	assert_string_equal(buf_str(&d->log), want);
	buf_clear(&d->log);
}

static const struct spdy_header error_headers[] = {{"streamtype", "error"}, {"port", "8080"}, {"requestid", "0"}};
static const struct spdy_header data_headers[] = {{"streamtype", "data"}, {"port", "8080"}, {"requestid", "0"}};

static void test_port_forward(void **state)
{
	static const size_t pieces[] = {1, 3, 1 << 20};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct side c, s;
		side_init(&c, false);
		side_init(&s, true);
		struct spdy_stream *e = spdy_open(c.s, error_headers, 3), *d = spdy_open(c.s, data_headers, 3);
		assert_int_equal(spdy_stream_id(e), 1);
		spdy_finish(e);
		carry(&c, &s, pieces[i]);
		expect_log(&s, "open 1 error 8080;open 3 data 8080;fin 1;");
		carry(&s, &c, pieces[i]);
		expect_log(&c, "reply 1;reply 3;");
		spdy_send(d, "ping", 4);
		carry(&c, &s, 1 << 20);
		expect_log(&s, "data 3 ping;");
		char *big = xcalloc(1, 100000);
		spdy_send(d, big, 100000);
		free(big);
		s.bytes = 0;
		carry(&c, &s, pieces[i] == 1 ? 30 : 40000);
		assert_int_equal(s.bytes, 100000);
		buf_clear(&s.log);
		spdy_finish(d);
		spdy_send(d, "late", 4);
		carry(&c, &s, pieces[i]);
		expect_log(&s, "fin 3;");
		spdy_goaway(c.s);
		carry(&c, &s, pieces[i]);
		expect_log(&s, "goaway;");
		spdy_lost(s.s);
		expect_log(&s, "closed 1 1;closed 3 1;");
		side_release(&c);
		side_release(&s);
	}
}

static void test_both_ends_finish(void **state)
{
	struct side c, s;
	(void)state;
	side_init(&c, false);
	side_init(&s, true);
	for (int i = 0; i < 3000; i++) { /* more than SPDY_STREAMS_MAX in sequence */
		struct spdy_stream *d = spdy_open(c.s, data_headers, 3);
		assert_non_null(d);
		spdy_finish(d);
		carry(&c, &s, 1 << 20);
		carry(&s, &c, 1 << 20);
		spdy_reset(d, SPDY_CANCEL);
		carry(&c, &s, 1 << 20);
	}
	assert_int_equal(s.open, 3000);
	assert_int_equal(s.closed, 3000);
	assert_int_equal(c.closed, 3000);
	side_release(&c);
	side_release(&s);
}

static void test_too_many(void **state)
{
	struct side c, s;
	(void)state;
	side_init(&c, false);
	side_init(&s, true);
	for (int i = 0; i < SPDY_STREAMS_MAX; i++)
		assert_non_null(spdy_open(c.s, data_headers, 3));
	assert_null(spdy_open(c.s, data_headers, 3));
	carry(&c, &s, 1 << 20);
	assert_int_equal(s.open, SPDY_STREAMS_MAX);
	carry(&s, &c, 1 << 20);
	s.refuse = true;
	side_release(&c);
	side_release(&s);
}

static void test_refused(void **state)
{
	struct side c, s;
	(void)state;
	side_init(&c, false);
	side_init(&s, true);
	s.refuse = true;
	struct spdy_stream *d = spdy_open(c.s, data_headers, 3);
	spdy_send(d, "x", 1);
	carry(&c, &s, 1 << 20);
	carry(&s, &c, 1 << 20);
	expect_log(&s, "open 1 data 8080;closed 1 1;");
	expect_log(&c, "closed 1 1;");
	s.refuse = false;
	spdy_open(c.s, error_headers, 3); /* the header compression is still in step */
	carry(&c, &s, 1 << 20);
	expect_log(&s, "open 3 error 8080;");
	side_release(&c);
	side_release(&s);
}

/* A PING as client-go sends it, and its answer; a block made by another zlib with the draft's dictionary (Python's). */
static void test_wire(void **state)
{
	struct side s;
	(void)state;
	side_init(&s, true);
	spdy_input(s.s, "\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01", 12);
	assert_int_equal(s.out.len, 12);
	assert_memory_equal(s.out.data, "\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01", 12);
	spdy_input(s.s, "\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x02", 12); /* an answer to us */
	assert_int_equal(s.out.len, 12);
	spdy_input(s.s, "\x80\x03\x00\x04\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x64", 20);
	spdy_input(s.s, "\x80\x03\x00\x09\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x10\x00", 16);
#include "spdy_vector.h"
	spdy_input(s.s, spdy_vector, sizeof(spdy_vector) - 1);
	expect_log(&s, "open 1 stdin -;open 3 resize -;");
	side_release(&s);
}

static void breaks(const char *p, size_t len, const char *why)
{
	struct side s;
	side_init(&s, true);
	spdy_input(s.s, p, len);
	if (!strstr(buf_str(&s.log), why))
		fail_msg("\"%s\" is not in \"%s\"", why, buf_str(&s.log));
	spdy_input(s.s, "\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01", 12);
	assert_true(s.out.len >= 16);
	assert_memory_equal(s.out.data + s.out.len - 16, "\x80\x03\x00\x07", 4); /* a GOAWAY was the last thing */
	side_release(&s);
}

static void test_hostile(void **state)
{
	(void)state;
	breaks("\x80\x02\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01", 12, "version");
	breaks("\x80\x03\x00\x06\x00\x00\x00\x03\x00\x00\x00", 11, "PING");
	breaks("\x80\x03\x00\x03\x00\x00\x00\x04\x00\x00\x00\x01", 12, "RST_STREAM");
	breaks("\x80\x03\x00\x07\x00\x00\x00\x00", 8, "GOAWAY");
	breaks("\x80\x03\x00\x01\x00\x00\x00\x04\x00\x00\x00\x01", 12, "SYN_STREAM");
	breaks("\x80\x03\x00\x01\x00\x00\x00\x0e\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00zlib", 22, "header block");
	breaks("\x80\x03\x00\x01\x00\xff\xff\xff", 8, "too long");
	breaks("\x00\x00\x00\x00\x00\x00\x00\x01x", 9, "stream 0");
	/* Data for a stream that never was is answered by a reset, and the session goes on. */
	struct side s;
	side_init(&s, true);
	spdy_input(s.s, "\x00\x00\x00\x05\x00\x00\x00\x01x", 9);
	assert_memory_equal(s.out.data, "\x80\x03\x00\x03\x00\x00\x00\x08\x00\x00\x00\x05\x00\x00\x00\x02", 16);
	assert_int_equal(s.log.len, 0);
	side_release(&s);
	/* Freed by its owner in the middle of input. */
	struct side c;
	side_init(&c, false);
	side_init(&s, true);
	s.free_on_data = true;
	struct spdy_stream *d = spdy_open(c.s, data_headers, 3);
	spdy_send(d, "a", 1);
	spdy_send(d, "b", 1);
	carry(&c, &s, 1 << 20);
	expect_log(&s, "open 1 data 8080;data 1 a;");
	side_release(&c);
	side_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_port_forward), cmocka_unit_test(test_both_ends_finish),
	    cmocka_unit_test(test_too_many),	 cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_wire),	 cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
