/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /portForward: for each connection the client opens two SPDY streams with the same requestid, "data" and "error", and
 * the port in a header. Over an SPDY/3.1 upgrade (subprotocol portforward.k8s.io), or inside the binary messages of a
 * WebSocket (SPDY/3.1+portforward.k8s.io).
 *
 * The socket towards the container is made in the pod's network namespace: the loop's thread enters it for the one call
 * of socket(2) and goes back; the socket stays where it was made.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"
#include "http/spdy.h"
#include "http/websocket.h"
#include "io/loop.h"
#include "io/stream.h"
#include "node/agent_internal.h"
#include "node/kubelet_internal.h"
#include "node/kubelet_sessions.h"
#include "node/pod.h"
#include "node/spdy_upgrade.h"
#include "runtime/runtime.h"

#define DIAL_MS_MAX 10000		 /* the pod's own loopback answers at once or is overloaded */
#define FORWARD_QUEUE_BYTES (256u << 10) /* waiting for one side before the other is no longer read */
#define EARLY_BYTES_MAX (1u << 20)	 /* what the client sends before its connection is made */

struct forward {
	struct kubelet_session base; /* first */
	struct kubelet_api *api;
	char *uid;
	bool host_network;
	struct spdy *spdy;
	struct stream *stream; /* either of them carries the SPDY bytes */
	struct websocket *ws;
	struct list connections;
	bool closing;
};

struct connection {
	struct list link;
	struct forward *forward;
	char *id;
	int port;
	struct spdy_stream *data, *error;
	int fd; /* being connected */
	bool v6;
	struct loop_fd *watch;
	struct loop_timer *timer;
	struct stream *stream; /* connected */
	struct buf early;
	bool dialled, fin, over;
};

/* ---- the carrier ---- */

static void on_send(void *arg, const void *p, size_t len)
{
	struct forward *f = arg;

	if (f->closing)
		return;
	if (f->ws)
		websocket_send(f->ws, false, p, len);
	else
		stream_write(f->stream, p, len);
}

static size_t carrier_queued(const struct forward *f)
{
	return f->ws ? websocket_queued(f->ws) : stream_queued(f->stream);
}

static void carrier_pause(struct forward *f, bool pause)
{
	if (f->closing)
		return;
	if (f->ws && pause)
		websocket_pause(f->ws);
	else if (f->ws)
		websocket_resume(f->ws);
	else if (pause)
		stream_read_stop(f->stream);
	else
		stream_read_start(f->stream);
}

static void connection_end(struct connection *c, const char *why);

static void forward_free(struct forward *f)
{
	f->closing = true;
	while (!list_empty(&f->connections))
		connection_end(LIST_ENTRY(f->connections.next, struct connection, link), NULL);
	list_remove(&f->base.link);
	spdy_free(f->spdy);
	free(f->uid);
	free(f);
}

static void forward_end(struct forward *f)
{
	if (f->closing)
		return;
	f->closing = true;
	if (f->ws)
		websocket_close(f->ws, WS_NORMAL, "");
	else
		stream_close(f->stream); /* on_close frees f */
}

static void abort_forward(struct kubelet_session *base)
{
	struct forward *f = (struct forward *)base;

	if (f->ws) {
		websocket_abort(f->ws);
		forward_free(f);
	} else {
		forward_end(f);
	}
}

/* ---- one connection ---- */

static void connection_free(struct connection *c)
{
	loop_fd_free(c->watch);
	loop_timer_free(c->timer);
	if (c->fd >= 0)
		close(c->fd);
	buf_release(&c->early);
	free(c->id);
	free(c);
}

/* why: told to the client on the error stream; NULL: nothing to tell. */
static void connection_end(struct connection *c, const char *why)
{
	struct spdy_stream *data = TAKE_PTR(c->data), *error = TAKE_PTR(c->error);

	if (c->over)
		return;
	c->over = true;
	list_remove(&c->link);
	if (data) {
		spdy_stream_set_user(data, NULL);
		if (!c->forward->closing)
			spdy_finish(data);
	}
	if (error) {
		spdy_stream_set_user(error, NULL);
		if (why && !c->forward->closing)
			spdy_send(error, why, strlen(why));
		if (!c->forward->closing)
			spdy_finish(error);
	}
	if (c->stream)
		stream_close(c->stream); /* on_close frees c */
	else
		connection_free(c);
}

static void dial_failed(struct connection *c, int error)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "an error occurred forwarding %d -> %d: dial tcp localhost:%d: %s, uid : exit status 1", c->port,
		 c->port, c->port, strerror(error));
	connection_end(c, text);
}

static void from_pod(void *arg, const char *data, size_t len)
{
	struct connection *c = arg;

	if (!c->data)
		return;
	spdy_send(c->data, data, len);
	if (carrier_queued(c->forward) > FORWARD_QUEUE_BYTES)
		stream_read_stop(c->stream);
}

