/* SPDX-License-Identifier: Apache-2.0 */
/* What a server answers, to the client that asked it: on a Unix socket, HTTP/1.1. */
/* sources: io/address.c io/listener.c io/loop.c io/stream.c io/stream_queue.c io/stream_tls.c io/tls.c */
/* sources: http/client.c http/client_h1.c http/client_h2.c http/client_tunnel.c http/h1_head.c http/reason.c */
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

#include "http/client.h"
#include "io/loop.h"

static struct loop *loop;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char text[120];
static int listening, peer = -1;
static const uint8_t *answer;
static size_t answer_len;

static void remove_socket(void)
{
	unlink(address.sun_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/proa-fuzz-%d.sock", (int)getpid());
	snprintf(text, sizeof(text), "unix:%.100s", address.sun_path);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (loop_new(&loop) < 0 || bind(listening, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listening, 8) < 0)
		abort();
	atexit(remove_socket);
	return 0;
}

static void on_connection(void *arg, int events)
{
	(void)arg, (void)events;
	int fd = accept(listening, NULL, NULL);
	if (fd < 0)
		return;
	if (peer >= 0)
		close(peer);
	peer = fd;
	send(fd, answer, answer_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
}

static void on_response(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	(void)arg;
	assert(code >= 100 && code <= 999);
	for (size_t i = 0; i < n; i++)
		assert(headers[i].name && headers[i].value && !strpbrk(headers[i].value, "\r\n"));
}

static void on_data(void *arg, const char *p, size_t len)
{
	(void)p;
	*(size_t *)arg += len;
}

static void on_done(void *arg, int result)
{
	(void)arg;
	assert(result <= 0);
	loop_stop(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http_call_events ev = {on_response, on_data, on_done};
	struct http_client_config c = {.loop = loop, .address = text, .server_name = "x"};
	struct http_call_config call = {.method = "GET", .path = "/"};
	struct http_client *client;
	size_t got = 0;

	if (size > 60000 || http_client_new(&c, &client) < 0)
		return 0;
	answer = data;
	answer_len = size;
	struct loop_fd *w = loop_fd_new(loop, listening, LOOP_READABLE, on_connection, NULL);
	http_call_start(client, &call, &ev, &got);
	loop_run(loop);
	assert(got <= size);
	loop_fd_free(w);
	http_client_free(client);
	if (peer >= 0)
		close(peer);
	peer = -1;
	return 0;
}
