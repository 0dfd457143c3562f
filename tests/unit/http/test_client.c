/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "fixture.h"
#include "http/client.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tls.h"

static struct test_server plain, secure;
static struct test_certs certs;
static struct loop *loop;
static struct tls_context *tls, *tls_h1, *tls_wrong;
static unsigned running;

static struct tls_context *client_tls(const char *ca, const char *first, const char *second, bool cert)
{
	const char *alpn[] = {first, second, NULL};
	struct tls_config c = {.ca_pem = ca, .alpn = alpn};
	struct tls_context *t = NULL;
	char err[200];
	if (cert) {
		c.cert_pem = certs.client_cert;
		c.key_pem = certs.client_key;
	}
	assert_int_equal(tls_context_new(&c, &t, err, sizeof(err)), 0);
	return t;
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	test_certs_make(&certs);
	server_start(&plain, NULL, NULL, NULL);
	server_start(&secure, NULL, &certs, NULL);
	assert_int_equal(loop_new(&loop), 0);
	tls = client_tls(certs.ca, "h2", "http/1.1", true);
	tls_h1 = client_tls(certs.ca, "http/1.1", NULL, false);
	tls_wrong = client_tls(certs.stranger_cert, "h2", NULL, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tls_context_free(tls);
	tls_context_free(tls_h1);
	tls_context_free(tls_wrong);
	loop_free(loop);
	server_stop(&plain);
	server_stop(&secure);
	test_certs_release(&certs);
	return 0;
}

struct result {
	struct http_call *call;
	int code, result;
	size_t len, pauses;
	struct buf data;
	bool done, cancel_on_data, pause_on_data;
	pid_t kill_on_data;
	char type[64];
	struct loop_timer *timer;
};

static void on_response(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	struct result *r = arg;
	r->code = code;
	for (size_t i = 0; i < n; i++)
		if (str_eq(headers[i].name, "content-type"))
			snprintf(r->type, sizeof(r->type), "%s", headers[i].value);
}

static void ended(struct result *r)
{
	r->done = true;
	r->call = NULL;
	if (--running == 0)
		loop_stop(loop);
}

static void resume_later(void *arg)
{
	struct result *r = arg;
	if (r->call)
		http_call_resume(r->call);
}

static void on_data(void *arg, const char *p, size_t len)
{
	struct result *r = arg;
	r->len += len;
	if (r->len < 100000)
		buf_add(&r->data, p, len);
	if (r->kill_on_data) {
		kill(r->kill_on_data, SIGTERM); /* drains for 100 ms, then closes */
		r->kill_on_data = 0;
	}
	if (r->cancel_on_data) {
		http_call_cancel(r->call);
		ended(r);
	} else if (r->pause_on_data && r->pauses < 20) {
		r->pauses++;
		http_call_pause(r->call);
		if (!r->timer)
			r->timer = loop_timer_new(loop, resume_later, r);
		loop_timer_start(r->timer, 1);
	}
}

static void on_done(void *arg, int result)
{
	struct result *r = arg;
	assert_false(r->done);
	r->result = result;
	ended(r);
}

static const struct http_call_events events = {.on_response = on_response, .on_data = on_data, .on_done = on_done};

static struct http_client *client(int i)
{
	struct http_client *c;
	struct http_client_config cfg = {
	    .loop = loop, .server_name = "localhost", .bearer_token = "tok", .user_agent = "test"};
	struct tls_context *contexts[] = {NULL, tls_h1, tls, tls_wrong};
	cfg.address = i == 0 ? plain.address : secure.address;
	cfg.tls = contexts[i];
	assert_int_equal(http_client_new(&cfg, &c), 0);
	return c;
}

static void start(struct http_client *c, struct result *r, const char *method, const char *path, const char *body,
		  int64_t timeout_ms)
{
	struct http_header_pair h = {"x-some", "thing"};
	struct http_call_config cfg = {.method = method,
				       .path = path,
				       .headers = &h,
				       .n_headers = 1,
				       .body = body,
				       .body_len = body ? strlen(body) : 0,
				       .timeout_ms = timeout_ms};
	running++;
	r->call = http_call_start(c, &cfg, &events, r);
}

static void finish(struct result *r)
{
	buf_release(&r->data);
	loop_timer_free(r->timer);
	*r = (struct result){0};
}

/* loop_stop outside of loop_run is remembered: run until nothing is open. */
static void wait_all(void)
{
	while (running)
		loop_run(loop);
}

static void test_calls(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct http_client *c = client(i);
		struct result a = {0}, b = {0}, d = {0}, e = {0}, f = {0};
		start(c, &a, "GET", "/hello", NULL, 5000);
		start(c, &b, "POST", "/echo", "some body", 5000);
		start(c, &d, "GET", "/headers?q=1", NULL, 5000);
		start(c, &e, "GET", "/parts", NULL, 20000);
		start(c, &f, "GET", "/ticks", NULL, 0);
		wait_all();
		assert_int_equal(a.result, 0);
		assert_int_equal(a.code, 200);
		assert_string_equal(a.type, "text/plain");
		assert_string_equal(a.data.data, "hello\n");
		assert_string_equal(b.data.data, "some body");
		assert_non_null(strstr(d.data.data, "GET /headers?q=1\n"));
		assert_non_null(strstr(d.data.data, "authorization: Bearer tok\n"));
		assert_non_null(strstr(d.data.data, "x-some: thing\n"));
		assert_non_null(strstr(d.data.data, "host: localhost\n"));
		assert_non_null(strstr(d.data.data, i == 2 ? "cert 1\n" : "cert 0\n"));
		assert_int_equal(e.result, 0);
		assert_int_equal(e.len, 20000000);
		assert_string_equal(f.data.data, "tick\ntick\ntick\n");
		/* again, on the kept connections; HEAD has a length and no body */
		finish(&a), finish(&b), finish(&d), finish(&e), finish(&f);
		start(c, &a, "HEAD", "/hello", NULL, 5000);
		wait_all();
		assert_int_equal(a.result, 0);
		assert_int_equal(a.len, 0);
		start(c, &b, "GET", "/none", NULL, 5000);
		wait_all();
		assert_int_equal(b.code, 204);
		finish(&a), finish(&b);
		http_client_free(c);
	}
}

