/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "node/cri_log.h"

static int parse(const char *s, struct cri_log_line *l)
{
	return cri_log_parse(s, strlen(s), l);
}

static void good_lines(void **state)
{
	struct cri_log_line l;

	(void)state;
	assert_int_equal(parse("2016-10-06T00:17:09.669794202Z stdout P some text ", &l), 0);
	assert_int_equal(l.stream, CRI_LOG_STDOUT);
	assert_true(l.partial);
	assert_int_equal(l.time_ns % 1000000000, 669794202);
	assert_int_equal(l.text_len, strlen("some text "));
	assert_int_equal(parse("2016-10-06T00:17:09Z stderr F ", &l), 0);
	assert_int_equal(l.stream, CRI_LOG_STDERR);
	assert_int_equal(l.text_len, 0);
	assert_int_equal(parse("2016-10-06T00:17:09Z stderr F:x y", &l), 0);
	assert_int_equal(l.text_len, 1);
}

static void bad_lines(void **state)
{
	static const char *const bad[] = {"",
					  " ",
					  "text",
					  "2016-10-06T00:17:09Z",
					  "2016-10-06T00:17:09Z stdin F x",
					  "2016-10-06T00:17:09Z stdout X x",
					  "2016-10-06T00:17:09Z stdout FF x",
					  "2016-10-06T00:17:09Z stdout  x",
					  "yesterday stdout F x"};
	struct cri_log_line l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(parse(bad[i], &l), -EINVAL);
}

static void the_last_lines(void **state)
{
	static const char log[] = "2016-10-06T00:17:09Z stdout F one\n"
				  "2016-10-06T00:17:09Z stdout P tw\n"
				  "2016-10-06T00:17:09Z stdout F o\n"
				  "2016-10-06T00:17:09Z stdout F three\n";
	int64_t n;

	(void)state;
	assert_int_equal(cri_log_tail(log, strlen(log), 0, &n), strlen(log));
	assert_int_equal(n, 0);
	assert_string_equal(log + cri_log_tail(log, strlen(log), 1, &n), "2016-10-06T00:17:09Z stdout F three\n");
	assert_memory_equal(log + cri_log_tail(log, strlen(log), 2, &n), "2016-10-06T00:17:09Z stdout P tw\n", 33);
	assert_int_equal(cri_log_tail(log, strlen(log), 3, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(cri_log_tail(log, strlen(log), 9, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(cri_log_tail(log, 0, 9, &n), 0);
	assert_int_equal(n, 0);
}

static void options(void **state)
{
	struct log_options o;
	char err[128];

	(void)state;
	assert_int_equal(log_options_parse("follow=true&tailLines=10&timestamps=1&sinceSeconds=5", 10000000000, &o, err,
					   sizeof(err)),
			 0);
	assert_true(o.follow && o.timestamps && !o.previous && o.want_stdout && o.want_stderr);
	assert_int_equal(o.tail_lines, 10);
	assert_int_equal(o.since_ns, 5000000000);
	assert_int_equal(o.limit_bytes, -1);
	assert_int_equal(log_options_parse("stream=Stderr", 0, &o, err, sizeof(err)), 0);
	assert_false(o.want_stdout);
	assert_int_equal(log_options_parse("tailLines=-1", 0, &o, err, sizeof(err)), -EINVAL);
	assert_int_equal(log_options_parse("limitBytes=0", 0, &o, err, sizeof(err)), -EINVAL);
	assert_int_equal(log_options_parse("sinceTime=now", 0, &o, err, sizeof(err)), -EINVAL);
	assert_int_equal(log_options_parse("sinceSeconds=1&sinceTime=2016-10-06T00:17:09Z", 0, &o, err, sizeof(err)),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(good_lines), cmocka_unit_test(bad_lines),
					   cmocka_unit_test(the_last_lines), cmocka_unit_test(options)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