static void pod_eof(void *arg)
{
	struct connection *c = arg;

	if (c->data)
		spdy_finish(c->data);
	if (c->fin || !c->data)
		connection_end(c, NULL);
}

static void pod_drained(void *arg)
{
	carrier_pause(((struct connection *)arg)->forward, false);
}

static void pod_closed(void *arg, int why)
{
	struct connection *c = arg;

	c->stream = NULL;
	if (!c->over) {
		connection_end(c, why ? strerror(-why) : NULL);
		return;
	}
	connection_free(c);
}

static void connected(struct connection *c)
{
	static const struct stream_events events = {
	    .on_data = from_pod, .on_eof = pod_eof, .on_drain = pod_drained, .on_close = pod_closed};
	int r;

	loop_fd_free(c->watch);
	c->watch = NULL;
	loop_timer_stop(c->timer);
	r = stream_from_fd(c->forward->api->agent->loop, c->fd, &events, c, &c->stream);
	if (r < 0) {
		dial_failed(c, -r);
		return;
	}
	c->fd = -1;
	stream_read_start(c->stream);
	if (c->early.len)
		stream_write(c->stream, c->early.data, c->early.len);
	buf_release(&c->early);
	if (c->fin)
		stream_shutdown(c->stream);
}

/* ---- dialling inside the pod ---- */

static int socket_in_pod(const struct connection *c, int family)
{
	int netns = c->forward->host_network ? -1 : runtime_pod_netns(c->forward->api->agent->runtime, c->forward->uid);
	_cleanup_close_ int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd, error;

	if (c->forward->host_network)
		return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (netns < 0 || home < 0)
		return -1;
	fd = -1;
	if (setns(netns, CLONE_NEWNET) == 0) {
		fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		error = errno;
		if (setns(home, CLONE_NEWNET) < 0) {
			log_error("cannot leave a pod's network namespace error=%s", strerror(errno));
			abort(); /* everything after this would happen inside the pod */
		}
		errno = error;
	}
	close(netns);
	return fd;
}

static void dial(struct connection *c, bool v6);

static void on_writable(void *arg, int events)
{
	struct connection *c = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error == 0)
		connected(c);
	else if (!c->v6)
		dial(c, true); /* a server may listen on ::1 only */
	else
		dial_failed(c, error);
}

static void on_dial_timeout(void *arg)
{
	dial_failed(arg, ETIMEDOUT);
}

static void dial(struct connection *c, bool v6)
{
	struct sockaddr_in a4 = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)c->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 a6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)c->port), .sin6_addr = in6addr_loopback};
	int r;

	loop_fd_free(c->watch);
	c->watch = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->v6 = v6;
	c->fd = socket_in_pod(c, v6 ? AF_INET6 : AF_INET);
	if (c->fd < 0) {
		dial_failed(c, errno ? errno : ENOENT);
		return;
	}
	r = v6 ? connect(c->fd, (struct sockaddr *)&a6, sizeof(a6))
	       : connect(c->fd, (struct sockaddr *)&a4, sizeof(a4));
	if (r == 0) {
		connected(c);
	} else if (errno == EINPROGRESS) {
		c->watch = loop_fd_new(c->forward->api->agent->loop, c->fd, LOOP_WRITABLE, on_writable, c);
		loop_timer_start(c->timer, DIAL_MS_MAX);
	} else if (!v6 && errno == ECONNREFUSED) {
		dial(c, true);
	} else {
		dial_failed(c, errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT ? ECONNREFUSED : errno);
	}
}

/* ---- streams of the client ---- */

static struct connection *connection_of(struct forward *f, const char *id, int port)
{
	struct connection *c;

	LIST_EACH(l, &f->connections) {
		c = LIST_ENTRY(l, struct connection, link);
		if (str_eq(c->id, id))
			return c;
	}
	c = NEW(struct connection);
	c->forward = f;
	c->id = xstrdup(id);
	c->port = port;
	c->fd = -1;
	c->timer = loop_timer_new(f->api->agent->loop, on_dial_timeout, c);
	buf_init(&c->early, EARLY_BYTES_MAX);
	list_add_tail(&f->connections, &c->link);
	return c;
}

static void on_stream(void *arg, struct spdy_stream *st)
{
	struct forward *f = arg;
	const char *type = spdy_stream_header(st, "streamtype"), *port = spdy_stream_header(st, "port");
	const char *id = spdy_stream_header(st, "requestid");
	bool data = str_eq(type, "data");
	struct connection *c;
	int64_t n;

	if ((!data && !str_eq(type, "error")) || parse_int_range(str_or(port, ""), 1, 65535, &n) < 0) {
		spdy_reset(st, SPDY_REFUSED_STREAM);
		return;
	}
	/* The oldest clients send no requestid: their two streams come one after the other, for one port at a time. */
	c = connection_of(f, id ? id : port, (int)n);
	if ((data ? c->data : c->error) || c->port != (int)n) {
		spdy_reset(st, SPDY_REFUSED_STREAM);
		return;
	}
	*(data ? &c->data : &c->error) = st;
	spdy_stream_set_user(st, c);
	spdy_accept(st);
	if (c->data && c->error && !c->dialled) {
		c->dialled = true;
		dial(c, false);
	}
}

