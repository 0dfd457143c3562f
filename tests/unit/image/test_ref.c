/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "image/image.h"
#include "image/layer.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void references_are_normalised(void **state)
{
	static const char *const good[][2] = {
	    {"nginx", "docker.io/library/nginx:latest"},
	    {"nginx:1.25", "docker.io/library/nginx:1.25"},
	    {"me/app", "docker.io/me/app:latest"},
	    {"docker.io/nginx", "docker.io/library/nginx:latest"},
	    {"index.docker.io/nginx", "docker.io/library/nginx:latest"},
	    {"localhost/app", "localhost/app:latest"},
	    {"localhost:5000/app:v1", "localhost:5000/app:v1"},
	    {"reg.example.com:5000/a/b_c/d__e/f-g:T.1_x-", "reg.example.com:5000/a/b_c/d__e/f-g:T.1_x-"},
	    {"[::1]:5000/app", "[::1]:5000/app:latest"},
	    {"UPPER/app", "UPPER/app:latest"},
	    {"a@sha256:" HEX, "docker.io/library/a@sha256:" HEX},
	    {"a:1@sha256:" HEX, "docker.io/library/a@sha256:" HEX},
	    {"sha256:" HEX, "sha256:" HEX},
	};
	static const char *const refused[] = {
	    "",	    "Nginx", "a:",	 "a b",	    "a//b",	      "/a",   "a/",	    "a@sha256:12", HEX,
	    "a..b", "a___b", "-a",	 "a-",	    "a:-x",	      "x.y/", "x.y:port/a", "../a",	   "a/../b",
	    "a\nb", "a:b:c", "http://a", "a@md5:1", "ex ample.com/a",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		assert_int_equal(image_ref_normalize(good[i][0], &b), 0);
		assert_string_equal(buf_str(&b), good[i][1]);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		if (image_ref_normalize(refused[i], &b) != -EINVAL)
			fail_msg("accepted: \"%s\" as \"%s\"", refused[i], buf_str(&b));
	}
}

static void overlong_references_are_refused(void **state)
{
	char ref[IMAGE_REF_MAX + 10];
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	memset(ref, 'a', sizeof(ref));
	ref[sizeof(ref) - 1] = 0;
	assert_int_equal(image_ref_normalize(ref, &b), -EINVAL);
	ref[256] = 0;
	assert_int_equal(image_ref_normalize(ref, &b), -EINVAL);
	memcpy(ref, "a:", 2);
	memset(ref + 2, 't', 129);
	ref[131] = 0;
	assert_int_equal(image_ref_normalize(ref, &b), -EINVAL);
	ref[130] = 0;
	assert_int_equal(image_ref_normalize(ref, &b), 0);
}

static void paths_of_archives_are_cleaned_or_refused(void **state)
{
	static const char *const good[][2] = {
	    {"a/b", "a/b"}, {"./a/./b/", "a/b"}, {"/etc//passwd", "etc/passwd"}, {"./", ""}, {"..a/b..", "..a/b.."}};
	static const char *const refused[] = {"..", "../a", "a/../b", "a/..", "/../etc/passwd"};
	char out[IMAGE_PATH_MAX + 1], deep[2 * IMAGE_DEPTH_MAX + 4], wide[400];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(image_layer_path(good[i][0], out), 0);
		assert_string_equal(out, good[i][1]);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(image_layer_path(refused[i], out), -EBADMSG);
	for (size_t i = 0; i <= IMAGE_DEPTH_MAX; i++)
		memcpy(deep + 2 * i, "d/", 3);
	assert_int_equal(image_layer_path(deep, out), -EBADMSG);
	assert_int_equal(image_layer_path(deep + 2, out), 0);
	memset(wide, 'w', sizeof(wide));
	wide[256] = 0;
	assert_int_equal(image_layer_path(wide, out), -EBADMSG);
	assert_int_equal(image_layer_path(wide + 1, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(references_are_normalised),
	    cmocka_unit_test(overlong_references_are_refused),
	    cmocka_unit_test(paths_of_archives_are_cleaned_or_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
