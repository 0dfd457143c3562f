/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "oci/command.h"
#include "oci/container.h"
#include "oci/error.h"

static struct {
	bool all;
} given;

static const struct flag flags[] = {{"all", 'a', FLAG_BOOL, &given.all, "every process in the container's cgroup"},
				    {0}};

static int kill_(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int signal = argc > 1 ? signal_number(argv[1]) : SIGTERM;
	if (signal < 0)
		return oci_fail(0, "unknown signal \"%s\"", argv[1]);
	int r = container_load(&c, argv[0], false);
	if (r < 0)
		return r;
	if (given.all)
		/* Also those that outlived the first one. */
		return group_kill(&c.group, signal);
	_cleanup_close_ int fd = container_pidfd(&c);
	if (fd < 0)
		return oci_fail(0, "container not running");
	if (syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) < 0)
		return errno == ESRCH ? oci_fail(0, "container not running")
				      : oci_fail(-errno, "signalling container %s", c.id);
	/* A frozen process on v1 would not hear it. */
	if (signal == SIGKILL && group_frozen(&c.group))
		(void)group_freeze(&c.group, false);
	return 0;
}

const struct command command_kill = {
    "kill", "ID [SIGNAL]", "send a signal (TERM) to a container's first process", flags, 1, 2, false, false, kill_};
