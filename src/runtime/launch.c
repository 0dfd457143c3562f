/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"

int launch(const struct launch *l, pid_t *ret_pid, int *ret_sync)
{
	int pair[2], r = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	_cleanup_close_ int ours = pair[0], theirs = pair[1], own_ns = -1;
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	_cleanup_close_ int group = cgroup_open_v2(l->layout, l->cgroup);
	if (group < 0 && group != -ENOENT)
		return group;
	struct clone_args args = {.exit_signal = SIGCHLD};
	if (l->target < 0)
		args.flags = CLONE_NEWNS | (l->new_pid_ns ? CLONE_NEWPID : 0);
	if (group >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)group;
	}
	/* Joining a pid namespace concerns children only, so it is done here and undone after the fork. */
	if (l->pid_ns >= 0) {
		own_ns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
		if (own_ns < 0 || setns(l->pid_ns, CLONE_NEWPID) < 0)
			return -errno;
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		inside(l, theirs, group >= 0);
	if (pid < 0)
		r = -errno;
	if (own_ns >= 0 && setns(own_ns, CLONE_NEWPID) < 0)
		_exit(1); /* every further child would be born into that container; the agent clears up after us */
	if (r < 0)
		return r;
	*ret_pid = pid;
	*ret_sync = TAKE_FD(ours);
	return 0;
}