static void on_data(void *arg, struct spdy_stream *st, const char *p, size_t len)
{
	struct connection *c = spdy_stream_user(st);
	struct forward *f = arg;

	if (!c || st != c->data)
		return;
	if (!c->stream) {
		buf_add(&c->early, p, len);
		if (buf_failed(&c->early))
			connection_end(c, "too much data before the connection was made");
		return;
	}
	stream_write(c->stream, p, len);
	if (stream_queued(c->stream) > FORWARD_QUEUE_BYTES)
		carrier_pause(f, true);
}

static void on_fin(void *arg, struct spdy_stream *st)
{
	struct connection *c = spdy_stream_user(st);

	(void)arg;
	if (!c || st != c->data)
		return;
	c->fin = true;
	if (c->stream)
		stream_shutdown(c->stream);
}

static void on_closed(void *arg, struct spdy_stream *st, bool reset)
{
	struct connection *c = spdy_stream_user(st);

	(void)arg;
	if (!c)
		return;
	if (st == c->error) {
		c->error = NULL;
		return;
	}
	c->data = NULL;
	/* Both sides finished, or the client has lost interest. */
	if (reset || !c->stream || stream_queued(c->stream) == 0)
		connection_end(c, NULL);
}

static void on_error(void *arg, const char *why)
{
	(void)why;
	forward_end(arg);
}

static const struct spdy_events spdy_events = {.on_stream = on_stream,
					       .on_data = on_data,
					       .on_fin = on_fin,
					       .on_closed = on_closed,
					       .on_send = on_send,
					       .on_error = on_error};

/* ---- the carriers' events ---- */

static void read_all_pods(struct forward *f)
{
	LIST_EACH(l, &f->connections) {
		struct connection *c = LIST_ENTRY(l, struct connection, link);

		if (c->stream)
			stream_read_start(c->stream);
	}
}

static void stream_bytes(void *arg, const char *data, size_t len)
{
	spdy_input(((struct forward *)arg)->spdy, data, len);
}

static void stream_eof(void *arg)
{
	forward_end(arg);
}

static void stream_drained(void *arg)
{
	read_all_pods(arg);
}

static void stream_closed(void *arg, int why)
{
	(void)why;
	forward_free(arg);
}

static void ws_message(void *arg, bool text, const char *p, size_t len)
{
	(void)text;
	spdy_input(((struct forward *)arg)->spdy, p, len);
}

static void ws_closed(void *arg, int code, const char *reason)
{
	(void)code;
	(void)reason;
	forward_free(arg);
}

static bool open_carrier(struct forward *f, struct http_request *r)
{
	static const struct stream_events stream_events = {
	    .on_data = stream_bytes, .on_eof = stream_eof, .on_drain = stream_drained, .on_close = stream_closed};
	static const struct websocket_events ws_events = {ws_message, stream_drained, ws_closed};
	static const char *const spdy_protocols[] = {"portforward.k8s.io", NULL};
	static const char *const ws_protocols[] = {"SPDY/3.1+portforward.k8s.io", NULL};
	const char *upgrade = http_upgrade(r);

	if (str_eq(upgrade, "websocket"))
		f->ws = websocket_accept(r, ws_protocols, WS_MESSAGE_BYTES_MAX, &ws_events, f);
	else if (str_eq(upgrade, "spdy/3.1"))
		f->stream = spdy_upgrade(r, spdy_protocols, &stream_events, f);
	else
		kubelet_failf(r, 400, "unable to upgrade: an Upgrade to websocket or SPDY/3.1 is needed");
	return f->ws || f->stream;
}

void kubelet_port_forward(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *path)
{
	struct pod *p = kubelet_find_pod(k, r, path);
	struct forward *f;

	if (!p)
		return;
	if (!p->sandbox_ready) {
		kubelet_failf(r, 500, "unable to forward port because pod is not running. Current status=%s",
			      pod_state_name(p->state));
		return;
	}
	f = NEW(struct forward);
	f->api = k;
	f->uid = xstrdup(p->uid);
	f->host_network = p->host_network;
	list_init(&f->connections);
	f->spdy = spdy_new(true, &spdy_events, f);
	list_init(&f->base.link);
	if (!open_carrier(f, r)) {
		spdy_free(f->spdy);
		free(f->uid);
		free(f);
		return;
	}
	f->base.abort = abort_forward;
	list_add_tail(&k->sessions, &f->base.link);
	if (f->stream)
		stream_read_start(f->stream);
}
