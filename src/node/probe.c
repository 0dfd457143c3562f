/* SPDX-License-Identifier: Apache-2.0 */
#include "node/probe.h"

#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "node/pod.h"

/* ---- counting ---- */

bool probe_count(struct probe_counter *c, enum probe_result r)
{
	int threshold = r == PROBE_SUCCESS ? c->success_threshold : c->failure_threshold;
	bool news;

	c->in_a_row = c->in_a_row && c->latest == r ? c->in_a_row + 1 : 1;
	c->latest = r;
	if (c->in_a_row < threshold)
		return false;
	news = !c->known || c->succeeded != (r == PROBE_SUCCESS);
	c->known = true;
	c->succeeded = r == PROBE_SUCCESS;
	return news;
}

const struct probe_ops *probe_kind_of(const struct json *handler, const struct json **ret_spec)
{
	static const struct probe_ops *const kinds[] = {&probe_exec, &probe_http, &probe_tcp, &probe_grpc};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *spec = json_get(handler, kinds[i]->name);

		if (json_is(spec, JSON_OBJECT)) {
			*ret_spec = spec;
			return kinds[i];
		}
	}
	return NULL;
}

int probe_port(const struct json *port, const struct json *container)
{
	const char *name = json_str(port);
	int64_t n;

	if (!name)
		n = json_int(port, 0);
	else if (parse_int_range(name, 1, 65535, &n) < 0)
		n = 0;
	JSON_EACH(p, n == 0 ? json_get(container, "ports") : NULL)
		if (name && str_eq(json_path_str(p, "name"), name))
			n = json_path_int(p, "containerPort", 0);
	return n > 0 && n <= 65535 ? (int)n : 0;
}

/* ---- a container's probes ---- */

struct probe {
	struct pod_container *pc;
	enum probe_kind kind;
	int64_t period_ms, timeout_ms, grace_s;
	struct probe_counter counter;
	struct loop_timer *timer;
	struct probe_try try;
	bool trying;
};

static const char *const members[] = {"startupProbe", "livenessProbe", "readinessProbe"};
static const char *const titles[] = {"Startup", "Liveness", "Readiness"};

static const struct json *probe_spec(struct pod_container *pc, enum probe_kind kind, struct arena *a)
{
	return json_get(pod_container_spec(pod_tree(pc->pod, a), pc), members[kind]);
}

static void probe_free(struct probe *b)
{
	if (b->trying)
		b->try.ops->cancel(&b->try);
	loop_timer_free(b->timer);
	free(b);
}

/* The container is told to end; its restart is the plan's business. */
static void kill_container(struct probe *b)
{
	struct pod_container *pc = b->pc;
	_cleanup_free_ char *message = xasprintf("Container %s failed %s probe, will be restarted", pc->c.name,
						 b->kind == PROBE_STARTUP ? "startup" : "liveness");
	int64_t grace = b->grace_s >= 0 ? b->grace_s * 1000 : pod_grace_ms(pc->pod);

	pod_container_stop(pc, grace, message); /* stops all probes: b is gone */
}

static void set_ready(struct pod_container *pc, bool ready)
{
	if (pc->c.ready == ready)
		return;
	pc->c.ready = ready;
	pc->pod->status_dirty = true;
	pod_wake(pc->pod);
}

static void startup_passed(struct pod_container *pc)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	pc->c.started = true;
	pc->pod->status_dirty = true;
	if (!probe_spec(pc, PROBE_READINESS, &a))
		pc->c.ready = true;
	pod_record_save(pc->pod);
	probes_start(pc); /* the others, now; this one isn't needed any more */
	pod_wake(pc->pod);
}

static void on_try_done(void *arg, enum probe_result r, const char *output)
{
	struct probe *b = arg;
	struct pod_container *pc = b->pc;
	bool news;

	b->trying = false;
	if (r == PROBE_FAILURE)
		pod_event(pc->pod, pc, "Warning", "Unhealthy", "%s probe failed: %s", titles[b->kind], output);
	news = probe_count(&b->counter, r);
	loop_timer_start(b->timer, b->period_ms);
	if (b->kind == PROBE_READINESS) {
		if (news)
			set_ready(pc, b->counter.succeeded);
	} else if (r == PROBE_FAILURE && b->counter.known && !b->counter.succeeded) {
		kill_container(b);
	} else if (b->kind == PROBE_STARTUP && news) {
		startup_passed(pc);
	}
}

static void try_now(void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct probe *b = arg;
	const struct json *spec = probe_spec(b->pc, b->kind, &a), *handler;
	const struct probe_ops *ops = probe_kind_of(spec, &handler);

	if (!ops || b->trying)
		return;
	b->try = (struct probe_try){.ops = ops,
				    .pc = b->pc,
				    .loop = b->pc->pod->agent->loop,
				    .handler = handler,
				    .timeout_ms = b->timeout_ms,
				    .done = on_try_done,
				    .arg = b};
	b->trying = true;
	ops->start(&b->try);
}

static struct probe *probe_new(struct pod_container *pc, enum probe_kind kind, const struct json *spec)
{
	struct probe *b = NEW(struct probe);

	b->pc = pc;
	b->kind = kind;
	b->period_ms = MAX_OF(json_path_int(spec, "periodSeconds", 10), 1) * 1000;
	b->timeout_ms = MAX_OF(json_path_int(spec, "timeoutSeconds", 1), 1) * 1000;
	b->grace_s = json_path_int(spec, "terminationGracePeriodSeconds", -1);
	b->counter.success_threshold = (int)MAX_OF(json_path_int(spec, "successThreshold", 1), 1);
	b->counter.failure_threshold = (int)MAX_OF(json_path_int(spec, "failureThreshold", 3), 1);
	b->timer = loop_timer_new(pc->pod->agent->loop, try_now, b);
	loop_timer_start(b->timer, MAX_OF(json_path_int(spec, "initialDelaySeconds", 0) * 1000, 1));
	return b;
}

void probes_start(struct pod_container *pc)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	for (int kind = 0; kind < PROBE_KINDS; kind++) {
		const struct json *spec = probe_spec(pc, (enum probe_kind)kind, &a);

		if (kind == PROBE_STARTUP && pc->c.started) {
			if (pc->probes[kind])
				probe_free(TAKE_PTR(pc->probes[kind]));
			continue;
		}
		if (!spec || pc->probes[kind] || (kind != PROBE_STARTUP && !pc->c.started))
			continue;
		pc->probes[kind] = probe_new(pc, (enum probe_kind)kind, spec);
	}
}

void probes_stop(struct pod_container *pc)
{
	for (int kind = 0; kind < PROBE_KINDS; kind++)
		if (pc->probes[kind])
			probe_free(TAKE_PTR(pc->probes[kind]));
}
