/* SPDX-License-Identifier: Apache-2.0 */
/* grpc: the standard health service says SERVING. */
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
#include "node/grpc_health.h"
#include "node/pod.h"
#include "node/probe.h"

struct state {
	struct probe_try *t; /* NULL: over; the stream still has to close */
	struct stream *stream;
	struct loop_timer *timer;
	struct grpc_health engine;
	char *authority, *service;
};

static void state_free(struct state *s)
{
	grpc_health_release(&s->engine);
	free(s->authority);
	free(s->service);
	free(s);
}

static void abandon(struct state *s)
{
	s->t = NULL;
	loop_timer_free(s->timer);
	s->timer = NULL;
	if (s->stream)
		stream_close(s->stream);
	else
		state_free(s);
}

static void end(struct state *s, enum probe_result r, const char *text)
{
	struct probe_try *t = s->t;

	if (!t)
		return;
	t->state = NULL;
	abandon(s);
	t->done(t->arg, r, text);
}

static void on_connect(void *arg, int result)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct state *s = arg;

	if (result < 0) {
		end(s, PROBE_FAILURE, strerror(-result));
		return;
	}
	grpc_health_request(&out, s->authority, s->service);
	stream_write(s->stream, out.data, out.len);
	stream_read_start(s->stream);
}

static void on_data(void *arg, const char *data, size_t len)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct state *s = arg;

	if (!s->t)
		return;
	switch (grpc_health_feed(&s->engine, data, len, &out)) {
	case GRPC_HEALTH_PENDING:
		if (out.len)
			stream_write(s->stream, out.data, out.len);
		break;
	case GRPC_HEALTH_SERVING:
		end(s, PROBE_SUCCESS, "");
		break;
	case GRPC_HEALTH_NOT_SERVING:
		end(s, PROBE_FAILURE, "service unhealthy (responded with \"NOT_SERVING\")");
		break;
	case GRPC_HEALTH_FAILED:
		end(s, PROBE_FAILURE, s->engine.why);
		break;
	}
}

static void on_close(void *arg, int why)
{
	struct state *s = arg;

	s->stream = NULL;
	if (s->t)
		end(s, PROBE_FAILURE, why ? strerror(-why) : "connection closed");
	else
		state_free(s);
}

static void on_eof(void *arg)
{
	end(arg, PROBE_FAILURE, "connection closed");
}

static void on_timer(void *arg)
{
	struct state *s = arg;

	end(s, PROBE_FAILURE,
	    s->stream ? "timeout: health rpc did not complete in time" : "the probe's port is not known");
}

static const struct stream_events events = {
    .on_connect = on_connect, .on_data = on_data, .on_eof = on_eof, .on_close = on_close};

static void start(struct probe_try *t)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *container = pod_container_spec(pod_tree(t->pc->pod, &a), t->pc);
	int port = probe_port(json_get(t->handler, "port"), container);
	const char *host = t->pc->pod->ip, *service = str_or(json_path_str(t->handler, "service"), "");
	struct state *s = NEW(struct state);

	s->t = t;
	s->authority = dial_address(host, port);
	s->service = xstrndup(service, MIN_OF(strlen(service), GRPC_SERVICE_MAX));
	grpc_health_init(&s->engine);
	t->state = s;
	s->timer = loop_timer_new(t->loop, on_timer, s);
	if (!port || stream_connect(t->loop, s->authority, NULL, NULL, &events, s, &s->stream) < 0) {
		s->stream = NULL;
		loop_timer_start(s->timer, 1);
		return;
	}
	loop_timer_start(s->timer, t->timeout_ms);
}

static void cancel(struct probe_try *t)
{
	struct state *s = TAKE_PTR(t->state);

	if (s)
		abandon(s);
}

const struct probe_ops probe_grpc = {.name = "grpc", .start = start, .cancel = cancel};
