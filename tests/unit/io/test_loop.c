/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"

static struct loop *loop;
static char trace[64];

static int setup(void **state)
{
	(void)state;
	memset(trace, 0, sizeof(trace));
	return loop_new(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void mark(char c)
{
	trace[strlen(trace)] = c;
}

static struct loop_timer *timer;
static struct loop_defer *first, *second;

static void on_first(void *arg)
{
	(void)arg;
	mark('1');
	loop_defer_schedule(second); /* still in this turn */
}

static void on_second(void *arg)
{
	(void)arg;
	mark('2');
}

static void on_timer(void *arg)
{
	(void)arg;
	mark('t');
	loop_defer_schedule(first);
	loop_defer_schedule(first); /* once */
	mark('e');
}

static void test_deferred_runs_at_the_end_of_the_turn(void **state)
{
	(void)state;
	timer = loop_timer_new(loop, on_timer, NULL);
	first = loop_defer_new(loop, on_first, NULL);
	second = loop_defer_new(loop, on_second, NULL);
	loop_timer_start(timer, 1);
	loop_run(loop); /* ends by itself: nothing is left to wait for */
	assert_string_equal(trace, "te12");
	loop_timer_start(timer, 1);
	loop_timer_stop(timer);
	loop_run(loop);
	assert_string_equal(trace, "te12");
	/* Scheduled from outside of the loop: it still runs. */
	loop_defer_schedule(second);
	loop_run(loop);
	assert_string_equal(trace, "te122");
	loop_timer_free(timer);
	loop_defer_schedule(first);
	loop_defer_free(first); /* while scheduled */
	loop_defer_free(second);
	loop_run(loop);
	assert_string_equal(trace, "te122");
}

static int forever;

static void again(void *arg)
{
	if (++forever < 1000)
		loop_defer_schedule(*(struct loop_defer **)arg);
}

static void fires(void *arg)
{
	(void)arg;
	mark('T');
	assert_true(forever < 1000); /* a function that schedules itself doesn't keep others from running */
}

static void test_deferred_cannot_starve(void **state)
{
	struct loop_defer *d = loop_defer_new(loop, again, &d);
	struct loop_timer *t = loop_timer_new(loop, fires, NULL);
	(void)state;
	loop_timer_start(t, 0);
	loop_defer_schedule(d);
	loop_run(loop);
	assert_string_equal(trace, "T");
	assert_int_equal(forever, 1000);
	loop_defer_free(d);
	loop_timer_free(t);
}

static struct loop_fd *watch;
static int fds[2];

static void on_fd(void *arg, int events)
{
	char c;
	(void)arg;
	assert_true(events & LOOP_READABLE);
	if (read(fds[0], &c, 1) == 1)
		mark(c);
	if (c == 'z')
		loop_fd_free(watch); /* within its callback */
	else
		assert_int_equal(write(fds[1], "z", 1), 1);
}

static void test_descriptor(void **state)
{
	(void)state;
	assert_int_equal(pipe(fds), 0);
	watch = loop_fd_new(loop, fds[0], LOOP_READABLE, on_fd, NULL);
	assert_int_equal(write(fds[1], "a", 1), 1);
	loop_run(loop);
	assert_string_equal(trace, "az");
	close(fds[0]);
	close(fds[1]);
	int f = open("/proc/self/exe", 0);
	assert_null(loop_fd_new(loop, f, LOOP_READABLE, on_fd, NULL)); /* a file cannot be polled */
	close(f);
}

static struct loop_wake *wake;

static void run(void *arg)
{
	(void)arg; /* another thread: touches nothing but the wake */
	loop_wake_send(wake);
	loop_wake_send(wake);
}

static void done(void *arg)
{
	(void)arg;
	mark('d');
}

static void on_wake(void *arg)
{
	(void)arg;
	mark('w');
	loop_wake_free(wake);
}

static void test_threads(void **state)
{
	(void)state;
	wake = loop_wake_new(loop, on_wake, NULL);
	loop_work(loop, run, done, NULL);
	loop_run(loop);
	assert_int_equal(strlen(trace), 2);
	assert_true(strchr(trace, 'w') && strchr(trace, 'd'));
}

static struct loop_signal *sig;

static void on_signal(void *arg)
{
	(void)arg;
	mark('s');
	loop_signal_free(sig);
}

static void test_signal(void **state)
{
	(void)state;
	sig = loop_signal_new(loop, SIGUSR1, on_signal, NULL);
	kill(getpid(), SIGUSR1);
	loop_run(loop);
	assert_string_equal(trace, "s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_deferred_runs_at_the_end_of_the_turn, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_deferred_cannot_starve, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_descriptor, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_signal, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
