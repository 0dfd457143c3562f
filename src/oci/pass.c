/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/pass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/macros.h"
#include "oci/error.h"

int pass_connect(const char *what, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char through[64];
	_cleanup_close_ int at = open(path, O_PATH | O_CLOEXEC);
	if (at < 0)
		return oci_fail(-errno, "%s %s", what, path);
	snprintf(through, sizeof(through), "/proc/self/fd/%d", at);
	strcpy(a.sun_path, through);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return oci_fail(-errno, "connecting to %s %s", what, path);
	return TAKE_FD(fd);
}

int pass_send(int socket, const char *text, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr h = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(socket, &h, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int pass_pidfd(const char *path, int pid)
{
	_cleanup_close_ int to = pass_connect("pidfd socket", path);
	if (to < 0)
		return to;
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = fd < 0 ? -errno : pass_send(to, "pidfd", fd);
	return r < 0 ? oci_fail(r, "handing the pidfd over") : 0;
}
