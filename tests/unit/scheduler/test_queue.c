/* SPDX-License-Identifier: Apache-2.0 */
#include "build.h"

#include "scheduler/queue.h"

static void add(struct queue *q, const char *name, int priority, int64_t now)
{
	char json[100];
	snprintf(json, sizeof(json), "{'metadata':{'name':'%s','namespace':'d'}}", name);
	_cleanup_object_ struct object *o = build("pods", json);
	queue_add(q, o, priority, now, true);
}

static const char *pop(struct queue *q, int64_t now)
{
	struct queued_pod *p = queue_pop(q, now);
	return p ? p->obj->name : "none";
}

static void important_ones_first(void **state)
{
	(void)state;
	struct queue q;
	queue_init(&q);
	add(&q, "a", 0, 0);
	add(&q, "b", 0, 1);
	add(&q, "c", 10, 2);
	assert_string_equal(pop(&q, 3), "c");
	assert_string_equal(pop(&q, 3), "a");
	assert_string_equal(pop(&q, 3), "b");
	assert_string_equal(pop(&q, 3), "none");
	queue_release(&q);
}

static void waits_for_what_helps(void **state)
{
	(void)state;
	struct queue q;
	queue_init(&q);
	add(&q, "a", 0, 0);
	pop(&q, 0);
	queue_failed(&q, "a", 4, 0);
	queue_event(&q, 2, 5000);
	assert_string_equal(pop(&q, 5000), "none");
	queue_event(&q, 6, 5000);
	assert_string_equal(pop(&q, 5000), "a");
	queue_release(&q);
}

static void back_off_grows(void **state)
{
	(void)state;
	struct queue q;
	queue_init(&q);
	add(&q, "a", 0, 0);
	int64_t now = 0, expected[] = {1000, 2000, 4000, 8000, 10000, 10000};
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_string_equal(pop(&q, now), "a");
		queue_failed(&q, "a", 1, now);
		queue_event(&q, 1, now);
		assert_int_equal(queue_next_ms(&q), now + expected[i]);
		assert_string_equal(pop(&q, now + expected[i] - 1), "none");
		now += expected[i];
	}
	queue_release(&q);
}

static void an_event_during_the_attempt_counts(void **state)
{
	(void)state;
	struct queue q;
	queue_init(&q);
	add(&q, "a", 0, 0);
	pop(&q, 0);
	add(&q, "a", 0, 0); /* it changed */
	queue_failed(&q, "a", 1, 0);
	assert_int_equal(queue_next_ms(&q), 1000);
	assert_string_equal(pop(&q, 1000), "a");
	queue_release(&q);
}

static void is_tried_again_some_time(void **state)
{
	(void)state;
	struct queue q;
	queue_init(&q);
	add(&q, "a", 0, 0);
	pop(&q, 0);
	queue_failed(&q, "a", 1, 0);
	assert_string_equal(pop(&q, QUEUE_UNSCHEDULABLE_MS_MAX - 1), "none");
	assert_string_equal(pop(&q, QUEUE_UNSCHEDULABLE_MS_MAX), "a");
	queue_remove(&q, "a");
	assert_int_equal(queue_len(&q), 0);
	assert_int_equal(queue_next_ms(&q), -1);
	queue_release(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(important_ones_first),	cmocka_unit_test(waits_for_what_helps),
	    cmocka_unit_test(back_off_grows),		cmocka_unit_test(an_event_during_the_attempt_counts),
	    cmocka_unit_test(is_tried_again_some_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
