/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/str.h"
#include "certs.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tls.h"

static struct loop *loop;
static struct test_certs certs;
static struct tls_context *server_tls, *client_tls, *anonymous_tls;

struct end {
	struct stream *s;
	int connected, closed; /* 1: not yet */
	size_t received;
	uint32_t sum;
	bool eof, drained, stop_each, echo, close_on_data;
	char alpn[16];
};

static struct end server, client;
static struct loop_timer *later;

static struct tls_context *context(const struct tls_config *c)
{
	struct tls_context *t = NULL;
	char err[256] = "";
	if (tls_context_new(c, &t, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	return t;
}

static int setup(void **state)
{
	static const char *const alpn[] = {"h2", "http/1.1", NULL};
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	test_certs_make(&certs);
	server_tls = context(&(struct tls_config){.server = true,
						  .cert_pem = certs.cert,
						  .key_pem = certs.key,
						  .ca_pem = certs.ca,
						  .request_client_cert = true,
						  .alpn = alpn});
	client_tls = context(&(struct tls_config){
	    .cert_pem = certs.client_cert, .key_pem = certs.client_key, .ca_pem = certs.ca, .alpn = alpn});
	anonymous_tls = context(&(struct tls_config){.ca_pem = certs.ca});
	return loop_new(&loop);
}

static int teardown(void **state)
{
	(void)state;
	tls_context_free(server_tls);
	tls_context_free(client_tls);
	tls_context_free(anonymous_tls);
	loop_free(loop);
	test_certs_release(&certs);
	return 0;
}

static void start_again(void *arg)
{
	struct end *e = arg;
	stream_read_start(e->s);
}

static void on_connect(void *arg, int result)
{
	struct end *e = arg;
	assert_int_equal(e->connected, 1);
	e->connected = result;
	if (result == 0)
		snprintf(e->alpn, sizeof(e->alpn), "%s", str_or(stream_alpn(e->s), "-"));
}

static void on_data(void *arg, const char *p, size_t len)
{
	struct end *e = arg;
	e->received += len;
	for (size_t i = 0; i < len; i++)
		e->sum = e->sum * 31 + (unsigned char)p[i];
	if (e->echo)
		stream_write(e->s, p, len);
	if (e->stop_each) { /* a slow reader */
		stream_read_stop(e->s);
		loop_timer_start(later, 0);
	}
	if (e->close_on_data)
		stream_close(e->s);
}

static void on_eof(void *arg)
{
	struct end *e = arg;
	assert_false(e->eof);
	e->eof = true;
	stream_shutdown(e->s);
	if (e == &client)
		stream_close(e->s);
}

static void on_drain(void *arg)
{
	struct end *e = arg;
	e->drained = true;
}

static void on_close(void *arg, int why)
{
	struct end *e = arg;
	assert_int_equal(e->closed, 1); /* once */
	e->closed = why;
	if (later)
		loop_timer_stop(later);
	if (e == &client && server.s && server.closed == 1)
		stream_close(server.s);
	if ((!server.s || server.closed != 1) && client.closed != 1)
		loop_stop(loop);
}

static const struct stream_events events = {
    .on_connect = on_connect, .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_close = on_close};

static void reset(void)
{
	server = (struct end){.connected = 1, .closed = 1};
	client = (struct end){.connected = 1, .closed = 1};
}

static void on_accept(void *arg, struct stream *s)
{
	(void)arg;
	server.s = s;
	stream_set_events(s, &events, &server);
	stream_read_start(s);
}

/* 10 MB in pieces of every kind go to the server and come back. */
static void transfer(const char *address, struct tls_context *stls, struct tls_context *ctls)
{
	struct listener *l;
	uint32_t sum = 0;
	size_t total = 0;

	reset();
	server.echo = true;
	client.stop_each = true;
	later = loop_timer_new(loop, start_again, &client);
	assert_int_equal(listener_new(loop, address, stls, NULL, on_accept, NULL, &l), 0);
	assert_int_equal(stream_connect(loop, listener_address(l), ctls, "localhost", &events, &client, &client.s), 0);
	struct bytes *shared = bytes_alloc(300000);
	for (size_t i = 0; i < shared->len; i++)
		shared->data[i] = (char)(i * 7 + i / 251);
	for (size_t i = 0; i < 60; i++) {
		size_t n = i % 3 == 0 ? 1 + i : i % 3 == 1 ? 5000 + i : 290000;
		stream_write(client.s, shared->data + i, n / 2);
		stream_write_bytes(client.s, shared, i + n / 2, n - n / 2);
		for (size_t k = 0; k < n; k++)
			sum = sum * 31 + (unsigned char)shared->data[i + k];
		total += n;
	}
	assert_int_equal(stream_queued(client.s), total);
	bytes_unref(shared);
	stream_shutdown(client.s);
	stream_write(client.s, "late", 4); /* after the end: dropped */
	stream_read_start(client.s);
	loop_run(loop);
	assert_int_equal(client.connected, 0);
	assert_int_equal(server.received, total);
	assert_int_equal(server.sum, sum);
	assert_int_equal(client.received, total);
	assert_int_equal(client.sum, sum);
	assert_true(server.eof && client.eof && client.drained && server.drained);
	assert_int_equal(client.closed, 0);
	listener_free(l);
	loop_timer_free(later);
	later = NULL;
}

static void test_tcp(void **state)
{
	(void)state;
	transfer("127.0.0.1:0", NULL, NULL);
	transfer("[::1]:0", NULL, NULL);
}

static void test_unix(void **state)
{
	char address[100];
	(void)state;
	snprintf(address, sizeof(address), "unix:/tmp/proa-test-%d.sock", (int)getpid());
	transfer(address, NULL, NULL);
	transfer(address, server_tls, client_tls); /* the address is free again */
}

static void test_tls(void **state)
{
	(void)state;
	transfer("127.0.0.1:0", server_tls, client_tls);
	assert_string_equal(client.alpn, "h2");
	transfer("127.0.0.1:0", server_tls, anonymous_tls);
	assert_string_equal(client.alpn, "-");
}

static void on_accept_check(void *arg, struct stream *s)
{
	const unsigned char *der;
	size_t len;
	*(int *)arg = stream_peer_cert(s, &der, &len) && len > 100 ? 1 : 0;
	assert_non_null(strstr(stream_peer_address(s), "127.0.0.1:"));
	on_accept(NULL, s);
}

static int connect_once(struct tls_context *stls, struct tls_context *ctls, const char *name, int *cert)
{
	struct listener *l;
	reset();
	client.close_on_data = true;
	assert_int_equal(listener_new(loop, "127.0.0.1:0", stls, NULL, on_accept_check, cert, &l), 0);
	assert_int_equal(stream_connect(loop, listener_address(l), ctls, name, &events, &client, &client.s), 0);
	server.echo = true;
	stream_write(client.s, "x", 1);
	stream_read_start(client.s);
	loop_run(loop);
	listener_free(l);
	return client.connected;
}

static void test_certificates(void **state)
{
	int cert = -1;
	(void)state;
	assert_int_equal(connect_once(server_tls, client_tls, "localhost", &cert), 0);
	assert_int_equal(cert, 1);
	assert_int_equal(connect_once(server_tls, client_tls, "127.0.0.1", &cert), 0);
	assert_int_equal(connect_once(server_tls, anonymous_tls, "localhost", &cert), 0);
	assert_int_equal(cert, 0);
	assert_int_equal(connect_once(server_tls, client_tls, "example.org", &cert), -EKEYREJECTED);
	assert_int_equal(connect_once(server_tls, client_tls, "127.0.0.2", &cert), -EKEYREJECTED);

	struct tls_context *wrong = context(&(struct tls_config){.ca_pem = certs.stranger_cert});
	assert_int_equal(connect_once(server_tls, wrong, "localhost", &cert), -EKEYREJECTED);
	tls_context_free(wrong);
	struct tls_context *careless = context(&(struct tls_config){.insecure = true});
	assert_int_equal(connect_once(server_tls, careless, NULL, &cert), 0);
	tls_context_free(careless);
	/* Asked for, not required: a stranger's certificate is no identity. */
	struct tls_context *stranger = context(
	    &(struct tls_config){.cert_pem = certs.stranger_cert, .key_pem = certs.stranger_key, .ca_pem = certs.ca});
	cert = -1;
	assert_int_equal(connect_once(server_tls, stranger, "localhost", &cert), 0);
	assert_int_equal(cert, 0);
	tls_context_free(stranger);
}

static void test_reload(void **state)
{
	struct test_certs other;
	char err[200];
	int cert;
	(void)state;
	test_certs_make(&other);
	struct tls_config c = {.server = true, .cert_pem = other.cert, .key_pem = other.key};
	struct tls_context *t =
	    context(&(struct tls_config){.server = true, .cert_pem = certs.cert, .key_pem = certs.key});
	assert_int_equal(connect_once(t, anonymous_tls, "localhost", &cert), 0);
	assert_int_equal(tls_context_reload(t, &c, err, sizeof(err)), 0);
	assert_int_equal(connect_once(t, anonymous_tls, "localhost", &cert), -EKEYREJECTED);
	c.key_pem = certs.key; /* of another certificate: refused, the old one stays */
	assert_int_equal(tls_context_reload(t, &c, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "private key"));
	c.cert_pem = "nonsense";
	assert_int_equal(tls_context_reload(t, &c, err, sizeof(err)), -EINVAL);
	tls_context_free(t);
	test_certs_release(&other);
}

static void test_refused(void **state)
{
	(void)state;
	reset();
	assert_int_equal(stream_connect(loop, "127.0.0.1:1", NULL, NULL, &events, &client, &client.s), 0);
	loop_run(loop);
	assert_int_equal(client.connected, -ECONNREFUSED);
	assert_int_equal(client.closed, -ECONNREFUSED);
	static const char *const bad[] = {"",	    "localhost", "1.2.3.4", "1.2.3.4:", "1.2.3.4:99999",
					  "[::1:5", "name:80",	 "unix:",   NULL};
	for (const char *const *p = bad; *p; p++)
		assert_int_equal(stream_connect(loop, *p, NULL, NULL, &events, &client, &client.s), -EINVAL);
	/* Closed before it was connected: no on_connect. */
	reset();
	assert_int_equal(stream_connect(loop, "127.0.0.1:1", NULL, NULL, &events, &client, &client.s), 0);
	stream_close(client.s);
	loop_run(loop);
	assert_int_equal(client.connected, 1);
	assert_int_equal(client.closed, 0);
}

/* A peer that takes nothing: the queue is bounded. */
static void test_queue_bound(void **state)
{
	int fds[2];
	char *mb = xcalloc(1, 1 << 20);
	(void)state;
	reset();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(stream_from_fd(loop, fds[0], &events, &client, &client.s), 0);
	for (int i = 0; i < 65; i++)
		stream_write(client.s, mb, 1 << 20);
	loop_run(loop);
	assert_int_equal(client.closed, -ENOBUFS);
	close(fds[1]);
	free(mb);
}

/* Bytes given back come first, and in order, when a stream is handed over. */
static void test_unread(void **state)
{
	int fds[2];
	(void)state;
	reset();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(stream_from_fd(loop, fds[0], &events, &client, &client.s), 0);
	assert_int_equal(write(fds[1], "ef", 2), 2);
	stream_unread(client.s, "cd", 2);
	stream_unread(client.s, "ab", 2);
	stream_read_start(client.s);
	shutdown(fds[1], SHUT_WR);
	loop_run(loop);
	uint32_t want = 0;
	for (const char *p = "abcdef"; *p; p++)
		want = want * 31 + (unsigned char)*p;
	assert_int_equal(client.received, 6);
	assert_int_equal(client.sum, want);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tcp),		 cmocka_unit_test(test_unix),	cmocka_unit_test(test_tls),
	    cmocka_unit_test(test_certificates), cmocka_unit_test(test_reload), cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_queue_bound),	 cmocka_unit_test(test_unread),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
