/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tls.h"

#define READ_MS_MAX 10000

static struct loop *loop;
static struct http_server *server;
static int events_fd;

static void event(char c)
{
	if (write(events_fd, &c, 1) < 0)
		_exit(99);
}

/* ---- routes ---- */

static void reply_headers(struct http_request *r)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *name, *value;
	buf_addf(&b, "%s %s?%s\n", http_method(r), http_path(r), http_query(r));
	for (size_t i = 0; http_header_each(r, i, &name, &value); i++)
		buf_addf(&b, "%s: %s\n", name, value);
	const unsigned char *der;
	size_t len;
	buf_addf(&b, "cert %d\n", http_peer_cert(r, &der, &len));
	http_reply(r, 200, "text/plain", b.data, b.len);
}

/* 20 MB in shared parts of 4,000 bytes. */
static void reply_parts(struct http_request *r)
{
	struct bytes *part = bytes_alloc(4000), *parts[5000];
	memset(part->data, 'p', 4000);
	for (size_t i = 0; i < 5000; i++)
		parts[i] = part;
	http_reply_buf_parts(r, 200, "text/plain", parts, 5000);
	bytes_unref(part);
}

struct ticker {
	struct http_request *r;
	struct loop_timer *timer;
	int left;
};

static void tick(void *arg)
{
	struct ticker *t = arg;
	struct bytes *b = bytes_new("tick\n", 5);
	http_stream_write(t->r, b);
	bytes_unref(b);
	if (--t->left == 0)
		http_stream_end(t->r);
	else
		loop_timer_start(t->timer, 5);
}

static void ticker_closed(void *arg, bool aborted)
{
	struct ticker *t = arg;
	event(aborted ? 'A' : 'C');
	loop_timer_free(t->timer);
	free(t);
}

static void reply_ticks(struct http_request *r, int n)
{
	struct ticker *t = NEW(struct ticker);
	*t = (struct ticker){.r = r, .left = n};
	t->timer = loop_timer_new(loop, tick, t);
	http_on_close(r, ticker_closed, t);
	http_stream_begin(r, 200, "text/plain");
	loop_timer_start(t->timer, 5);
}

/* Writes 64 KiB pieces on each drain: 40 MB that must never be queued at once. */
static void flood_more(void *arg)
{
	struct ticker *t = arg;
	while (t->left && http_stream_queued(t->r) < 128 * 1024) {
		struct bytes *b = bytes_alloc(64 * 1024);
		memset(b->data, 'f', b->len);
		http_stream_write(t->r, b);
		bytes_unref(b);
		t->left--;
	}
	if (http_stream_queued(t->r) > 512 * 1024)
		event('!');
	if (!t->left)
		http_stream_end(t->r);
}

static void reply_flood(struct http_request *r)
{
	struct ticker *t = NEW(struct ticker);
	*t = (struct ticker){.r = r, .left = 640};
	http_on_close(r, ticker_closed, t);
	http_on_drain(r, flood_more, t);
	http_stream_begin(r, 200, "text/plain");
	flood_more(t);
}

