/* SPDX-License-Identifier: Apache-2.0 */
/* What a process in the sandbox may still do; each question is asked by a child, for there is no way back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/status.h"
#include "server/sandbox.h"

enum { EXIT_ALLOWED = 0, EXIT_REFUSED = 1, EXIT_NO_SANDBOX = 2 };

static char dir[] = "/tmp/proa-sandbox.XXXXXX", other[] = "/tmp/proa-outside.XXXXXX";

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || !mkdtemp(other))
		return -1;
	return chmod(other, 0777); /* so that only the sandbox can be what refuses */
}

static int teardown(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof(path), "%s/file", dir);
	unlink(path);
	return rmdir(dir) || rmdir(other);
}

static bool create_in(const char *where)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/file", where);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool write_inside(void)
{
	return create_in(dir);
}

static bool write_outside(void)
{
	return create_in(other);
}

static bool read_shadow(void)
{
	return open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool become_root(void)
{
	return setuid(0) == 0;
}

static bool mount_something(void)
{
	return mount("proa", other, "tmpfs", 0, NULL) == 0;
}

static bool run_program(void)
{
	execl("/bin/true", "true", NULL); /* succeeds: exit 0, which is EXIT_ALLOWED */
	return false;
}

static int ask(bool (*question)(void))
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct status err = STATUS_INIT;
		uid_t uid;
		gid_t gid;
		sandbox_account(&uid, &gid);
		if (sandbox_own_tree(dir, uid, gid) < 0 || sandbox_enter(dir, NULL, uid, gid, &err) < 0)
			_exit(EXIT_NO_SANDBOX);
		_exit(question() ? EXIT_ALLOWED : EXIT_REFUSED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_REFUSED; /* seccomp may end it */
}

static void test_questions(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(ask(write_inside), EXIT_ALLOWED);
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0)
		assert_int_equal(ask(write_outside), EXIT_REFUSED);
	assert_int_equal(ask(read_shadow), EXIT_REFUSED);
	assert_int_equal(ask(become_root), EXIT_REFUSED);
	assert_int_equal(ask(mount_something), EXIT_REFUSED);
	assert_int_equal(ask(run_program), EXIT_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_questions)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
