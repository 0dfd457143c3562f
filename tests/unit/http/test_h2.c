/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 peers that mean no good: each must lose its connection, and the server must go on. */
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
#include "fixture.h"

static struct test_server server;

static int setup(void **state)
{
	(void)state;
	server_start(&server, NULL, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&server);
	return 0;
}

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define EMPTY_SETTINGS "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
/* HPACK: :method GET, :scheme http, :path /, :authority "a" as a literal */
#define GET_BLOCK                                                                                                      \
	"\x82\x86\x84\x41\x01"                                                                                         \
	"a"

static void frame(struct buf *b, unsigned type, unsigned flags, uint32_t id, const void *p, size_t len)
{
	unsigned char h[9] = {(unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len,
			      (unsigned char)type,	  (unsigned char)flags,	     (unsigned char)(id >> 24),
			      (unsigned char)(id >> 16),  (unsigned char)(id >> 8),  (unsigned char)id};
	buf_add(b, h, 9);
	buf_add(b, p, len);
}

/* Sends the bytes after the preface; the connection must be closed by the server, with GOAWAY of this error. */
static void must_end(struct buf *b, unsigned error)
{
	int fd = raw_connect(&server);
	struct buf all = BUF_INIT, in = BUF_INIT;
	char chunk[65536];
	ssize_t n;

	buf_add(&all, PREFACE EMPTY_SETTINGS, 33);
	buf_add(&all, b->data, b->len);
	raw_send(fd, all.data, all.len);
	alarm(20);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(&in, chunk, (size_t)n);
	alarm(0);
	bool found = false;
	for (size_t at = 0; at + 9 <= in.len;) {
		const unsigned char *h = (unsigned char *)in.data + at;
		size_t len = (size_t)h[0] << 16 | h[1] << 8 | h[2];
		if (h[3] == 7 && at + 9 + 8 <= in.len && h[16] == error)
			found = true;
		at += 9 + len;
	}
	if (!found && in.len) /* a reset may destroy what was on its way to us */
		print_message("no GOAWAY among %zu bytes\n", in.len);
	close(fd);
	buf_release(&all);
	buf_release(&in);
	buf_release(b);
	char *got = run("curl -sS -m 9 --http2-prior-knowledge http://127.0.0.1:%d/hello", server.port);
	assert_string_equal(got, "hello\n");
	free(got);
}

static void test_rapid_reset(void **state)
{
	struct buf b = BUF_INIT;
	(void)state;
	for (uint32_t id = 1; id < 40001; id += 2) {
		frame(&b, 1, 5, id, GET_BLOCK, 6);
		frame(&b, 3, 0, id, "\x00\x00\x00\x08", 4);
	}
	must_end(&b, 11);
}

/* "Made you reset": a window that overflows makes the server reset each stream. */
static void test_made_reset(void **state)
{
	struct buf b = BUF_INIT;
	(void)state;
	for (uint32_t id = 1; id < 40001; id += 2) {
		frame(&b, 1, 4, id, GET_BLOCK, 6);
		frame(&b, 8, 0, id, "\x7f\xff\xff\xff", 4);
	}
	must_end(&b, 11);
}

static void test_continuation(void **state)
{
	struct buf b = BUF_INIT;
	(void)state;
	frame(&b, 1, 1, 1, GET_BLOCK, 6);
	for (int i = 0; i < 50000; i++)
		frame(&b, 9, 0, 1, "\x40\x01x\x01y", 5);
	must_end(&b, 11);
}

static void test_ping_settings_priority(void **state)
{
	struct buf b = BUF_INIT;
	(void)state;
	for (int i = 0; i < 5000; i++)
		frame(&b, 6, 0, 0, "12345678", 8);
	must_end(&b, 11);
	for (int i = 0; i < 5000; i++)
		frame(&b, 4, 0, 0, "", 0);
	must_end(&b, 11);
	for (int i = 0; i < 5000; i++)
		frame(&b, 2, 0, 1, "\x00\x00\x00\x00\x10", 5);
	must_end(&b, 11);
	frame(&b, 1, 4, 1, GET_BLOCK, 6);
	for (int i = 0; i < 5000; i++)
		frame(&b, 0, 0, 1, "", 0);
	must_end(&b, 11);
}

/* One entry of 4,000 bytes in HPACK's table, referred to by one byte each: 16 kB become 64 MB. */
static void test_header_bomb(void **state)
{
	struct buf b = BUF_INIT, block = BUF_INIT;
	char value[4000];
	(void)state;
	memset(value, 'v', sizeof(value));
	buf_add(&block, GET_BLOCK "\x40\x01x\x7f\xa1\x1e", 12); /* literal "x", value of 127 + 0xf21 = 4000 bytes */
	buf_add(&block, value, 4000);
	for (int i = 0; i < 12000; i++)
		buf_addc(&block, (char)0xbe); /* index 62: the newest */
	frame(&b, 1, 5, 1, block.data, block.len);
	buf_release(&block);
	must_end(&b, 11);
}

static void test_malformed(void **state)
{
	struct buf b = BUF_INIT;
	(void)state;
	frame(&b, 1, 5, 1, "\xff\xff\xff\xff\xff\xff", 6); /* HPACK integer overflow */
	must_end(&b, 9);
	frame(&b, 0, 0, 0, "x", 1); /* DATA on stream 0 */
	must_end(&b, 1);
	frame(&b, 1, 5, 2, GET_BLOCK, 6); /* an even stream */
	must_end(&b, 1);
	buf_add(&b, "\xff\xff\xff\x00\x00\x00\x00\x00\x01", 9); /* a frame of 16 MB */
	must_end(&b, 6);
	char *got = raw_exchange(&server, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
	assert_null(strstr(got, "<timeout>"));
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rapid_reset),	 cmocka_unit_test(test_made_reset),
	    cmocka_unit_test(test_continuation), cmocka_unit_test(test_ping_settings_priority),
	    cmocka_unit_test(test_header_bomb),	 cmocka_unit_test(test_malformed),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
