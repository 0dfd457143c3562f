/* SPDX-License-Identifier: Apache-2.0 */
/* pod.json, and the small pure parts beside it: sysctl names and capability sets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "runtime/caps.h"
#include "runtime/spec.h"
#include "runtime/state.h"
#include "runtime/sysctl.h"

static void test_state(void **state)
{
	char dir[] = "/tmp/proa-state-XXXXXX";
	struct pod_state s = {.uid = "u-1", .cgroup = "proa/podu-1", .pid = getpid()}, out;
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(state_read(dir, &out), -ENOENT);
	s.start_time = state_start_time(getpid());
	assert_true(s.start_time > 0);
	assert_int_equal(state_boot_id(s.boot_id), 0);
	assert_int_equal(state_write(dir, &s), 0);
	assert_int_equal(state_read(dir, &out), 0);
	assert_string_equal(out.uid, "u-1");
	assert_string_equal(out.cgroup, "proa/podu-1");
	assert_true(state_alive(&out));
	out.start_time++;
	assert_false(state_alive(&out));
	out = s, out.boot_id[0] ^= 1;
	assert_false(state_alive(&out));
	out = s, out.pid = 0;
	assert_false(state_alive(&out));
	fs_remove_tree(dir);
}

static void test_damaged(void **state)
{
	static const char good[] =
	    "{\"version\":1,\"uid\":\"u\",\"cgroup\":\"p/podu\",\"pid\":5,\"startTime\":6,\"bootId\":\"b\"}";
	static const char *const bad[] = {
	    "{\"version\":2,\"uid\":\"u\",\"cgroup\":\"p\",\"pid\":5,\"startTime\":6,\"bootId\":\"b\"}",
	    "{\"version\":1,\"uid\":\"u\",\"cgroup\":\"/p\",\"pid\":5,\"startTime\":6,\"bootId\":\"b\"}",
	    "{\"version\":1,\"uid\":\"u\",\"cgroup\":\"p/../..\",\"pid\":5,\"startTime\":6,\"bootId\":\"b\"}",
	    "{\"version\":1,\"uid\":\"u\",\"cgroup\":\"p\",\"pid\":-5,\"startTime\":6,\"bootId\":\"b\"}",
	    "{\"version\":1,\"uid\":\"u\",\"cgroup\":\"p\",\"pid\":99999999999,\"startTime\":6,\"bootId\":\"b\"}",
	    "{\"version\":1,\"uid\":\"\",\"cgroup\":\"p\",\"pid\":5,\"startTime\":6,\"bootId\":\"b\"}",
	    "{\"version\":1,\"uid\":\"u\",\"cgroup\":\"p\",\"pid\":5,\"bootId\":\"b\"}",
	};
	struct pod_state s;
	(void)state;
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		assert_int_equal(state_parse(good, n, &s), -EBADMSG);
	assert_int_equal(state_parse(good, sizeof(good) - 1, &s), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(state_parse(bad[i], strlen(bad[i]), &s), -EBADMSG);
}

static void test_sysctl(void **state)
{
	char out[SYSCTL_NAME_MAX + 8];
	(void)state;
	assert_int_equal(sysctl_path("net.core.somaxconn", true, true, out), 0);
	assert_string_equal(out, "sys/net/core/somaxconn");
	assert_int_equal(sysctl_path("net/ipv4/conf/eth0.1/forwarding", true, true, out), 0);
	assert_string_equal(out, "sys/net/ipv4/conf/eth0.1/forwarding");
	assert_int_equal(sysctl_path("net.ipv4.conf.eth0/1.forwarding", true, true, out), 0);
	assert_string_equal(out, "sys/net/ipv4/conf/eth0.1/forwarding");
	assert_int_equal(sysctl_path("kernel.shmmax", false, true, out), 0);
	assert_int_equal(sysctl_path("kernel.shmmax", true, false, out), -EPERM);
	assert_int_equal(sysctl_path("net.core.somaxconn", false, true, out), -EPERM);
	assert_int_equal(sysctl_path("kernel.core_pattern", true, true, out), -EPERM);
	assert_int_equal(sysctl_path("vm.swappiness", true, true, out), -EPERM);
	static const char *const bad[] = {
	    "",		  ".",	      "net..x",	 "net.",	 ".net", "net/../kernel/core_pattern",
	    "net.ipv4+x", "net.x\ny", "net.x=1", "net/ipv4/../x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(sysctl_path(bad[i], true, true, out), -EINVAL);
}

static void test_caps(void **state)
{
	struct caps c;
	const char *unknown = NULL;
	struct container_spec s = {0};
	uint64_t known = caps_known();
	(void)state;
	assert_int_equal(caps_of_spec(&s, &c, &unknown), 0);
	assert_true(c.bounding == 0xa80425fb && c.permitted == c.bounding && c.ambient == 0);
	s.cap_drop = (const char *[]){"ALL", NULL};
	s.cap_add = (const char *[]){"net_bind_service", NULL};
	assert_int_equal(caps_of_spec(&s, &c, &unknown), 0);
	assert_true(c.bounding == 1 << 10);
	s.cap_add = (const char *[]){"ALL", NULL};
	s.cap_drop = (const char *[]){"CAP_SYS_ADMIN", NULL};
	assert_int_equal(caps_of_spec(&s, &c, &unknown), 0);
	assert_true(c.bounding == (known & ~(1ull << 21)));
	s.cap_add = (const char *[]){"ROOT", NULL};
	assert_int_equal(caps_of_spec(&s, &c, &unknown), -EINVAL);
	assert_string_equal(unknown, "ROOT");
	s = (struct container_spec){.privileged = true};
	assert_int_equal(caps_of_spec(&s, &c, &unknown), 0);
	assert_true(c.bounding == known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_state), cmocka_unit_test(test_damaged),
					   cmocka_unit_test(test_sysctl), cmocka_unit_test(test_caps)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
