/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "node/grpc_health.h"

/* An answer as a server sends it: SETTINGS, HEADERS (not decoded), DATA, trailers with END_STREAM. */
static const unsigned char serving[] = {
    0, 0, 0, 4, 0, 0, 0, 0, 0,			       /* SETTINGS */
    0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88,		       /* HEADERS :status 200 */
    0, 0, 7, 0, 0, 0, 0, 0, 1, 0,    0, 0, 0, 2, 8, 1, /* DATA: status 1 */
    0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88,		       /* trailers */
};

static enum grpc_health_result feed(const unsigned char *p, size_t len, size_t step, struct buf *out)
{
	struct grpc_health g;
	enum grpc_health_result r = GRPC_HEALTH_PENDING;

	grpc_health_init(&g);
	for (size_t i = 0; i < len; i += step)
		r = grpc_health_feed(&g, p + i, step < len - i ? step : len - i, out);
	grpc_health_release(&g);
	return r;
}

static void answers(void **state)
{
	static const unsigned char ack[] = {0, 0, 0, 4, 1, 0, 0, 0, 0};
	unsigned char other[sizeof(serving)];

	(void)state;
	for (size_t step = 1; step <= sizeof(serving); step++) {
		_cleanup_buf_ struct buf out = BUF_INIT;

		assert_int_equal(feed(serving, sizeof(serving), step, &out), GRPC_HEALTH_SERVING);
		assert_int_equal(out.len, sizeof(ack));
		assert_memory_equal(out.data, ack, sizeof(ack));
	}
	_cleanup_buf_ struct buf out = BUF_INIT;
	memcpy(other, serving, sizeof(serving));
	other[34] = 2; /* NOT_SERVING */
	assert_int_equal(feed(other, sizeof(other), 7, &out), GRPC_HEALTH_NOT_SERVING);
	/* An error has trailers only. */
	assert_int_equal(feed((const unsigned char[]){0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88}, 10, 10, &out),
			 GRPC_HEALTH_FAILED);
	assert_int_equal(feed((const unsigned char *)"HTTP/1.1 400 Bad Request\r\n", 26, 26, &out), GRPC_HEALTH_FAILED);
	assert_int_equal(feed(serving, 20, 20, &out), GRPC_HEALTH_PENDING);
}

static void request(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	(void)state;
	assert_int_equal(grpc_health_request(&out, "10.0.0.1:50", "svc"), 0);
	assert_memory_equal(out.data, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	/* The last frame: DATA of 5 + 5 bytes, END_STREAM, field 1 of three bytes. */
	assert_memory_equal(out.data + out.len - 19, "\0\0\012\0\1\0\0\0\1\0\0\0\0\5\12\3svc", 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(answers), cmocka_unit_test(request)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
