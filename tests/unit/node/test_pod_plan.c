/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/container.h"
#include "node/pod_plan.h"

#define N_MAX 4

struct setup {
	struct container c[N_MAX];
	const struct container *list[N_MAX];
	enum restart_policy policies[N_MAX];
	enum plan_step steps[N_MAX];
	struct plan plan;
	size_t n;
};

static struct container *add(struct setup *s, enum container_kind kind, enum container_stage stage)
{
	struct container *c = &s->c[s->n];

	*c = (struct container){.kind = kind, .stage = stage};
	s->list[s->n] = c;
	s->policies[s->n++] = RESTART_ALWAYS;
	return c;
}

static void exited(struct container *c, int code, int64_t at)
{
	c->stage = STAGE_EXITED;
	c->exit.valid = true;
	c->exit.code = code;
	c->exited_ms = at;
}

static void plan(struct setup *s, int64_t now)
{
	pod_plan(s->list, s->policies, s->n, now, s->steps, &s->plan);
}

static void init_containers_run_one_by_one(void **state)
{
	struct setup s = {0};

	(void)state;
	add(&s, CONTAINER_INIT, STAGE_WAITING);
	add(&s, CONTAINER_INIT, STAGE_WAITING);
	add(&s, CONTAINER_MAIN, STAGE_WAITING);
	plan(&s, 0);
	assert_int_equal(s.steps[0], PLAN_START);
	assert_int_equal(s.steps[1], PLAN_KEEP);
	assert_int_equal(s.steps[2], PLAN_KEEP);
	s.c[0].stage = STAGE_RUNNING;
	plan(&s, 0);
	assert_int_equal(s.steps[1], PLAN_KEEP);
	exited(&s.c[0], 0, 0);
	plan(&s, 0);
	assert_int_equal(s.steps[0], PLAN_KEEP);
	assert_int_equal(s.steps[1], PLAN_START);
	exited(&s.c[1], 0, 0);
	plan(&s, 0);
	assert_true(s.plan.initialized);
	assert_int_equal(s.steps[2], PLAN_START);
}

static void failed_init_with_never_fails_the_pod(void **state)
{
	struct setup s = {0};

	(void)state;
	add(&s, CONTAINER_INIT, STAGE_WAITING);
	add(&s, CONTAINER_MAIN, STAGE_WAITING);
	s.policies[0] = s.policies[1] = RESTART_NEVER;
	exited(&s.c[0], 3, 0);
	plan(&s, 0);
	assert_true(s.plan.init_failed);
	assert_true(s.plan.finished);
	assert_int_equal(s.steps[1], PLAN_KEEP);
	s.policies[0] = RESTART_ALWAYS; /* means OnFailure for init containers */
	plan(&s, 0);
	assert_false(s.plan.finished);
	assert_int_equal(s.steps[0], PLAN_START);
}

static void restart_waits_for_its_back_off(void **state)
{
	struct setup s = {0};
	struct container *c = add(&s, CONTAINER_MAIN, STAGE_RUNNING);

	(void)state;
	exited(c, 1, 1000);
	plan(&s, 1000);
	assert_int_equal(s.steps[0], PLAN_START); /* the first restart is at once */
	backoff_raise(&c->restart_backoff, 1000, 1000);
	exited(c, 1, 2000);
	plan(&s, 2500);
	assert_int_equal(s.steps[0], PLAN_WAIT);
	assert_int_equal(s.plan.wake_ms, 12000);
	plan(&s, 12000);
	assert_int_equal(s.steps[0], PLAN_START);
}

static void policy_decides_about_restarts(void **state)
{
	struct setup s = {0};
	struct container *c = add(&s, CONTAINER_MAIN, STAGE_RUNNING);

	(void)state;
	exited(c, 0, 0);
	s.policies[0] = RESTART_ON_FAILURE;
	plan(&s, 0);
	assert_true(s.plan.finished);
	c->exit.code = 1;
	plan(&s, 0);
	assert_false(s.plan.finished);
	s.policies[0] = RESTART_NEVER;
	plan(&s, 0);
	assert_true(s.plan.finished);
}