static void test_many(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct http_client *c = client(i);
		struct result *r = xcalloc(600, sizeof(*r));
		for (int k = 0; k < 600; k++)
			start(c, &r[k], k % 2 ? "GET" : "POST", k % 2 ? "/hello" : "/echo", k % 2 ? NULL : "hello\n",
			      20000);
		wait_all();
		for (int k = 0; k < 600; k++) {
			assert_int_equal(r[k].result, 0);
			assert_string_equal(r[k].data.data, "hello\n");
			finish(&r[k]);
		}
		free(r);
		http_client_free(c);
	}
}

static void test_pause_and_cancel(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct http_client *c = client(i);
		struct result a = {.pause_on_data = true}, b = {.cancel_on_data = true}, d = {0};
		start(c, &a, "GET", "/parts", NULL, 20000);
		start(c, &b, "GET", "/watch", NULL, 0);
		start(c, &d, "GET", "/hello", NULL, 5000);
		wait_all();
		assert_int_equal(a.result, 0);
		assert_int_equal(a.len, 20000000);
		assert_int_equal(a.pauses, 20);
		assert_true(b.done);
		assert_int_equal(d.result, 0);
		finish(&a), finish(&b), finish(&d);
		/* cancelled before anything was sent */
		start(c, &a, "GET", "/hello", NULL, 0);
		http_call_cancel(a.call);
		running--;
		start(c, &b, "GET", "/watch", NULL, 60);
		wait_all();
		assert_int_equal(b.result, -ETIMEDOUT);
		finish(&a), finish(&b);
		start(c, &a, "GET", "/watch", NULL, 0);
		start(c, &b, "GET", "/hello", NULL, 0);
		http_client_free(c);
		assert_int_equal(a.result, -ECANCELED);
		assert_int_equal(b.result, -ECANCELED);
		finish(&a), finish(&b);
	}
}

static void test_failures(void **state)
{
	(void)state;
	struct result a = {0}, b = {0};
	struct http_client *c = client(3);
	start(c, &a, "GET", "/hello", NULL, 5000);
	wait_all();
	assert_int_equal(a.result, -EKEYREJECTED);
	finish(&a);
	http_client_free(c);

	struct http_client_config cfg = {.loop = loop, .address = "127.0.0.1:1", .server_name = "localhost"};
	assert_int_equal(http_client_new(&cfg, &c), 0);
	start(c, &a, "GET", "/hello", NULL, 5000);
	start(c, &b, "GET", "/hello", NULL, 5000);
	wait_all();
	assert_int_equal(a.result, -ECONNREFUSED);
	assert_int_equal(b.result, -ECONNREFUSED);
	finish(&a), finish(&b);
	http_client_free(c);

	for (int i = 1; i < 3; i++) { /* the server refuses one stream; others go on */
		c = client(i);
		start(c, &a, "GET", "/abort", NULL, 5000);
		start(c, &b, "GET", "/hello", NULL, 5000);
		wait_all();
		assert_true(a.result < 0 && a.result != -ETIMEDOUT);
		assert_int_equal(b.result, 0);
		finish(&a), finish(&b);
		http_client_free(c);
	}
}

