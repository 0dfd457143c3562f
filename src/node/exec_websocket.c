/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec and attach over WebSocket: each message is a channel byte and its data. Subprotocols v5.channel.k8s.io (v4 and
 * channel 255, which closes the channel that its data names), v4.channel.k8s.io (a Status as JSON on the error
 * channel), channel.k8s.io (the error as text).
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/websocket.h"
#include "node/exec_session.h"
#include "node/exec_transports.h"

#define CHANNEL_CLOSE 255

struct transport {
	struct websocket *ws;
	struct exec_session *session; /* NULL: it is over */
	bool v4, v5, paused;
};

/* ---- towards the client ---- */

/* Before version 4 the error channel has the message, and nothing on success. */
static void send_old_error(struct transport *t, const char *data, size_t len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char channel = EXEC_ERROR, *message;
	struct json_error e;
	struct json *status;

	if (json_parse(&a, data, len, &status, &e) < 0)
		return;
	message = json_path_str(status, "message");
	if (message)
		websocket_send_prefixed(t->ws, false, &channel, 1, message, strlen(message));
}

static void ws_channel_send(void *arg, enum exec_channel channel, const char *data, size_t len)
{
	struct transport *t = arg;
	const char byte = (char)channel;

	if (channel == EXEC_ERROR && !t->v4)
		send_old_error(t, data, len);
	else
		websocket_send_prefixed(t->ws, false, &byte, 1, data, len);
}

static size_t queued(void *arg)
{
	return websocket_queued(((struct transport *)arg)->ws);
}

static void finish(void *arg)
{
	struct transport *t = arg;

	t->session = NULL;
	websocket_close(t->ws, WS_NORMAL, "");
}

static void resume(void *arg)
{
	struct transport *t = arg;

	if (t->paused)
		websocket_resume(t->ws);
	t->paused = false;
}

static void abort_transport(void *arg)
{
	struct transport *t = arg;

	websocket_abort(t->ws);
	free(t);
}

static const struct exec_transport_ops ops = {ws_channel_send, queued, finish, resume, abort_transport};

/* ---- from the client ---- */

static void on_message(void *arg, bool text, const char *p, size_t len)
{
	struct transport *t = arg;

	(void)text;
	if (!t->session || len < 1)
		return;
	switch ((unsigned char)p[0]) {
	case EXEC_STDIN:
		if (!exec_session_input(t->session, p + 1, len - 1)) {
			t->paused = true;
			websocket_pause(t->ws);
		}
		break;
	case EXEC_RESIZE:
		exec_session_resize(t->session, p + 1, len - 1);
		break;
	case CHANNEL_CLOSE:
		if (t->v5 && len >= 2 && p[1] == EXEC_STDIN)
			exec_session_input_end(t->session);
		break;
	default:
		break; /* channels that only we write to */
	}
}

static void on_drain(void *arg)
{
	struct transport *t = arg;

	if (t->session)
		exec_session_drained(t->session);
}

static void on_close(void *arg, int code, const char *reason)
{
	struct transport *t = arg;

	(void)code;
	(void)reason;
	if (t->session)
		exec_session_gone(t->session);
	free(t);
}

void exec_websocket_start(struct kubelet_api *k, struct http_request *r, struct pod_container *pc,
			  struct exec_options *o)
{
	static const char *const protocols[] = {"v5.channel.k8s.io",
						"v4.channel.k8s.io",
						"v3.channel.k8s.io",
						"v2.channel.k8s.io",
						"channel.k8s.io",
						"",
						NULL};
	static const struct websocket_events events = {on_message, on_drain, on_close};
	struct transport *t = NEW(struct transport);

	t->ws = websocket_accept(r, protocols, WS_MESSAGE_BYTES_MAX, &events, t);
	if (!t->ws) {
		exec_options_release(o);
		free(t);
		return;
	}
	t->v5 = str_eq(websocket_protocol(t->ws), "v5.channel.k8s.io");
	t->v4 = t->v5 || str_eq(websocket_protocol(t->ws), "v4.channel.k8s.io");
	t->session = exec_session_start(k, pc, o, &ops, t);
}
