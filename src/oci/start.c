/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/macros.h"
#include "oci/command.h"
#include "oci/container.h"
#include "oci/delete.h"
#include "oci/error.h"
#include "oci/hooks.h"
#include "oci/maker.h"
#include "oci/notify.h"

static int connect_to(const struct container *c)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char path[64];
	container_socket_path(c, path);
	strcpy(a.sun_path, path);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return oci_fail(-errno, "connecting to the container's process");
	return TAKE_FD(fd);
}

static int start(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	(void)argc;
	int r = container_load(&c, argv[0], true);
	if (r < 0)
		return r;
	enum container_phase phase = container_phase_of(&c);
	if (phase == PHASE_STOPPED)
		return oci_fail(0, "cannot start a container that has stopped");
	if (phase != PHASE_CREATED)
		return oci_fail(0, "cannot start an already running container");
	_cleanup_close_ int sync = connect_to(&c), notify = -1;
	if (sync < 0)
		return sync;
	r = notify_listen(&c, &notify);
	if (r == 0)
		r = maker_start(sync);
	if (r == 0)
		unlinkat(c.dir_fd, "start.sock", 0);
	if (r == 0)
		r = container_load_config(&c);
	if (r == 0)
		r = hooks_run(&c, "poststart", "running");
	if (r < 0 && hooks_any(&c, "poststart")) {
		/* Such a container is stopped (runtime.md, lifecycle), and its maker hears why. */
		char why[OCI_ERROR_MAX];
		snprintf(why, sizeof(why), "%s", oci_error());
		if (delete_killed(&c) < 0)
			oci_warn("%s", oci_error());
		oci_fail(0, "%s", why);
	}
	if (r < 0 || notify < 0)
		return r;
	container_unlock(&c); /* others may ask for it and kill it */
	return notify_wait_ready(notify, &c);
}

const struct command command_start = {"start", "ID", "run the command of a created container", NULL, 1, 1, false,
				      false,   start};
