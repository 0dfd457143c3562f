/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/container.h"
#include "oci/error.h"

static struct {
	bool all;
} given;

static const struct flag flags[] = {{"all", 'a', FLAG_BOOL, &given.all, "every process in the container's cgroup"},
				    {0}};

static bool own_pid_namespace(const struct json *config)
{
	JSON_EACH(n, json_path(config, "linux.namespaces"))
		if (str_eq(json_path_str(n, "type"), "pid"))
			return str_empty(json_path_str(n, "path"));
	return false;
}

static int kill_(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int signal = argc > 1 ? signal_number(argv[1]) : SIGTERM;
	if (signal < 0)
		return oci_fail(0, "unknown signal \"%s\"", argv[1]);
	int r = container_load(&c, argv[0], false);
	if (r < 0)
		return r;
	/* Whose first process isn't the init of a pid namespace leaves others behind, which its end doesn't end. */
	if (signal == SIGKILL && !given.all) {
		r = container_load_config(&c);
		given.all = r == 0 && !own_pid_namespace(c.config) && group_usable(&c.group);
	}
	if (given.all)
		/* Also those that outlived the first one. */
		return group_kill(&c.group, signal);
	_cleanup_close_ int fd = container_pidfd(&c);
	if (fd < 0)
		return oci_fail(0, "container not running");
	if (syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) < 0)
		return errno == ESRCH ? oci_fail(0, "container not running")
				      : oci_fail(-errno, "signalling container %s", c.id);
	if (signal == SIGKILL)
		group_let_end(&c.group);
	return 0;
}

const struct command command_kill = {
    "kill", "ID [SIGNAL]", "send a signal (TERM) to a container's first process", flags, 1, 2, false, false, kill_};
