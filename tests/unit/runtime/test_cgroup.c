/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "runtime/cgroup.h"

static void test_weight(void **state)
{
	(void)state;
	/* The kubelet's conversion: 2 -> 1, 1024 -> 39, 262144 -> 10000, clamped. */
	assert_int_equal(cgroup_weight_of_shares(2), 1);
	assert_int_equal(cgroup_weight_of_shares(0), 1);
	assert_int_equal(cgroup_weight_of_shares(-5), 1);
	assert_int_equal(cgroup_weight_of_shares(1024), 39);
	assert_int_equal(cgroup_weight_of_shares(262144), 10000);
	assert_int_equal(cgroup_weight_of_shares(1 << 30), 10000);
}

static void test_hybrid(void **state)
{
	struct cgroup_layout l;
	(void)state;
	static const char text[] =
	    "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	    "30 22 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
	    "31 30 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw,nsdelegate\n"
	    "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n"
	    "33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
	    "34 30 0:30 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	    "35 30 0:31 / /elsewhere/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
	assert_int_equal(cgroup_layout_parse(text, &l), 3);
	assert_true(l.h[0].v2);
	assert_string_equal(l.h[1].mount, "/elsewhere/cpu"); /* the same hierarchy mounted again */
	assert_string_equal(l.h[1].controllers_text, "cpu,cpuacct");
	assert_int_equal(l.h[1].controllers, CGROUP_CPU | CGROUP_CPUACCT);
	assert_string_equal(l.h[2].controllers_text, "name=systemd");
	assert_int_equal(l.h[2].controllers, 0);
	assert_ptr_equal(cgroup_layout_v2(&l), &l.h[0]);
	assert_int_equal(cgroup_layout_controllers(&l), CGROUP_CPU | CGROUP_CPUACCT);
}

static void test_damaged(void **state)
{
	struct cgroup_layout l;
	(void)state;
	assert_int_equal(cgroup_layout_parse("", &l), -ENOENT);
	assert_int_equal(cgroup_layout_parse("1 2 3 / /x rw - cgroup", &l), -ENOENT);
	assert_int_equal(cgroup_layout_parse("1 2 3 / /x rw - cgroup2", &l), -ENOENT);
	assert_int_equal(cgroup_layout_parse(" - cgroup2 x rw", &l), -ENOENT);
	assert_int_equal(cgroup_layout_parse("1 2 3 / /x rw - cgroup cgroup", &l), -ENOENT);
	assert_int_equal(cgroup_layout_parse("1 2 3 / /x rw - cgroup cgroup rw,unheard_of\n", &l), -ENOENT);
	char text[400] = "1 2 3 / /";
	memset(text + 9, 'm', 300);
	strcpy(text + 309, " rw - cgroup2 x rw\n");
	assert_int_equal(cgroup_layout_parse(text, &l), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_weight), cmocka_unit_test(test_hybrid),
					   cmocka_unit_test(test_damaged)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
