/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "client/watch_frames.h"

static bool collect(void *arg, const char *line, size_t len)
{
	strncat(arg, line, len);
	strcat(arg, "|");
	return true;
}

static void any_pieces_give_the_same_lines(void **state)
{
	(void)state;
	static const char text[] = "one\r\n\ntwo\nthree\nfour";
	for (size_t step = 1; step < sizeof(text); step++) {
		struct watch_frames f;
		char out[100] = "";
		watch_frames_init(&f);
		for (size_t at = 0; at < sizeof(text) - 1; at += step)
			assert_int_equal(
			    watch_frames_feed(&f, text + at, MIN_OF(step, sizeof(text) - 1 - at), collect, out), 0);
		assert_string_equal(out, "one|two|three|");
		watch_frames_release(&f);
	}
}

static void long_lines_are_refused(void **state)
{
	(void)state;
	struct watch_frames f;
	char out[10] = "";
	watch_frames_init(&f);
	char *big = xmalloc(1u << 20);
	memset(big, 'x', 1u << 20);
	int r = 0, pieces = 0;
	while (r == 0 && pieces < 10) {
		r = watch_frames_feed(&f, big, 1u << 20, collect, out);
		pieces++;
	}
	assert_int_equal(r, -EMSGSIZE);
	assert_int_equal(pieces, 5);
	free(big);
	watch_frames_release(&f);
}

static int decode(const char *line, enum watch_frame_type *type)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *o;
	return watch_frame_decode(&a, line, strlen(line), type, &o);
}

static void events_are_decoded(void **state)
{
	(void)state;
	enum watch_frame_type type;
	assert_int_equal(decode("{\"type\":\"MODIFIED\",\"object\":{}}", &type), 0);
	assert_int_equal(type, FRAME_MODIFIED);
	assert_int_equal(decode("{\"type\":\"BOOKMARK\",\"object\":{}}", &type), 0);
	assert_int_equal(type, FRAME_BOOKMARK);
	assert_int_equal(decode("{\"type\":\"OTHER\",\"object\":{}}", &type), -EINVAL);
	assert_int_equal(decode("{\"type\":\"ADDED\"}", &type), -EINVAL);
	assert_int_equal(decode("{\"type\":\"ADDED\",\"object\":3}", &type), -EINVAL);
	assert_int_equal(decode("{", &type), -EINVAL);
}

static void statuses_are_decoded(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *v;
	struct json_error e;
	static const char text[] =
	    "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"no\",\"reason\":\"AlreadyExists\","
	    "\"code\":409,\"details\":{\"name\":\"x\",\"kind\":\"pods\",\"causes\":[{\"reason\":\"FieldValueInvalid\","
	    "\"field\":\"spec\",\"message\":\"m\"}],\"retryAfterSeconds\":3}}";
	assert_int_equal(json_parse(&a, text, sizeof(text) - 1, &v, &e), 0);
	status_from_json(&err, 500, v);
	assert_int_equal(err.code, 409);
	assert_string_equal(err.reason, "AlreadyExists");
	assert_string_equal(err.message, "no");
	assert_string_equal(err.name, "x");
	assert_int_equal(err.retry_after_s, 3);
	assert_int_equal(err.n_causes, 1);
	status_from_json(&err, 503, NULL); /* a proxy's page, say */
	assert_int_equal(err.code, 503);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_pieces_give_the_same_lines),
	    cmocka_unit_test(long_lines_are_refused),
	    cmocka_unit_test(events_are_decoded),
	    cmocka_unit_test(statuses_are_decoded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
