/* SPDX-License-Identifier: Apache-2.0 */
#include "node/hook.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "node/pod.h"
#include "node/probe.h"

/* A hook is one try of a probe's kind, or a timer (sleep), with a deadline. */
struct hook {
	struct pod_container *pc;
	bool post_start;
	void (*done)(struct pod_container *pc);
	struct loop_timer *timer; /* the deadline, or the sleep itself */
	struct probe_try try;
	bool trying;
};

static void hook_free(struct hook *h)
{
	if (h->trying)
		h->try.ops->cancel(&h->try);
	loop_timer_free(h->timer);
	free(h);
}

void hook_cancel(struct pod_container *pc)
{
	if (pc->hook)
		hook_free(TAKE_PTR(pc->hook));
}

static void end(struct hook *h, bool failed, const char *why)
{
	struct pod_container *pc = h->pc;
	bool post_start = h->post_start;
	void (*done)(struct pod_container * pc) = h->done;

	if (failed)
		pod_event(pc->pod, pc, "Warning", post_start ? "FailedPostStartHook" : "FailedPreStopHook", "%s",
			  post_start ? "PostStartHook failed" : "PreStopHook failed");
	(void)why;
	pc->hook = NULL;
	hook_free(h);
	if (post_start && failed)
		pod_container_stop(pc, pod_grace_ms(pc->pod), "FailedPostStartHook");
	if (done)
		done(pc);
}

static void on_try_done(void *arg, enum probe_result r, const char *output)
{
	struct hook *h = arg;

	h->trying = false;
	end(h, r != PROBE_SUCCESS, output);
}

/* The sleep is over, or the hook took too long. */
static void on_timer(void *arg)
{
	struct hook *h = arg;

	end(h, h->trying, "the hook did not end in time");
}

static bool run(struct pod_container *pc, const char *member, int64_t limit_ms, bool post_start,
		void (*done)(struct pod_container *pc))
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *spec = pod_container_spec(pod_tree(pc->pod, &a), pc);
	const struct json *handler = json_get(json_get(spec, "lifecycle"), member), *what;
	const struct probe_ops *ops = probe_kind_of(handler, &what);
	const struct json *sleep = json_get(handler, "sleep");
	struct hook *h;

	if (!ops && !sleep)
		return false;
	hook_cancel(pc);
	h = NEW(struct hook);
	h->pc = pc;
	h->post_start = post_start;
	h->done = done;
	h->timer = loop_timer_new(pc->pod->agent->loop, on_timer, h);
	pc->hook = h;
	if (!ops) {
		loop_timer_start(h->timer, MIN_OF(json_path_int(sleep, "seconds", 0) * 1000, limit_ms));
		return true;
	}
	loop_timer_start(h->timer, limit_ms);
	h->try = (struct probe_try){.ops = ops,
				    .pc = pc,
				    .loop = pc->pod->agent->loop,
				    .handler = what,
				    .timeout_ms = limit_ms,
				    .done = on_try_done,
				    .arg = h};
	h->trying = true;
	ops->start(&h->try);
	return true;
}

void hook_post_start(struct pod_container *pc)
{
	run(pc, "postStart", HOOK_POST_START_MS_MAX, true, NULL);
}

bool hook_pre_stop(struct pod_container *pc, int64_t grace_ms, void (*done)(struct pod_container *pc))
{
	return run(pc, "preStop", grace_ms, false, done);
}
