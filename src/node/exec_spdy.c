/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec and attach over SPDY/3.1: the client opens a stream for each channel (header streamtype: error, stdin, stdout,
 * stderr, resize); when all that the request asks for are there, the process starts. The subprotocol is agreed on by
 * the X-Stream-Protocol-Version header: v4 (and v5, which says the same) put a Status as JSON on the error stream.
 */
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/buf.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"
#include "http/spdy.h"
#include "io/loop.h"
#include "io/stream.h"
#include "node/agent_internal.h"
#include "node/exec_session.h"
#include "node/exec_transports.h"
#include "node/kubelet_internal.h"
#include "node/kubelet_sessions.h"
#include "node/pod.h"
#include "node/spdy_upgrade.h"

#define STREAMS_MS_MAX 30000 /* upstream's streamCreationTimeout */
#define CHANNELS (EXEC_RESIZE + 1)

struct transport {
	struct kubelet_session base; /* first; until the session starts, then the session's own counts */
	struct kubelet_api *api;
	char *uid, *container;
	struct stream *stream;
	struct spdy *spdy;
	struct spdy_stream *channels[CHANNELS];
	struct exec_options o;
	struct exec_session *session;
	struct loop_timer *timer;
	struct loop_defer *start;
	struct buf resize; /* a JSON object may come in pieces */
	bool closing;
};

static const char *const stream_types[CHANNELS] = {"stdin", "stdout", "stderr", "error", "resize"};

static void transport_free(struct transport *t)
{
	list_remove(&t->base.link);
	spdy_free(t->spdy);
	loop_timer_free(t->timer);
	loop_defer_free(t->start);
	exec_options_release(&t->o);
	buf_release(&t->resize);
	free(t->uid);
	free(t->container);
	free(t);
}

static void end(struct transport *t)
{
	if (t->session)
		exec_session_gone(TAKE_PTR(t->session));
	if (t->closing)
		return;
	t->closing = true;
	stream_close(t->stream); /* on_close frees t */
}

/* ---- towards the client ---- */

static void channel_send(void *arg, enum exec_channel channel, const char *data, size_t len)
{
	struct transport *t = arg;

	if (t->channels[channel])
		spdy_send(t->channels[channel], data, len);
}

static size_t queued(void *arg)
{
	return stream_queued(((struct transport *)arg)->stream);
}

static void finish(void *arg)
{
	struct transport *t = arg;

	t->session = NULL;
	for (int i = 0; i < CHANNELS; i++)
		if (t->channels[i])
			spdy_finish(t->channels[i]);
	/* The client closes when it has read everything; one that doesn't is not waited for for ever. */
	stream_shutdown(t->stream);
	loop_timer_start(t->timer, STREAMS_MS_MAX);
}

static void resume(void *arg)
{
	stream_read_start(((struct transport *)arg)->stream);
}

static void abort_transport(void *arg)
{
	struct transport *t = arg;

	t->session = NULL;
	end(t);
}

static const struct exec_transport_ops ops = {channel_send, queued, finish, resume, abort_transport};

static void abort_waiting(struct kubelet_session *base)
{
	end((struct transport *)base);
}

/* ---- from the client ---- */

static bool wanted(const struct transport *t, enum exec_channel c)
{
	switch (c) {
	case EXEC_STDIN:
		return t->o.stdin_;
	case EXEC_STDOUT:
		return t->o.stdout_;
	case EXEC_STDERR:
		return t->o.stderr_;
	case EXEC_RESIZE:
		return t->o.tty;
	case EXEC_ERROR:
		break;
	}
	return true;
}

static bool complete(const struct transport *t)
{
	for (int i = 0; i < CHANNELS; i++)
		if (wanted(t, (enum exec_channel)i) && !t->channels[i])
			return false;
	return true;
}

static void start_session(void *arg)
{
	struct transport *t = arg;
	struct pod *p = map_get(&t->api->agent->pods, t->uid);
	struct pod_container *pc = p ? pod_container_named(p, t->container) : NULL;

	if (t->session || t->closing)
		return;
	if (!pc || !pc->c.id) {
		end(t);
		return;
	}
	loop_timer_stop(t->timer);
	list_remove(&t->base.link);
	t->session = exec_session_start(t->api, pc, &t->o, &ops, t);
	stream_read_start(t->stream);
}

static int channel_of(const struct transport *t, const struct spdy_stream *st)
{
	for (int i = 0; i < CHANNELS; i++)
		if (t->channels[i] == st)
			return i;
	return -1;
}

