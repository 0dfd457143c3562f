/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/allocator.h"

static void every_address_is_given_once(void **state)
{
	struct ip_allocator *a;
	char ip[16];
	(void)state;
	assert_int_equal(ip_allocator_new("10.1.2.0/28", &a), 0);
	ip_allocator_first(a, ip);
	assert_string_equal(ip, "10.1.2.1");
	for (int i = 0; i < 14; i++)
		assert_int_equal(ip_allocator_next(a, ip), 0);
	assert_int_equal(ip_allocator_next(a, ip), -ENOSPC);
	assert_int_equal(ip_allocator_claim(a, "10.1.2.7"), -EEXIST);
	ip_allocator_release(a, "10.1.2.7");
	assert_int_equal(ip_allocator_next(a, ip), 0);
	assert_string_equal(ip, "10.1.2.7");
	ip_allocator_free(a);
}

static void addresses_outside_are_refused(void **state)
{
	struct ip_allocator *a;
	(void)state;
	assert_int_equal(ip_allocator_new("10.1.2.0/24", &a), 0);
	assert_int_equal(ip_allocator_claim(a, "10.1.3.1"), -ERANGE);
	assert_int_equal(ip_allocator_claim(a, "10.1.2.0"), -ERANGE);
	assert_int_equal(ip_allocator_claim(a, "10.1.2.255"), -ERANGE);
	assert_int_equal(ip_allocator_claim(a, "somewhere"), -EINVAL);
	assert_int_equal(ip_allocator_claim(a, NULL), -EINVAL);
	assert_int_equal(ip_allocator_claim(a, "10.1.2.9"), 0);
	ip_allocator_release(a, "10.9.9.9"); /* no effect */
	ip_allocator_free(a);
	assert_int_equal(ip_allocator_new("10.1.2.0", &a), -EINVAL);
	assert_int_equal(ip_allocator_new("10.1.2.0/33", &a), -EINVAL);
	assert_int_equal(ip_allocator_new(NULL, &a), -EINVAL);
}

static void ports(void **state)
{
	struct port_allocator *a;
	int port;
	(void)state;
	assert_int_equal(port_allocator_new(100, 102, &a), 0);
	assert_int_equal(port_allocator_claim(a, 99), -ERANGE);
	assert_int_equal(port_allocator_claim(a, 101), 0);
	assert_int_equal(port_allocator_claim(a, 101), -EEXIST);
	assert_int_equal(port_allocator_next(a, &port), 0);
	assert_int_equal(port_allocator_next(a, &port), 0);
	assert_int_equal(port_allocator_next(a, &port), -ENOSPC);
	port_allocator_release(a, 101);
	assert_int_equal(port_allocator_next(a, &port), 0);
	assert_int_equal(port, 101);
	port_allocator_free(a);
	assert_int_equal(port_allocator_new(5, 4, &a), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_address_is_given_once),
	    cmocka_unit_test(addresses_outside_are_refused),
	    cmocka_unit_test(ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
