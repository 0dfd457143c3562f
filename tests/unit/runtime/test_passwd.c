/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "runtime/passwd.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "broken:x:abc:0::/:/bin/sh\n"
			     "huge:x:4294967295:0::/:/bin/sh\n"
			     "neg:x:-1:0::/:/bin/sh\n"
			     "short:x:5\n"
			     "web:x:1000:1001::/home/web:/bin/sh\n"
			     "rel:x:1001:1001::relative:/bin/sh\n"
			     "last:x:7:8";
static const char group[] = "root:x:0:\nweb:x:1001:\nextra:x:2000:other,web\nwebby:x:2001:webx,xweb\nbad:x:9x:web\n";

static struct user u;
static const char *what;

static int resolve(const char *spec)
{
	memset(&u, 0xee, sizeof(u));
	return user_resolve(spec, passwd, group, &u, &what);
}

static void test_forms(void **state)
{
	(void)state;
	assert_int_equal(resolve(""), 0);
	assert_int_equal(u.uid, 0);
	assert_string_equal(u.home, "/root");
	assert_int_equal(resolve("web"), 0);
	assert_int_equal(u.uid, 1000);
	assert_int_equal(u.gid, 1001);
	assert_string_equal(u.home, "/home/web");
	assert_int_equal(u.n_groups, 1);
	assert_int_equal(u.groups[0], 2000);
	assert_int_equal(resolve("1000"), 0);
	assert_int_equal(u.gid, 1001);
	assert_int_equal(resolve("12345"), 0);
	assert_int_equal(u.uid, 12345);
	assert_int_equal(u.gid, 0);
	assert_string_equal(u.home, "");
	assert_int_equal(resolve("web:extra"), 0);
	assert_int_equal(u.gid, 2000);
	assert_int_equal(u.n_groups, 0);
	assert_int_equal(resolve("5:6"), 0);
	assert_int_equal(u.uid, 5);
	assert_int_equal(u.gid, 6);
	assert_int_equal(resolve(":6"), 0);
	assert_int_equal(u.uid, 0);
	assert_int_equal(u.gid, 6);
	assert_int_equal(resolve("last"), 0);
	assert_int_equal(u.gid, 8);
	assert_int_equal(resolve("rel"), 0);
	assert_string_equal(u.home, "");
	assert_int_equal(resolve("4294967294"), 0);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const unknown[] = {"nobody",	    "broken",	   "huge", "neg",  "short", "4294967295", "-1",
					      "4294967296", "99999999999", "we",   "webs", "0x10",  "1 "};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
		assert_int_equal(resolve(unknown[i]), -ENOENT);
	assert_int_equal(resolve("web:nogroup"), -ENOENT);
	assert_string_equal(what, "nogroup");
	assert_int_equal(resolve("web:bad"), -ENOENT);
	assert_int_equal(resolve("web:"), -EINVAL);
	char text[400];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(resolve(text), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
