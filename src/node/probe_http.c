/* SPDX-License-Identifier: Apache-2.0 */
/* httpGet: any answer from 200 to 399 is success. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "node/http_get.h"
#include "node/pod.h"
#include "node/probe.h"

#define BODY_SHOWN_MAX 512

struct state {
	struct http_get *get;
	struct loop_timer *fail; /* what cannot even be tried is told in a later turn, too */
};

static void end(struct probe_try *t, enum probe_result r, const char *text)
{
	struct state *s = TAKE_PTR(t->state);

	loop_timer_free(s->fail);
	free(s);
	t->done(t->arg, r, text);
}

static void on_done(void *arg, int code, const char *body)
{
	struct probe_try *t = arg;
	char text[BODY_SHOWN_MAX + 64];

	if (code >= 200 && code < 400)
		snprintf(text, sizeof(text), "HTTP probe succeeded");
	else if (code)
		snprintf(text, sizeof(text), "HTTP probe failed with statuscode: %d", code);
	else
		snprintf(text, sizeof(text), "%.*s", BODY_SHOWN_MAX, body);
	end(t, code >= 200 && code < 400 ? PROBE_SUCCESS : PROBE_FAILURE, text);
}

static void on_impossible(void *arg)
{
	end(arg, PROBE_FAILURE, "the probe's host or port is not known");
}

static void start(struct probe_try *t)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *container = pod_container_spec(pod_tree(t->pc->pod, &a), t->pc);
	int port = probe_port(json_get(t->handler, "port"), container);
	struct state *s = NEW(struct state);

	t->state = s;
	if (port)
		s->get = http_get_start(t->loop, t->handler, t->pc->pod->ip, port, t->timeout_ms, "kube-probe/1.37",
					on_done, t);
	if (!s->get) {
		s->fail = loop_timer_new(t->loop, on_impossible, t);
		loop_timer_start(s->fail, 1);
	}
}

static void cancel(struct probe_try *t)
{
	struct state *s = TAKE_PTR(t->state);

	if (!s)
		return;
	http_get_cancel(s->get);
	loop_timer_free(s->fail);
	free(s);
}

const struct probe_ops probe_http = {.name = "httpGet", .start = start, .cancel = cancel};
