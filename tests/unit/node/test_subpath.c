/* SPDX-License-Identifier: Apache-2.0 */
/* CVE-2017-1002101, CVE-2021-25741: what is below a volume's path stays there, whatever its owner does meanwhile. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/status.h"
#include "node/subpath.h"

static char dir[] = "/tmp/proa-subpath-XXXXXX", volume[64], outside[64];

static int setup(void **state)
{
	char path[100];
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(volume, sizeof(volume), "%s/volume", dir);
	snprintf(outside, sizeof(outside), "%s/outside", dir);
	snprintf(path, sizeof(path), "%s/a/sub", volume);
	assert_int_equal(fs_mkdir_p(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/sub", outside);
	assert_int_equal(fs_mkdir_p(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/b", volume);
	return symlink("../outside", path);
}

static int teardown(void **state)
{
	(void)state;
	return fs_remove_tree(dir);
}

static int open_sub(const char *sub, int *ret)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	return subpath_open(volume, sub, ret, &err);
}

static bool is_inside(int fd)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	assert_true(n > 0);
	path[n] = 0;
	return !strncmp(path, volume, strlen(volume));
}

static void test_still(void **state)
{
	int fd;
	(void)state;
	assert_int_equal(open_sub("a/sub", &fd), 0);
	assert_true(is_inside(fd));
	close(fd);
	/* What is missing is made with the volume's mode, whatever the umask. */
	struct stat st;
	assert_int_equal(chmod(volume, 02770), 0);
	mode_t old = umask(0077);
	assert_int_equal(open_sub("a/new/er", &fd), 0);
	umask(old);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 02770);
	close(fd);
	static const char *const bad[] = {"b", "b/sub", "b/made", "../outside", "a/../../outside", "/etc", ".."};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (open_sub(bad[i], &fd) >= 0)
			fail_msg("%s was opened", bad[i]);
	char made[100];
	snprintf(made, sizeof(made), "%s/made", outside);
	assert_int_equal(access(made, F_OK), -1);
}

static atomic_bool done;

static void *exchange(void *arg)
{
	char a[100], b[100];
	snprintf(a, sizeof(a), "%s/a", volume);
	snprintf(b, sizeof(b), "%s/b", volume);
	while (!done)
		syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
	return arg;
}

static void test_exchanged(void **state)
{
	pthread_t thread;
	char naive[100], made[100];
	int opened = 0, astray = 0;
	(void)state;
	snprintf(naive, sizeof(naive), "%s/a/sub", volume);
	assert_int_equal(pthread_create(&thread, NULL, exchange, NULL), 0);
	for (int i = 0; i < 20000 || (!(opened && astray) && i < 2000000); i++) {
		char sub[32];
		int fd, by_path = open(naive, O_PATH | O_CLOEXEC);
		snprintf(sub, sizeof(sub), i % 2 ? "a/sub" : "a/n%d", i % 50);
		if (open_sub(sub, &fd) == 0) {
			assert_true(is_inside(fd));
			opened++;
			close(fd);
		}
		if (by_path >= 0)
			astray += !is_inside(by_path);
		close(by_path);
	}
	done = true;
	pthread_join(thread, NULL);
	assert_true(opened);
	assert_true(astray); /* who goes by the path is led astray, or the exchange is no attack */
	for (int i = 0; i < 50; i++) {
		snprintf(made, sizeof(made), "%s/n%d", outside, i);
		assert_int_equal(access(made, F_OK), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_still), cmocka_unit_test(test_exchanged)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
