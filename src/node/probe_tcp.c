/* SPDX-License-Identifier: Apache-2.0 */
/* tcpSocket: success is a connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "io/stream.h"
#include "node/dial.h"
#include "node/pod.h"
#include "node/probe.h"

struct state {
	char *address;
	struct probe_try *t; /* NULL: over; the stream still has to close */
	struct stream *stream;
	struct loop_timer *timer;
};

static void state_free(struct state *s)
{
	free(s->address);
	free(s);
}

static void end(struct state *s, enum probe_result r, const char *text)
{
	struct probe_try *t = s->t;

	if (!t)
		return;
	s->t = NULL;
	t->state = NULL;
	loop_timer_free(s->timer);
	s->timer = NULL;
	if (s->stream)
		stream_close(s->stream);
	else
		state_free(s);
	t->done(t->arg, r, text);
}

static void on_connect(void *arg, int result)
{
	struct state *s = arg;

	_cleanup_free_ char *why = result ? dial_error(s->address, -result) : NULL;

	end(s, why ? PROBE_FAILURE : PROBE_SUCCESS, str_or(why, ""));
}

static void on_data(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
}

static void on_close(void *arg, int why)
{
	struct state *s = arg;

	s->stream = NULL;
	if (s->t)
		end(s, PROBE_FAILURE, strerror(-why));
	else
		state_free(s);
}

static void on_timer(void *arg)
{
	struct state *s = arg;

	_cleanup_free_ char *why = xasprintf("dial tcp %s: i/o timeout", s->address);

	end(s, PROBE_FAILURE, s->stream ? why : "the probe's host or port is not known");
}

static const struct stream_events events = {.on_connect = on_connect, .on_data = on_data, .on_close = on_close};

static void start(struct probe_try *t)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *container = pod_container_spec(pod_tree(t->pc->pod, &a), t->pc);
	int port = probe_port(json_get(t->handler, "port"), container);
	const char *host = json_path_str(t->handler, "host");
	struct state *s = NEW(struct state);

	host = str_empty(host) ? t->pc->pod->ip : host;
	s->address = dial_address(host, port);
	s->t = t;
	t->state = s;
	s->timer = loop_timer_new(t->loop, on_timer, s);
	if (!port || stream_connect(t->loop, s->address, NULL, NULL, &events, s, &s->stream) < 0) {
		s->stream = NULL;
		loop_timer_start(s->timer, 1);
		return;
	}
	loop_timer_start(s->timer, t->timeout_ms);
}

static void cancel(struct probe_try *t)
{
	struct state *s = TAKE_PTR(t->state);

	if (!s)
		return;
	s->t = NULL;
	loop_timer_free(s->timer);
	s->timer = NULL;
	if (s->stream)
		stream_close(s->stream);
	else
		state_free(s);
}

const struct probe_ops probe_tcp = {.name = "tcpSocket", .start = start, .cancel = cancel};
