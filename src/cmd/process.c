/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

/* 0 when there is no such process (or it is a zombie that nobody has waited for yet). */
static uint64_t start_time(pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/stat", (int)pid);
	_cleanup_buf_ struct buf b = BUF_INIT;
	unsigned long long t;
	char state;

	if (fs_read(path, 8192, &b) < 0)
		return 0;
	const char *rest = strrchr(buf_str(&b), ')'); /* the name before it may contain anything */
	if (!rest ||
	    sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state,
		   &t) != 2)
		return 0;
	return state == 'Z' ? 0 : t;
}

int process_remember(const char *path, pid_t pid)
{
	_cleanup_free_ char *text = xasprintf("%d %llu\n", (int)pid, (unsigned long long)start_time(pid));
	return fs_write_replace(path, text, strlen(text), 0644);
}

int process_find(const char *path, pid_t *ret_pid)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	unsigned long long t;
	int pid;

	if (fs_read(path, 128, &b) < 0 || sscanf(buf_str(&b), "%d %llu", &pid, &t) != 2 || pid <= 1)
		return -ESRCH;
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 || start_time(pid) != t || t == 0)
		return -ESRCH;
	if (ret_pid)
		*ret_pid = pid;
	return TAKE_FD(fd);
}

static int wait_gone(int pidfd, int64_t ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, (int)ms);
	while (r < 0 && errno == EINTR);
	return r;
}

void process_end(int pidfd, int signum, int64_t ms)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, signum, NULL, 0) < 0 || wait_gone(pidfd, ms) > 0)
		return;
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	wait_gone(pidfd, 10000);
}

const char *process_self(struct arena *a)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len <= 0)
		return NULL;
	self[len] = 0;
	return access(self, X_OK) == 0 ? arena_strdup(a, self) : NULL;
}

const char *process_beside(struct arena *a, const char *name)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len <= 0)
		return name;
	self[len] = 0;
	return arena_printf(a, "%.*s/%s", (int)(strrchr(self, '/') - self), self, name);
}
