/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/ready.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "cmd/command.h"

int ready_fd_of(const struct args *a)
{
	int64_t fd;

	if (!args_value(a, "ready-fd") || parse_int_range(args_value(a, "ready-fd"), 3, 1 << 20, &fd) < 0 ||
	    fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	return (int)fd;
}

void ready_tell(int *fd, const char *line)
{
	if (*fd < 0)
		return;
	fs_write_all(*fd, line, strlen(line));
	fs_write_all(*fd, "\n", 1);
	close(*fd);
	*fd = -1;
}
