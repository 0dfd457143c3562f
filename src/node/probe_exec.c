/* SPDX-License-Identifier: Apache-2.0 */
/* exec: a command in the container; it succeeds when it exits with 0. */
#include <stdio.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "node/exec_run.h"
#include "node/pod.h"
#include "node/probe.h"

static void on_done(void *arg, int code, const char *output, size_t len, const struct status *err)
{
	struct probe_try *t = arg;
	char text[128];

	(void)len;
	t->state = NULL;
	if (err && err->code == 408)
		snprintf(text, sizeof(text), "command timed out after %llds", (long long)(t->timeout_ms / 1000));
	else if (err)
		snprintf(text, sizeof(text), "%s", str_or(err->message, "command cannot be run"));
	t->done(t->arg, err || code != 0 ? PROBE_FAILURE : PROBE_SUCCESS, err ? text : output);
}

static void start(struct probe_try *t)
{
	const struct json *command = json_get(t->handler, "command");
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char **args = arena_alloc(&a, (json_len(command) + 1) * sizeof(*args));
	size_t n = 0;

	JSON_EACH(s, command)
		args[n++] = str_or(json_str(s), "");
	args[n] = NULL;
	t->state = exec_run_start(t->pc->pod->agent, t->pc->pod->uid, t->pc->c.id, args, t->timeout_ms,
				  PROBE_OUTPUT_MAX, on_done, t);
}

static void cancel(struct probe_try *t)
{
	exec_run_cancel(t->state);
	t->state = NULL;
}

const struct probe_ops probe_exec = {.name = "exec", .start = start, .cancel = cancel};
