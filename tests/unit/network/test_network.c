/* SPDX-License-Identifier: Apache-2.0 */
/* A bridge and two pods in network namespaces of their own, on the real kernel. Needs root; skipped without. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/macros.h"
#include "base/status.h"
#include "network/ipam.h"
#include "network/network.h"

static char dir[64];

static int make_netns(void)
{
	_cleanup_close_ int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(home >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	return fd;
}

/* Connects from inside one namespace to a listener in another. */
static void check_reach(int from_ns, int to_ns, const char *ip)
{
	_cleanup_close_ int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(8080)};
	inet_pton(AF_INET, ip, &a.sin_addr);

	assert_int_equal(setns(to_ns, CLONE_NEWNET), 0);
	_cleanup_close_ int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(server, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(setns(from_ns, CLONE_NEWNET), 0);
	_cleanup_close_ int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
}

static void pods_and_host_reach_each_other(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	_cleanup_close_ int host = make_netns(), a = make_netns(), b = make_netns();
	_cleanup_close_ int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_status_ struct status err = STATUS_INIT;
	struct network_config c = {
	    .id = "test", .pod_cidr = "10.42.7.0/24", .run_dir = dir, .cluster_cidr = "10.42.0.0/16"};
	struct network *n;
	char ip_a[NETWORK_IP_MAX], ip_b[NETWORK_IP_MAX], again[NETWORK_IP_MAX];

	assert_int_equal(setns(host, CLONE_NEWNET), 0);
	assert_int_equal(network_new(&c, &n, &err), 0);
	assert_string_equal(network_gateway(n), "10.42.7.1");
	assert_int_equal(network_attach(n, "pod-a", a, ip_a, &err), 0);
	assert_int_equal(network_attach(n, "pod-b", b, ip_b, &err), 0);
	assert_int_equal(network_attach(n, "pod-a", a, again, &err), 0);
	assert_string_equal(again, ip_a);
	check_reach(a, b, ip_b);
	check_reach(host, a, ip_a);
	check_reach(b, host, network_gateway(n));
	network_free(n);

	assert_int_equal(network_new(&c, &n, &err), 0); /* the agent starts again: everything is as it was */
	assert_int_equal(network_attach(n, "pod-b", b, again, &err), 0);
	assert_string_equal(again, ip_b);
	network_detach(n, "pod-a");
	network_detach(n, "pod-b");
	network_free(n);
	network_remove("test");
	assert_int_equal(if_nametoindex("proa-test"), 0);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
}

static void addresses_come_back_late_and_survive(void **state)
{
	(void)state;
	_cleanup_free_ char *sub = NULL;
	struct ipam *i;
	uint32_t first, other;
	bool is_new;

	assert_true(asprintf(&sub, "%s/ipam", dir) > 0);
	assert_int_equal(ipam_new("10.0.0.0/29", sub, &i), 0); /* .2 to .6 */
	assert_int_equal(ipam_take(i, "a", &first, &is_new), 0);
	assert_true(is_new);
	assert_int_equal(first, htonl(0x0a000002));
	ipam_give(i, "a");
	assert_int_equal(ipam_take(i, "b", &other, &is_new), 0);
	assert_int_equal(other, htonl(0x0a000003));
	ipam_free(i);
	assert_int_equal(ipam_new("10.0.0.0/29", sub, &i), 0);
	assert_int_equal(ipam_take(i, "b", &other, &is_new), 0);
	assert_false(is_new);
	assert_int_equal(other, htonl(0x0a000003));
	const char *more[] = {"c", "d", "e", "f"};
	for (size_t k = 0; k < ARRAY_SIZE(more); k++)
		assert_int_equal(ipam_take(i, more[k], &other, &is_new), 0);
	assert_int_equal(ipam_take(i, "g", &other, &is_new), -ENOSPC);
	ipam_give(i, "d");
	assert_int_equal(ipam_take(i, "g", &other, &is_new), 0);
	ipam_free(i);
	assert_int_equal(ipam_new("10.0.0.0/33", sub, &i), -EINVAL);
	assert_int_equal(ipam_new("10.0.0/24", sub, &i), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_come_back_late_and_survive),
	    cmocka_unit_test(pods_and_host_reach_each_other),
	};

	snprintf(dir, sizeof(dir), "/tmp/proa-test-network.XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	fs_remove_tree(dir);
	return r;
}