static void test_server_gone(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct test_server s;
		struct http_client *c;
		struct result a = {0};
		struct tls_context *contexts[] = {NULL, tls_h1, tls};
		server_start(&s, NULL, i ? &certs : NULL, NULL);
		struct http_client_config cfg = {
		    .loop = loop, .address = s.address, .server_name = "localhost", .tls = contexts[i]};
		assert_int_equal(http_client_new(&cfg, &c), 0);
		a.kill_on_data = s.pid;
		start(c, &a, "GET", "/watch", NULL, 0);
		wait_all();
		assert_int_equal(a.result, -ECONNRESET);
		assert_true(a.len > 0);
		finish(&a);
		http_client_free(c);
		server_wait(&s);
	}
}

/* ---- tunnels ---- */

struct tunnel_result {
	struct stream *s;
	struct buf got, head;
	int refused, error;
	bool closed;
};

static void tunnel_data(void *arg, const char *p, size_t len)
{
	struct tunnel_result *t = arg;
	buf_add(&t->got, p, len);
}

static void tunnel_eof(void *arg)
{
	struct tunnel_result *t = arg;
	stream_close(t->s);
}

static void tunnel_closed(void *arg, int why)
{
	struct tunnel_result *t = arg;
	(void)why;
	t->closed = true;
	loop_stop(loop);
}

static void on_upgraded(void *arg, struct stream *s, const char *head, size_t len)
{
	static const struct stream_events ev = {
	    .on_data = tunnel_data, .on_eof = tunnel_eof, .on_close = tunnel_closed};
	struct tunnel_result *t = arg;
	t->s = s;
	buf_add(&t->head, head, len);
	stream_set_events(s, &ev, t);
	stream_read_start(s);
	stream_write(s, "through, then bye", 17);
}

static void on_refused(void *arg, int code, const char *type, const char *body, size_t len)
{
	struct tunnel_result *t = arg;
	t->refused = code;
	assert_string_equal(type, "text/plain");
	buf_add(&t->got, body, len);
	loop_stop(loop);
}

static void on_error(void *arg, int error)
{
	struct tunnel_result *t = arg;
	t->error = error;
	loop_stop(loop);
}

static void test_tunnel(void **state)
{
	static const struct http_tunnel_events ev = {
	    .on_upgraded = on_upgraded, .on_refused = on_refused, .on_error = on_error};
	struct http_header_pair up[] = {{"upgrade", "echo"}, {"connection", "Upgrade"}};
	struct http_call_config cfg = {.method = "POST", .path = "/x", .headers = up, .n_headers = 2};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct tunnel_result t = {0}, n = {0};
		struct http_client *c = client(i);
		cfg.n_headers = 2;
		assert_int_equal(http_tunnel(c, &cfg, &ev, &t), 0);
		while (!t.closed && !t.error)
			loop_run(loop);
		if (i == 3) {
			assert_int_equal(t.error, -EKEYREJECTED);
		} else {
			assert_true(t.closed);
			assert_string_equal(t.got.data, "THROUGH, THEN BYE");
			assert_true(str_has_prefix(t.head.data, "HTTP/1.1 101 "));
			cfg.n_headers = 0;
			assert_int_equal(http_tunnel(c, &cfg, &ev, &n), 0);
			while (!n.refused)
				loop_run(loop);
			assert_int_equal(n.refused, 404);
			assert_string_equal(n.got.data, "nothing here\n");
		}
		buf_release(&t.got), buf_release(&t.head), buf_release(&n.got);
		assert_int_equal(http_tunnel(c, &cfg, &ev, &n), 0);
		http_client_free(c);
		assert_int_equal(n.error, -ECANCELED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calls),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_pause_and_cancel),
	    cmocka_unit_test(test_failures),
	    cmocka_unit_test(test_server_gone),
	    cmocka_unit_test(test_tunnel),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
