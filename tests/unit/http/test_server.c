/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "fixture.h"

static struct test_server plain, secure, strict;
static struct test_certs certs;
static char *ca, *client_cert, *client_key, *stranger_cert;

static int setup(void **state)
{
	struct http_limits short_limits = http_limits_default;

	(void)state;
	test_certs_make(&certs);
	ca = write_temp(certs.ca);
	client_cert = write_temp(certs.client_cert);
	client_key = write_temp(certs.client_key);
	stranger_cert = write_temp(certs.stranger_cert);
	short_limits.header_ms_max = short_limits.body_ms_max = short_limits.idle_ms_max = 300;
	short_limits.body_bytes_max = 1000;
	short_limits.header_bytes_max = 4096;
	short_limits.connections_max = 8;
	server_start(&plain, NULL, NULL, NULL);
	server_start(&secure, NULL, &certs, NULL);
	server_start(&strict, &short_limits, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&plain);
	server_stop(&secure);
	server_stop(&strict);
	test_certs_release(&certs);
	return 0;
}

static void expect(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

static void expect_in(char *got, const char *want)
{
	if (!strstr(got, want))
		fail_msg("\"%s\" is not in: %.600s", want, got);
	free(got);
}

static void expect_start(char *got, const char *want)
{
	if (strncmp(got, want, strlen(want)) != 0)
		fail_msg("\"%s\" doesn't begin: %.600s", want, got);
	free(got);
}

/* Every way in: HTTP/1.1 and prior-knowledge HTTP/2 on plain, both by ALPN on TLS. */
static const char *way(int i, char out[512])
{
	const char *const flags[] = {"--http1.1", "--http2-prior-knowledge", "--http1.1", "--http2"};
	struct test_server *s = i < 2 ? &plain : &secure;
	if (i < 2)
		snprintf(out, 512, "curl -sS -m 30 %s http://127.0.0.1:%d", flags[i], s->port);
	else
		snprintf(out, 512, "curl -sS -m 30 %s --cacert %s https://localhost:%d", flags[i], ca, s->port);
	return out;
}

static void test_replies(void **state)
{
	char c[512];
	(void)state;
	for (int i = 0; i < 4; i++) {
		way(i, c);
		expect(run("%s/hello", c), "hello\n");
		expect(run("%s/echo -d abc=def", c), "abc=def");
		expect(run("%s/ticks", c), "tick\ntick\ntick\n");
		expect(run("%s/none -w '%%{http_code} %%{http_version}'", c), i & 1 ? "204 2" : "204 1.1");
		expect(run("%s/nix -o /dev/null -w '%%{http_code}'", c), "404");
		expect_in(run("%s'/headers?a=1&b=%%20' -H 'X-Some:  Thing'", c), "x-some: Thing\n");
		expect_in(run("%s'/headers?a=1&b=%%20'", c), "GET /headers?a=1&b=%20\n");
		expect(run("%s/hello -I -o /dev/null -w '%%{http_code} %%{size_download}'", c), "200 0");
		expect_in(run("%s/hello -I", c), "ontent-");
		if (i == 1)
			continue; /* curl 7.88 cannot use a prior-knowledge connection again (curl issue 10634) */
		/* keep-alive: one connection for three requests */
		expect(run("%s/hello -w '%%{num_connects} ' %s/hello %s/hello", c, strrchr(c, ' ') + 1,
			   strrchr(c, ' ') + 1),
		       "hello\n1 hello\n0 hello\n0 ");
	}
}

static void test_large(void **state)
{
	char c[512];
	(void)state;
	for (int i = 0; i < 4; i++) {
		way(i, c);
		expect(run("%s/parts | tr -d p | wc -c; %s/parts | wc -c", c, c), "0\n20000000\n");
		expect(run("%s/flood | wc -c", c), "41943040\n");
		expect(run("head -c 3000000 /dev/zero | %s/echo --data-binary @- | wc -c", c), "3000000\n");
		expect_in(run("head -c 4000000 /dev/zero | %s/echo --data-binary @- -w '%%{http_code}'", c),
			  "\"reason\":\"RequestEntityTooLarge\"");
		expect_in(run("head -c 4000000 /dev/zero | %s/echo --data-binary @- -w '%%{http_code}' -H "
			      "'Transfer-Encoding: chunked' -H 'Content-Length:'",
			      c),
			  "413");
	}
}

static void test_client_certs(void **state)
{
	(void)state;
	expect_in(run("curl -sS -m 9 --cacert %s --cert %s --key %s https://localhost:%d/headers", ca, client_cert,
		      client_key, secure.port),
		  "cert 1");
	expect_in(run("curl -sS -m 9 --cacert %s https://localhost:%d/headers", ca, secure.port), "cert 0");
	/* A certificate of another authority is not an identity, and not an alert either. */
	expect_in(run("curl -sS -m 9 --cacert %s --cert %s --key %s https://localhost:%d/headers", ca, stranger_cert,
		      client_key, secure.port),
		  "cert 0");
	expect_in(run("curl -sS -m 9 --tls-max 1.1 --cacert %s https://localhost:%d/headers 2>&1", ca, secure.port),
		  "curl:");
}

static void refused(const char *text, const char *code)
{
	char want[32];
	snprintf(want, sizeof(want), "HTTP/1.1 %s ", code);
	char *got = raw_exchange(&plain, text);
	if (strncmp(got, want, strlen(want)) != 0)
		fail_msg("request <%s> was answered by <%.300s>, not %s", text, got, code);
	if (!strstr(got, "\"kind\":\"Status\""))
		fail_msg("no Status in %s", got);
	if (strstr(got + 1, "HTTP/1.1"))
		fail_msg("went on after refusing: %s", got);
	free(got);
}

/* What another implementation could frame in another way is refused, and the connection ends. */
static void test_ambiguous(void **state)
{
	(void)state;
	refused("GET /hello HTTP/1.1\nHost: a\n\n", "400");
	refused("GET /hello HTTP/1.1\r\nHost: a\n\r\n", "400");
	refused("GET /hello HTTP/1.1\r\nHost: a\r\n\n", "400");
	refused("GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	refused("GET /hello  HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	refused("GET\t/hello HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	refused("GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", "400");
	refused("GET /hello HTTP/1.1\r\n Host: a\r\n\r\n", "400");
	refused("GET /hello HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "400");
	refused("GET /hello HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", "400");
	refused("GET /hello HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "400");
	refused("GET /hello HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", "400");
	refused("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400");
	refused("GET /hello HTTP/1.1\r\n\r\n", "400");
	refused("GET hello HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	refused("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	refused("GET /hello HTTP/3.1\r\nHost: a\r\n\r\n", "505");
	refused("BREW /hello HTTP/1.1\r\nHost: a\r\n\r\n", "405");
	refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "405");
	refused("GET /hello HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n", "417");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", "400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", "400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc", "400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nabc", "400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\nabc", "413");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
		"400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "400");
	refused("POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", "400");
	refused("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", "400");
	refused("\x16\x03\x01\x02\x05\r\n\r\n", "400");
}

static void test_pipeline(void **state)
{
	const char *one = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
	char *text = calloc(1, 100 * 64 + 200);
	(void)state;
	for (int i = 0; i < 100; i++)
		strcat(text, i % 10 ? one : "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nhello\n");
	strcat(text,
	       "GET /ticks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /late HTTP/1.1\r\nHost: a\r\n\r\n");
	char *got = raw_exchange(&plain, text);
	int n = 0;
	for (char *p = got; (p = strstr(p, "hello\n")); p++)
		n++;
	assert_int_equal(n, 100);
	assert_null(strstr(got, "404"));
	expect_in(got, "5\r\ntick\n\r\n0\r\n\r\n");
	free(text);
}

static void test_byte_by_byte(void **state)
{
	const char *text =
	    "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
	    "3\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n";
	(void)state;
	int fd = raw_connect(&plain);
	for (const char *p = text; *p; p++)
		raw_send(fd, p, 1);
	expect_in(raw_read(fd, NULL), "\r\n\r\nabcde");
	close(fd);
}

static void test_http10(void **state)
{
	(void)state;
	expect_in(raw_exchange(&plain, "GET /ticks HTTP/1.0\r\n\r\n"), "\r\n\r\ntick\ntick\ntick\n");
	expect_in(raw_exchange(&plain, "GET http://x/hello HTTP/1.0\r\n\r\n"), "\r\n\r\nhello\n");
	int fd = raw_connect(&plain);
	raw_send(fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 48);
	expect_in(raw_read(fd, "hello\n"), "Connection: keep-alive");
	raw_send(fd, "GET /hello HTTP/1.0\r\n\r\n", 23);
	expect_in(raw_read(fd, NULL), "Connection: close");
	close(fd);
}

static void test_expect_continue(void **state)
{
	(void)state;
	int fd = raw_connect(&plain);
	const char *head = "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
	raw_send(fd, head, strlen(head));
	expect(raw_read(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
	raw_send(fd, "body", 4);
	expect_in(raw_read(fd, "body"), "HTTP/1.1 200 OK");
	close(fd);
}

static void test_hijack(void **state)
{
	const char *text =
	    "POST /x HTTP/1.1\r\nHost: a\r\nUpgrade: Echo\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\nearly ";
	(void)state;
	int fd = raw_connect(&plain);
	raw_send(fd, text, strlen(text));
	expect_in(raw_read(fd, "EARLY "), "HTTP/1.1 101 Switching Protocols\r\n");
	raw_send(fd, "then bye", 8);
	expect(raw_read(fd, NULL), "THEN BYE");
	close(fd);
	/* An upgrade nobody takes is a plain request; so is one with a body. */
	expect(run("curl -sS -m 9 --http2 http://127.0.0.1:%d/hello", plain.port), "hello\n");
	expect_in(raw_exchange(&plain, "POST /x HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade, "
				       "close\r\nContent-Length: 2\r\n\r\nab"),
		  "404 Not Found");
}

static char wait_event(struct test_server *s)
{
	struct pollfd p = {.fd = s->out, .events = POLLIN};
	char c = 0;
	if (poll(&p, 1, 5000) == 1 && read(s->out, &c, 1) != 1)
		c = 0;
	return c;
}

static void drain_events(struct test_server *s)
{
	struct pollfd p = {.fd = s->out, .events = POLLIN};
	char c;
	while (poll(&p, 1, 0) == 1 && read(s->out, &c, 1) == 1)
		;
}

static void test_peer_gone(void **state)
{
	(void)state;
	drain_events(&plain);
	drain_events(&secure);
	free(run("curl -sS -m 0.3 --http1.1 http://127.0.0.1:%d/watch 2>/dev/null", plain.port));
	assert_int_equal(wait_event(&plain), 'A');
	free(run("curl -sS -m 0.3 --http2-prior-knowledge http://127.0.0.1:%d/watch 2>/dev/null", plain.port));
	assert_int_equal(wait_event(&plain), 'A');
	free(run("curl -sS -m 0.3 --cacert %s https://localhost:%d/watch 2>/dev/null", ca, secure.port));
	assert_int_equal(wait_event(&secure), 'A');
	expect_in(run("curl -sS -m 3 --http1.1 http://127.0.0.1:%d/abort 2>&1", plain.port), "Empty reply");
	expect_in(run("curl -sS -m 3 --http2-prior-knowledge http://127.0.0.1:%d/abort 2>&1", plain.port),
		  "INTERNAL_ERROR");
}

static void test_time_limits(void **state)
{
	(void)state;
	expect_start(raw_exchange(&strict, "GET /hello HT"), "HTTP/1.1 408 ");
	expect_start(raw_exchange(&strict, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"),
		     "HTTP/1.1 408 ");
	expect(raw_exchange(&strict, ""), "");
	/* idle after a reply */
	char *got = raw_exchange(&strict, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_null(strstr(got, "<timeout>"));
	expect_in(got, "hello\n");
}

/* A burst of connections is accepted before the request of the first of them is read: that one isn't idle. */
static void test_burst(void **state)
{
	int idle[32];
	(void)state;
	kill(strict.pid, SIGSTOP);
	int fd = raw_connect(&strict);
	const char *text = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
	raw_send(fd, text, strlen(text));
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		idle[i] = raw_connect(&strict);
	kill(strict.pid, SIGCONT);
	expect_in(raw_read(fd, NULL), "hello\n");
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		close(idle[i]);
}

static void test_size_limits(void **state)
{
	char *text = malloc(9000);
	(void)state;
	snprintf(text, 9000, "GET /hello HTTP/1.1\r\nHost: a\r\nX: %05000d\r\n\r\n", 1);
	expect_start(raw_exchange(&strict, text), "HTTP/1.1 431 ");
	snprintf(text, 9000, "GET /%03000d HTTP/1.1\r\nHost: a\r\n\r\n", 1);
	expect_start(raw_exchange(&strict, text), "HTTP/1.1 414 ");
	snprintf(text, 9000, "GET /hello HTTP/1.1\r\nHost: a\r\nX: %05000d", 1);
	expect_start(raw_exchange(&strict, text), "HTTP/1.1 431 ");
	free(text);
	expect(run("curl -sS -m 9 --http2-prior-knowledge http://127.0.0.1:%d/hello -o /dev/null -w '%%{http_code}' -H "
		   "X:$(head -c "
		   "5000 /dev/zero | tr '\\0' a)",
		   strict.port),
	       "431");
	int fds[12];
	for (int i = 0; i < 12; i++)
		fds[i] = raw_connect(&strict);
	char c;
	assert_int_equal(read(fds[11], &c, 1), 0); /* closed at once */
	for (int i = 0; i < 12; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_replies),	 cmocka_unit_test(test_large),
	    cmocka_unit_test(test_client_certs), cmocka_unit_test(test_ambiguous),
	    cmocka_unit_test(test_pipeline),	 cmocka_unit_test(test_byte_by_byte),
	    cmocka_unit_test(test_http10),	 cmocka_unit_test(test_expect_continue),
	    cmocka_unit_test(test_hijack),	 cmocka_unit_test(test_peer_gone),
	    cmocka_unit_test(test_time_limits),	 cmocka_unit_test(test_burst),
	    cmocka_unit_test(test_size_limits),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
