/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "client/workqueue.h"
#include "io/loop.h"
#include "sim.h"

struct world {
	struct loop *loop;
	struct workqueue *queue;
	char order[200];
	int runs, fail;
	struct sync *held; /* the sync that is kept open */
	bool hold;
};

static void on_sync(void *arg, struct sync *s)
{
	struct world *w = arg;
	w->runs++;
	strcat(w->order, s->key);
	if (w->fail > 0) {
		w->fail--;
		sync_failf(s, "as asked");
	}
	if (w->hold) {
		sync_hold(s);
		w->held = s;
	}
}

static void start(struct world *w)
{
	*w = (struct world){.loop = sim_new(1)};
	w->queue =
	    workqueue_new(&(struct workqueue_config){.loop = w->loop, .name = "test", .sync = on_sync, .arg = w});
	workqueue_start(w->queue);
}

static void stop(struct world *w)
{
	workqueue_free(w->queue);
	sim_free(w->loop);
}

static void a_key_waits_once(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	workqueue_add(w.queue, "a");
	workqueue_add(w.queue, "b");
	workqueue_add(w.queue, "a");
	assert_int_equal(w.runs, 0); /* never inside add */
	sim_settle(w.loop);
	assert_string_equal(w.order, "ab");
	assert_true(workqueue_idle(w.queue));
	stop(&w);
}

static void never_twice_at_a_time(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	w.hold = true;
	workqueue_add(w.queue, "a");
	sim_settle(w.loop);
	workqueue_add(w.queue, "a");
	workqueue_add(w.queue, "a");
	sim_run_ms(w.loop, 1000);
	assert_int_equal(w.runs, 1);
	assert_int_equal(workqueue_busy(w.queue), 1);
	w.hold = false;
	sync_release(w.held);
	sim_settle(w.loop);
	assert_int_equal(w.runs, 2); /* once more, not twice */
	stop(&w);
}

static void failures_back_off(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	w.fail = 4;
	workqueue_add(w.queue, "a");
	sim_settle(w.loop);
	assert_int_equal(w.runs, 1);
	assert_int_equal(workqueue_failures(w.queue, "a"), 1);
	static const int after[] = {5, 10, 20, 40};
	for (int i = 0; i < 4; i++) {
		sim_run_ms(w.loop, after[i] - 1);
		assert_int_equal(w.runs, i + 1);
		sim_run_ms(w.loop, 1);
		assert_int_equal(w.runs, i + 2);
	}
	assert_int_equal(workqueue_failures(w.queue, "a"), 0); /* the last one succeeded */
	stop(&w);
}

static void later_keys_come_in_their_time(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	workqueue_add_after(w.queue, "c", 300);
	workqueue_add_after(w.queue, "a", 100);
	workqueue_add_after(w.queue, "b", 200);
	workqueue_add_after(w.queue, "c", 900); /* the earlier wish wins */
	sim_run_ms(w.loop, 150);
	assert_string_equal(w.order, "a");
	sim_run_ms(w.loop, 1000);
	assert_string_equal(w.order, "abc");
	stop(&w);
}

static void a_freed_queue_lets_syncs_end(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	w.hold = true;
	workqueue_add(w.queue, "a");
	sim_settle(w.loop);
	workqueue_free(w.queue);
	assert_true(sync_stopped(w.held));
	sync_release(w.held);
	sim_free(w.loop);
}

static void keys_split(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *ns, *name;
	key_split("default/web", &a, &ns, &name);
	assert_string_equal(ns, "default");
	assert_string_equal(name, "web");
	key_split("node-1", &a, &ns, &name);
	assert_string_equal(ns, "");
	assert_string_equal(name, "node-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_key_waits_once),
	    cmocka_unit_test(never_twice_at_a_time),
	    cmocka_unit_test(failures_back_off),
	    cmocka_unit_test(later_keys_come_in_their_time),
	    cmocka_unit_test(a_freed_queue_lets_syncs_end),
	    cmocka_unit_test(keys_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