/* A raw stream that echoes in upper case; "bye" closes it. */
static void echo_data(void *arg, const char *p, size_t len)
{
	struct stream **s = arg;
	_cleanup_free_ char *up = xstrndup(p, len);
	for (char *c = up; *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
	stream_write(*s, up, len);
	if (memmem(p, len, "bye", 3))
		stream_close(*s);
}

static void echo_eof(void *arg)
{
	struct stream **s = arg;
	stream_close(*s);
}

static void echo_closed(void *arg, int why)
{
	(void)why;
	event('H');
	free(arg);
}

static void take_over(struct http_request *r)
{
	static const struct stream_events ev = {.on_data = echo_data, .on_eof = echo_eof, .on_close = echo_closed};
	struct stream **s = NEW(struct stream *);
	*s = http_hijack(r, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n", &ev, s);
	stream_read_start(*s);
}

static void handle(struct http_request *r, void *arg)
{
	const char *path = http_path(r);
	size_t len;
	const char *body = http_body(r, &len);

	(void)arg;
	if (str_eq(path, "/hello"))
		http_reply(r, 200, "text/plain", "hello\n", 6);
	else if (str_eq(path, "/echo"))
		http_reply(r, 200, "application/octet-stream", body, len);
	else if (str_eq(path, "/headers"))
		reply_headers(r);
	else if (str_eq(path, "/parts"))
		reply_parts(r);
	else if (str_eq(path, "/ticks"))
		reply_ticks(r, 3);
	else if (str_eq(path, "/watch"))
		reply_ticks(r, 1 << 30);
	else if (str_eq(path, "/flood"))
		reply_flood(r);
	else if (str_eq(path, "/none"))
		http_reply(r, 204, NULL, NULL, 0);
	else if (str_eq(path, "/abort"))
		http_abort(r);
	else if (str_eq(http_upgrade(r), "echo"))
		take_over(r);
	else
		http_reply(r, 404, "text/plain", "nothing here\n", 13);
}

/* ---- the child ---- */

static void drained(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void on_term(void *arg)
{
	(void)arg;
	http_server_drain(server, 100, drained, NULL);
}

static void child(int ready, const struct http_limits *limits, const struct test_certs *certs, http_handler handler)
{
	static const char *const alpn[] = {"h2", "http/1.1", NULL};
	struct tls_context *tls = NULL;
	char err[200];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	log_init("fixture");
	if (loop_new(&loop) < 0)
		_exit(90);
	if (certs) {
		struct tls_config c = {.server = true,
				       .cert_pem = certs->cert,
				       .key_pem = certs->key,
				       .ca_pem = certs->ca,
				       .request_client_cert = true,
				       .alpn = alpn};
		if (tls_context_new(&c, &tls, err, sizeof(err)) < 0) {
			fprintf(stderr, "%s\n", err);
			_exit(91);
		}
	}
	struct http_server_config cfg = {.loop = loop,
					 .address = "127.0.0.1:0",
					 .tls = tls,
					 .limits = limits,
					 .handler = handler ? handler : handle};
	if (http_server_new(&cfg, &server) < 0)
		_exit(92);
	struct loop_signal *sig = loop_signal_new(loop, SIGTERM, on_term, NULL);
	const char *address = http_server_address(server);
	if (write(ready, address, strlen(address)) < 0)
		_exit(93);
	close(ready);
	loop_run(loop);
	loop_signal_free(sig);
	http_server_free(server);
	tls_context_free(tls);
	loop_free(loop);
	close(events_fd);
	exit(0);
}

void server_start(struct test_server *s, const struct http_limits *limits, const struct test_certs *certs,
		  http_handler handler)
{
	int ready[2], out[2];
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(out), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		close(ready[0]);
		close(out[0]);
		events_fd = out[1];
		child(ready[1], limits, certs, handler);
	}
	close(ready[1]);
	close(out[1]);
	s->out = out[0];
	ssize_t n = read(ready[0], s->address, sizeof(s->address) - 1);
	assert_true(n > 0);
	s->address[n] = 0;
	s->port = atoi(strrchr(s->address, ':') + 1);
	close(ready[0]);
}

void server_stop(struct test_server *s)
{
	kill(s->pid, SIGTERM);
	server_wait(s);
}

void server_wait(struct test_server *s)
{
	int status;
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(s->out);
}

/* ---- talking to it ---- */

int raw_connect(const struct test_server *s)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

void raw_send(int fd, const void *p, size_t len)
{
	const char *at = p;
	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* the peer may close early: what it answered is what counts */
		at += n;
		len -= (size_t)n;
	}
}

char *raw_read(int fd, const char *until)
{
	struct buf b = BUF_INIT;
	char chunk[65536];

	while (!until || !b.len || !memmem(b.data, b.len, until, strlen(until))) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, READ_MS_MAX) <= 0) {
			buf_adds(&b, "<timeout>");
			break;
		}
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		buf_add(&b, chunk, (size_t)n);
	}
	return buf_steal(&b, NULL);
}

char *raw_exchange(const struct test_server *s, const char *text)
{
	int fd = raw_connect(s);
	raw_send(fd, text, strlen(text));
	char *out = raw_read(fd, NULL);
	close(fd);
	return out;
}

char *run(const char *fmt, ...)
{
	char command[4096], chunk[65536];
	struct buf b = BUF_INIT;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)))
		buf_add(&b, chunk, n);
	pclose(f);
	return buf_steal(&b, NULL);
}

static char *temps[16];
static int n_temps;

static void remove_temps(void)
{
	for (int i = 0; i < n_temps; i++) {
		unlink(temps[i]);
		free(temps[i]);
	}
}

char *write_temp(const char *text)
{
	char path[] = "/tmp/proa-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	if (!n_temps)
		atexit(remove_temps);
	assert_true(n_temps < 16);
	return temps[n_temps++] = xstrdup(path);
}
