/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pod_plan.h"

#include <assert.h>

#include "base/macros.h"
#include "node/container.h"

bool plan_restarts(enum restart_policy policy, const struct container *c)
{
	switch (c->kind) {
	case CONTAINER_SIDECAR:
		return true;
	case CONTAINER_EPHEMERAL:
		return false;
	case CONTAINER_INIT: /* success is final; Always means OnFailure for them */
		return policy != RESTART_NEVER && c->exit.code != 0;
	case CONTAINER_MAIN:
		break;
	}
	if (c->start_again)
		return true;
	return policy == RESTART_ALWAYS || (policy == RESTART_ON_FAILURE && c->exit.code != 0);
}

static void wake_at(struct plan *p, int64_t ms)
{
	if (p->wake_ms < 0 || ms < p->wake_ms)
		p->wake_ms = ms;
}

/* A container that should run: start it now, or wait until its back-off or its retry time is over. */
static enum plan_step start(const struct container *c, int64_t now_ms, struct plan *p)
{
	int64_t wait = 0;

	if (c->stage == STAGE_EXITED)
		wait = backoff_wait(&c->restart_backoff, c->exited_ms, now_ms);
	if (c->retry_ms > now_ms + wait)
		wait = c->retry_ms - now_ms;
	if (wait == 0)
		return PLAN_START;
	wake_at(p, now_ms + wait);
	return PLAN_WAIT;
}

/* Init containers; false as long as what follows must wait. */
static bool plan_init(const struct container *const *c, const enum restart_policy *policies, size_t n, int64_t now_ms,
		      enum plan_step *steps, struct plan *p)
{
	bool go_on = true;

	for (size_t i = 0; i < n && (c[i]->kind == CONTAINER_INIT || c[i]->kind == CONTAINER_SIDECAR); i++) {
		bool ended = c[i]->stage == STAGE_EXITED;
		bool idle = ended || c[i]->stage == STAGE_WAITING;

		if (c[i]->kind == CONTAINER_SIDECAR) {
			/* One that was running before is restarted at any stage. */
			if (idle && (go_on || ended))
				steps[i] = start(c[i], now_ms, p);
			if (!(c[i]->stage == STAGE_RUNNING && c[i]->started))
				go_on = false;
			continue;
		}
		if (!go_on || (ended && c[i]->exit.code == 0))
			continue;
		go_on = false;
		if (ended && !plan_restarts(policies[i], c[i]))
			p->init_failed = true;
		else if (idle)
			steps[i] = start(c[i], now_ms, p);
	}
	return go_on;
}

/* Nothing but sidecars is left: the last one started goes first, each after the one behind it has ended. */
static void stop_sidecars(const struct container *const *c, size_t n, enum plan_step *steps)
{
	bool found = false;

	for (size_t i = n; i-- > 0;) {
		if (c[i]->kind != CONTAINER_SIDECAR && c[i]->kind != CONTAINER_INIT)
			continue;
		steps[i] = PLAN_KEEP;
		if (!container_is_alive(c[i]))
			continue;
		if (!found && c[i]->stage == STAGE_RUNNING)
			steps[i] = PLAN_STOP;
		found = true;
	}
}

void pod_plan(const struct container *const *c, const enum restart_policy *policies, size_t n, int64_t now_ms,
	      enum plan_step *steps, struct plan *ret)
{
	struct plan p = {.wake_ms = -1};
	bool main_started = false, main_left = false, alive = false;

	for (size_t i = 0; i < n; i++) {
		steps[i] = PLAN_KEEP;
		if (c[i]->kind == CONTAINER_MAIN && c[i]->stage != STAGE_WAITING)
			main_started = true;
		alive |= container_is_alive(c[i]) && c[i]->kind != CONTAINER_EPHEMERAL;
	}
	p.initialized = plan_init(c, policies, n, now_ms, steps, &p) || main_started;
	if (main_started)
		p.init_failed = false;
	for (size_t i = 0; i < n; i++) {
		if (c[i]->kind == CONTAINER_EPHEMERAL && c[i]->stage == STAGE_WAITING)
			steps[i] = start(c[i], now_ms, &p);
		if (c[i]->kind != CONTAINER_MAIN)
			continue;
		if (c[i]->stage == STAGE_EXITED && !plan_restarts(policies[i], c[i]))
			continue;
		main_left = true;
		if (p.initialized && !container_is_alive(c[i]))
			steps[i] = start(c[i], now_ms, &p);
	}
	if (p.init_failed || !main_left) {
		p.wake_ms = -1;
		stop_sidecars(c, n, steps);
		p.finished = !alive;
	}
	assert(!p.finished || p.wake_ms < 0);
	*ret = p;
}