static void sidecars_start_first_and_stop_last(void **state)
{
	struct setup s = {0};

	(void)state;
	add(&s, CONTAINER_SIDECAR, STAGE_WAITING);
	add(&s, CONTAINER_SIDECAR, STAGE_WAITING);
	add(&s, CONTAINER_MAIN, STAGE_WAITING);
	s.policies[2] = RESTART_NEVER;
	plan(&s, 0);
	assert_int_equal(s.steps[0], PLAN_START);
	assert_int_equal(s.steps[1], PLAN_KEEP);
	s.c[0].stage = STAGE_RUNNING; /* its startup probe has not passed */
	plan(&s, 0);
	assert_int_equal(s.steps[1], PLAN_KEEP);
	s.c[0].started = true;
	plan(&s, 0);
	assert_int_equal(s.steps[1], PLAN_START);
	s.c[1].stage = STAGE_RUNNING;
	s.c[1].started = true;
	plan(&s, 0);
	assert_int_equal(s.steps[2], PLAN_START);
	s.c[2].stage = STAGE_RUNNING;
	exited(&s.c[0], 1, 0);
	plan(&s, 0);
	assert_int_equal(s.steps[0], PLAN_START); /* restarted beside the others */
	assert_int_equal(s.steps[2], PLAN_KEEP);
	s.c[0].stage = STAGE_RUNNING;
	exited(&s.c[2], 0, 0);
	plan(&s, 0);
	assert_false(s.plan.finished);
	assert_int_equal(s.steps[1], PLAN_STOP); /* the last one first */
	assert_int_equal(s.steps[0], PLAN_KEEP);
	s.c[1].stage = STAGE_STOPPING;
	plan(&s, 0);
	assert_int_equal(s.steps[0], PLAN_KEEP);
	exited(&s.c[1], 143, 0);
	plan(&s, 0);
	assert_int_equal(s.steps[0], PLAN_STOP);
	assert_int_equal(s.steps[1], PLAN_KEEP);
	exited(&s.c[0], 143, 0);
	plan(&s, 0);
	assert_true(s.plan.finished);
}

static void failed_tries_are_repeated_later(void **state)
{
	struct setup s = {0};
	struct container *c = add(&s, CONTAINER_MAIN, STAGE_WAITING);

	(void)state;
	c->retry_ms = 5000;
	plan(&s, 1000);
	assert_int_equal(s.steps[0], PLAN_WAIT);
	assert_int_equal(s.plan.wake_ms, 5000);
	plan(&s, 5000);
	assert_int_equal(s.steps[0], PLAN_START);
}

static void back_off_doubles_and_is_forgotten(void **state)
{
	struct backoff b = {0};
	char text[BACKOFF_TEXT_MAX];
	int64_t now = 0;

	(void)state;
	for (int64_t expected = 10000; expected < 300000; expected *= 2) {
		assert_int_equal(b.delay_ms ? backoff_wait(&b, now, now) : 0, b.delay_ms);
		backoff_raise(&b, now, now);
		assert_int_equal(b.delay_ms, expected);
		now += expected;
	}
	backoff_raise(&b, now, now);
	backoff_raise(&b, now, now);
	assert_int_equal(b.delay_ms, BACKOFF_MS_MAX);
	assert_string_equal(backoff_text(b.delay_ms, text), "5m0s");
	assert_string_equal(backoff_text(80000, text), "1m20s");
	assert_string_equal(backoff_text(10000, text), "10s");
	now += BACKOFF_MS_FORGET + 1;
	assert_int_equal(backoff_wait(&b, now, now), 0);
	backoff_raise(&b, now, now);
	assert_int_equal(b.delay_ms, BACKOFF_MS_FIRST);
}

static void only_declared_moves(void **state)
{
	(void)state;
	assert_true(container_can_move(STAGE_WAITING, STAGE_STARTING));
	assert_false(container_can_move(STAGE_EXITED, STAGE_RUNNING));
	assert_false(container_can_move(STAGE_STOPPING, STAGE_RUNNING));
}

static void ended_for_its_resources(void **state)
{
	struct setup s = {0};
	struct container *c = add(&s, CONTAINER_MAIN, STAGE_RUNNING);

	(void)state;
	s.policies[0] = RESTART_ON_FAILURE;
	exited(c, 0, 0);
	plan(&s, 0);
	assert_true(s.plan.finished);
	c->start_again = true;
	plan(&s, 0);
	assert_false(s.plan.finished);
	assert_int_equal(s.steps[0], PLAN_START);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(init_containers_run_one_by_one),
	    cmocka_unit_test(failed_init_with_never_fails_the_pod),
	    cmocka_unit_test(restart_waits_for_its_back_off),
	    cmocka_unit_test(policy_decides_about_restarts),
	    cmocka_unit_test(sidecars_start_first_and_stop_last),
	    cmocka_unit_test(failed_tries_are_repeated_later),
	    cmocka_unit_test(back_off_doubles_and_is_forgotten),
	    cmocka_unit_test(only_declared_moves),
	    cmocka_unit_test(ended_for_its_resources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
