/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepting. A listener owns its streams until their handshake is complete; then listener_fn takes over. The struct
 * lives until the last of its streams is gone, since it counts them.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/stream_internal.h"

#define BACKLOG 1024
#define KEEPALIVE_S 30
#define HANDSHAKE_MS_DEFAULT 10000
#define CONNECTIONS_DEFAULT 10000
#define HANDSHAKES_PART 4 /* when more than this part of all connections is in its handshake, those make room */
/* Of the descriptors this part, at most so many, is not for connections: the store's, watches of files, proxies. */
#define FILES_RESERVED_PART 4
#define FILES_RESERVED_MAX 1024

struct listener {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	struct loop *loop;
	struct tls_context *tls;
	struct listener_limits limits;
	listener_fn fn;
	void *arg;
	char *address;
	bool pipe, freed, closed;
	unsigned streams, n_handshaking;
	struct list handshaking; /* oldest first: they all have the same time */
	struct loop_timer *timer;
};

static void maybe_free(struct listener *l)
{
	if (!l->closed || l->streams)
		return;
	free(l->address);
	free(l);
}

static void on_listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;
	l->closed = true;
	maybe_free(l);
}

static void handshake_over(struct listener *l, struct stream *s)
{
	if (list_empty(&s->waiting))
		return;
	list_remove(&s->waiting);
	l->n_handshaking--;
}

void listener_stream_gone(struct stream *s)
{
	struct listener *l = TAKE_PTR(s->listener);
	l->streams--;
	handshake_over(l, s);
	maybe_free(l);
}

void listener_stream_open(struct stream *s)
{
	handshake_over(s->listener, s);
	s->listener->fn(s->listener->arg, s);
}

static void on_handshake_time(void *arg)
{
	struct listener *l = arg;
	int64_t now = loop_now_ms(l->loop);

	while (!list_empty(&l->handshaking)) {
		struct stream *s = LIST_ENTRY(l->handshaking.next, struct stream, waiting);
		if (s->handshake_deadline_ms > now) {
			loop_timer_start(l->timer, s->handshake_deadline_ms - now);
			return;
		}
		stream_fail(s, -ETIMEDOUT);
	}
}

static void wait_handshake(struct listener *l, struct stream *s)
{
	s->handshake_deadline_ms = loop_now_ms(l->loop) + l->limits.handshake_ms_max;
	if (list_empty(&l->handshaking))
		loop_timer_start(l->timer, l->limits.handshake_ms_max);
	list_add_tail(&l->handshaking, &s->waiting);
	l->n_handshaking++;
}

static bool end_oldest_handshake(struct listener *l)
{
	if (list_empty(&l->handshaking))
		return false;
	struct stream *s = LIST_ENTRY(l->handshaking.next, struct stream, waiting);
	handshake_over(l, s);
	stream_fail(s, -EBUSY);
	return true;
}

/* A flood of connections that do nothing must not shut out those that come after it. */
static bool make_room(struct listener *l)
{
	if (l->n_handshaking > l->limits.connections_max / HANDSHAKES_PART && end_oldest_handshake(l))
		return true;
	return (l->limits.make_room && l->limits.make_room(l->arg)) || end_oldest_handshake(l);
}

static unsigned connections_max(unsigned wanted)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
		return wanted;
	rlim_t reserved = MIN_OF(files.rlim_cur / FILES_RESERVED_PART, (rlim_t)FILES_RESERVED_MAX);
	return (unsigned)MIN_OF((rlim_t)wanted, files.rlim_cur - reserved);
}

static void on_connection(uv_stream_t *h, int status)
{
	struct listener *l = h->data;

	if (status < 0) {
		log_debug("accept failed address=%s error=%s", l->address, uv_strerror(status));
		return;
	}
	struct stream *s = stream_alloc(l->loop, l->pipe);
	int r = uv_accept(&l->uv.stream, &s->uv.stream);
	if (r == 0 && l->streams >= l->limits.connections_max && !make_room(l)) {
		log_debug("connection refused address=%s connections=%u", l->address, l->streams);
		r = -EBUSY;
	}
	if (r == 0 && l->tls)
		r = stream_tls_begin(s, l->tls, NULL);
	if (r < 0) {
		stream_fail(s, r);
		return;
	}
	s->listener = l;
	l->streams++;
	if (l->tls)
		wait_handshake(l, s);
	stream_begin(s);
}

/* A socket file that nobody listens on is what a killed process left. */
static void remove_stale_socket(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno == ECONNREFUSED)
		unlink(path);
}

static int bind_address(struct listener *l, const struct address *a)
{
	if (l->pipe) {
		remove_stale_socket(a->path);
		return uv_pipe_bind(&l->uv.pipe, a->path);
	}
	return uv_tcp_bind(&l->uv.tcp, (const struct sockaddr *)&a->sa, 0);
}

/* On Linux accepted sockets inherit these: one system call here instead of four for each connection. */
static void set_options(struct listener *l)
{
	uv_os_fd_t fd;
	int one = 1, idle = KEEPALIVE_S;

	if (uv_fileno(&l->uv.handle, &fd) < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
}

static char *real_address(struct listener *l, const char *asked)
{
	struct sockaddr_storage sa;
	int len = sizeof(sa);

	if (l->pipe || uv_tcp_getsockname(&l->uv.tcp, (struct sockaddr *)&sa, &len) < 0)
		return xstrdup(asked);
	return stream_address_format((struct sockaddr *)&sa);
}

int listener_new(struct loop *loop, const char *address, struct tls_context *tls, const struct listener_limits *limits,
		 listener_fn fn, void *arg, struct listener **ret)
{
	struct address a;
	int r = stream_address_parse(address, &a);
	if (r < 0)
		return r;

	struct listener *l = NEW(struct listener);
	*l = (struct listener){.loop = loop, .tls = tls, .fn = fn, .arg = arg, .pipe = a.path[0] != 0};
	l->limits.make_room = limits ? limits->make_room : NULL;
	l->limits.connections_max =
	    connections_max(limits && limits->connections_max ? limits->connections_max : CONNECTIONS_DEFAULT);
	l->limits.handshake_ms_max =
	    limits && limits->handshake_ms_max ? limits->handshake_ms_max : HANDSHAKE_MS_DEFAULT;
	list_init(&l->handshaking);
	if (l->pipe)
		uv_pipe_init(&loop->uv, &l->uv.pipe, 0);
	else
		uv_tcp_init(&loop->uv, &l->uv.tcp);
	l->uv.handle.data = l;
	l->timer = loop_timer_new(loop, on_handshake_time, l);
	r = bind_address(l, &a);
	if (r == 0) {
		if (!l->pipe)
			set_options(l);
		r = uv_listen(&l->uv.stream, BACKLOG, on_connection);
	}
	if (r < 0) {
		listener_free(l);
		return r;
	}
	l->address = real_address(l, address);
	*ret = l;
	return 0;
}

const char *listener_address(const struct listener *l)
{
	return l->address;
}

void listener_free(struct listener *l)
{
	if (!l || l->freed)
		return;
	l->freed = true;
	while (!list_empty(&l->handshaking))
		stream_fail(LIST_ENTRY(l->handshaking.next, struct stream, waiting), -ECANCELED);
	loop_timer_free(TAKE_PTR(l->timer));
	uv_close(&l->uv.handle, on_listener_closed);
}
