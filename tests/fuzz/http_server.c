/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's bytes, HTTP/1.1 or (with its preface) HTTP/2, against a real server on a Unix socket. */
/* sources: io/address.c io/listener.c io/loop.c io/stream.c io/stream_queue.c io/stream_tls.c io/tls.c */
/* sources: http/h1.c http/h1_head.c http/h2.c http/reason.c http/request.c http/server.c http/websocket.c http/ws.c */
/* libs: -lnghttp2 -lhttp_parser -luv -lssl -lcrypto */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/str.h"
#include "http/server.h"
#include "http/websocket.h"
#include "io/loop.h"
#include "io/stream.h"

static struct loop *loop;
static struct http_server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct websocket *socket_of_peer;

static void on_message(void *arg, bool text, const char *p, size_t len)
{
	(void)arg;
	websocket_send(socket_of_peer, text, p, len);
}

static void on_close(void *arg, int code, const char *reason)
{
	(void)arg, (void)code, (void)reason;
}

/* Whatever was accepted must hold what the server promises its handlers. */
static void handle(struct http_request *r, void *arg)
{
	static const char *const protocols[] = {"", "v4.channel.k8s.io", NULL};
	static const struct websocket_events ev = {.on_message = on_message, .on_close = on_close};
	const char *name, *value;
	size_t len;

	(void)arg;
	assert(*http_method(r) && (*http_path(r) == '/' || *http_path(r) == '*'));
	for (size_t i = 0; http_header_each(r, i, &name, &value); i++) {
		assert(*name && !strpbrk(name, " \r\n:ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
		assert(!strpbrk(value, "\r\n"));
	}
	assert(!(http_header(r, "content-length") && http_header(r, "transfer-encoding")));
	const char *body = http_body(r, &len);
	if (str_eq(http_upgrade(r), "websocket")) {
		struct websocket *w = websocket_accept(r, protocols, 100, &ev, NULL);
		if (w)
			socket_of_peer = w;
	} else if (len & 1) {
		struct bytes *b = bytes_new(body, len);
		http_stream_begin(r, 200, "text/plain");
		http_stream_write(r, b);
		http_stream_end(r);
		bytes_unref(b);
	} else {
		http_reply(r, 200, "text/plain", body, len);
	}
}

static void remove_socket(void)
{
	unlink(address.sun_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char text[108];
	(void)argc, (void)argv;
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/proa-fuzz-%d.sock", (int)getpid());
	snprintf(text, sizeof(text), "unix:%.100s", address.sun_path);
	struct http_limits limits = http_limits_default;
	limits.body_bytes_max = 4096;
	struct http_server_config c = {.loop = NULL, .address = text, .handler = handle, .limits = &limits};
	if (loop_new(&loop) < 0)
		abort();
	c.loop = loop;
	if (http_server_new(&c, &server) < 0)
		abort();
	atexit(remove_socket);
	return 0;
}

/* Reads and drops what the server answers, until it closes. */
static void on_readable(void *arg, int events)
{
	char chunk[65536];
	(void)events;
	if (read(*(int *)arg, chunk, sizeof(chunk)) <= 0)
		loop_stop(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (size > 60000 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		close(fd);
		return 0;
	}
	shutdown(fd, SHUT_WR);
	struct loop_fd *w = loop_fd_new(loop, fd, LOOP_READABLE, on_readable, &fd);
	loop_run(loop);
	loop_fd_free(w);
	close(fd);
	return 0;
}