static void on_stream(void *arg, struct spdy_stream *st)
{
	const char *type = spdy_stream_header(st, "streamtype");
	struct transport *t = arg;

	for (int i = 0; i < CHANNELS; i++) {
		if (!str_eq(type, stream_types[i]) || t->channels[i])
			continue;
		t->channels[i] = st;
		spdy_accept(st);
		/* What the client writes waits in the connection until the process is there to read it. */
		if (!t->session && complete(t)) {
			stream_read_stop(t->stream);
			loop_defer_schedule(t->start);
		}
		return;
	}
	spdy_reset(st, SPDY_REFUSED_STREAM);
}

/* {"Width":…}{"Width":…}: objects one after the other, each ends with its brace. */
static void take_resize(struct transport *t, const char *p, size_t len)
{
	buf_add(&t->resize, p, len);
	for (char *close; t->resize.len && (close = memchr(t->resize.data, '}', t->resize.len));) {
		size_t n = (size_t)(close - t->resize.data) + 1;

		if (t->session)
			exec_session_resize(t->session, t->resize.data, n);
		buf_consume(&t->resize, n);
	}
	if (buf_failed(&t->resize))
		buf_clear(&t->resize);
}

static void on_data(void *arg, struct spdy_stream *st, const char *p, size_t len)
{
	struct transport *t = arg;
	int channel = channel_of(t, st);

	if (channel == EXEC_RESIZE)
		take_resize(t, p, len);
	else if (channel == EXEC_STDIN && t->session && !exec_session_input(t->session, p, len))
		stream_read_stop(t->stream);
}

static void on_fin(void *arg, struct spdy_stream *st)
{
	struct transport *t = arg;

	if (channel_of(t, st) == EXEC_STDIN && t->session)
		exec_session_input_end(t->session);
}

static void on_closed(void *arg, struct spdy_stream *st, bool reset)
{
	struct transport *t = arg;
	int channel = channel_of(t, st);

	(void)reset;
	if (channel >= 0)
		t->channels[channel] = NULL;
}

static void on_send(void *arg, const void *p, size_t len)
{
	struct transport *t = arg;

	if (!t->closing)
		stream_write(t->stream, p, len);
}

static void on_error(void *arg, const char *why)
{
	(void)why;
	end(arg);
}

static const struct spdy_events spdy_events = {.on_stream = on_stream,
					       .on_data = on_data,
					       .on_fin = on_fin,
					       .on_closed = on_closed,
					       .on_send = on_send,
					       .on_error = on_error};

/* ---- the connection ---- */

static void on_bytes(void *arg, const char *data, size_t len)
{
	spdy_input(((struct transport *)arg)->spdy, data, len);
}

static void on_eof(void *arg)
{
	end(arg);
}

static void on_drain(void *arg)
{
	struct transport *t = arg;

	if (t->session)
		exec_session_drained(t->session);
}

static void on_close(void *arg, int why)
{
	struct transport *t = arg;

	(void)why;
	t->closing = true;
	if (t->session)
		exec_session_gone(TAKE_PTR(t->session));
	transport_free(t);
}

static void on_timeout(void *arg)
{
	end(arg);
}

void exec_spdy_start(struct kubelet_api *k, struct http_request *r, struct pod_container *pc, struct exec_options *o)
{
	static const struct stream_events events = {
	    .on_data = on_bytes, .on_eof = on_eof, .on_drain = on_drain, .on_close = on_close};
	static const char *const protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", NULL};
	struct transport *t = NEW(struct transport);

	t->stream = spdy_upgrade(r, protocols, &events, t);
	if (!t->stream) {
		exec_options_release(o);
		free(t);
		return;
	}
	t->api = k;
	t->uid = xstrdup(pc->pod->uid);
	t->container = xstrdup(pc->c.name);
	t->o = *o;
	*o = (struct exec_options){0};
	t->base.abort = abort_waiting;
	list_add_tail(&k->sessions, &t->base.link);
	buf_init(&t->resize, 4096); /* an object has some thirty bytes */
	t->spdy = spdy_new(true, &spdy_events, t);
	t->start = loop_defer_new(k->agent->loop, start_session, t);
	t->timer = loop_timer_new(k->agent->loop, on_timeout, t);
	loop_timer_start(t->timer, STREAMS_MS_MAX);
	stream_read_start(t->stream);
}
