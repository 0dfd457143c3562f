/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/pass.h"

#define DIRECTORY "notify"
#define SOCKET_NAME "notify.sock"
#define INSIDE "/run/notify"
#define MESSAGE_MAX 4096      /* what systemd reads of one */
#define BARRIER_WAIT_MS 30000 /* a service manager that is that late won't answer */

static const char *manager(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	return str_empty(path) ? NULL : path;
}

int notify_plan(struct container *c)
{
	struct arena *a = &c->arena;
	if (!manager())
		return 0;
	/* Below a directory that only the owner enters; in the container everybody may. */
	if (mkdirat(c->dir_fd, DIRECTORY, 0755) < 0 || fchmodat(c->dir_fd, DIRECTORY, 0755, 0) < 0)
		return oci_fail(-errno, "making the directory of the notify socket");
	struct json *mount = json_append(json_array_in(a, c->config, "mounts"), json_new(a, JSON_OBJECT)), *options;
	json_set_str(a, mount, "destination", INSIDE);
	json_set_str(a, mount, "source", arena_printf(a, "%s/" DIRECTORY, c->dir));
	options = json_array_in(a, mount, "options");
	static const char *const words[] = {"bind", "nosuid", "noexec", "nodev", "ro"};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		json_append(options, json_new_str(a, words[i]));
	json_append(json_array_in(a, c->process, "env"), json_new_str(a, "NOTIFY_SOCKET=" INSIDE "/" SOCKET_NAME));
	return 0;
}

int notify_listen(const struct container *c, int *ret)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	*ret = -1;
	if (!manager() || faccessat(c->dir_fd, DIRECTORY, F_OK, 0) < 0)
		return 0;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" DIRECTORY "/" SOCKET_NAME, c->dir_fd);
	unlink(a.sun_path);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(a.sun_path, 0777) < 0)
		return oci_fail(-errno, "making the notify socket");
	*ret = TAKE_FD(fd);
	return 0;
}

/* Connected to the service manager's socket: a path, or abstract with a leading @. */
static int connect_manager(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *path = manager();
	size_t len = path ? strlen(path) : 0;
	if (!len || len >= sizeof(a.sun_path) || !strchr("/@", *path))
		return oci_fail(0, "NOTIFY_SOCKET \"%s\" is not a socket's path", str_or(path, ""));
	memcpy(a.sun_path, path, len);
	if (*path == '@')
		a.sun_path[0] = 0;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return oci_fail(-errno, "connecting to NOTIFY_SOCKET %s", path);
	return TAKE_FD(fd);
}

static bool harmless(const char *line)
{
	static const char *const names[] = {
	    "READY=", "STATUS=", "ERRNO=", "STOPPING=", "RELOADING=", "WATCHDOG=", "EXTEND_TIMEOUT_USEC="};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_has_prefix(line, names[i]))
			return true;
	return false;
}

/* Keeps the harmless lines of text, in place. Whether READY=1 is among them. */
static bool keep_harmless(char *text)
{
	char *to = text, *save = NULL;
	bool ready = false;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!harmless(line))
			continue;
		ready |= !strcmp(line, "READY=1");
		size_t n = strlen(line);
		memmove(to, line, n);
		to += n;
		*to++ = '\n';
	}
	*to = 0;
	return ready;
}

int notify_forward(int socket)
{
	char text[MESSAGE_MAX + 2];
	ssize_t n = recv(socket, text, MESSAGE_MAX, MSG_TRUNC | MSG_DONTWAIT);
	if (n <= 0 || n > MESSAGE_MAX)
		return 0;
	text[n] = 0;
	bool ready = keep_harmless(text);
	_cleanup_close_ int to = *text ? connect_manager() : -1;
	if (*text && (to < 0 || send(to, text, strlen(text), MSG_NOSIGNAL) < 0))
		oci_warn("a notification could not be passed on: %s", to < 0 ? oci_error() : strerror(errno));
	return ready;
}

/* Whoever sent a message must be there until the manager has looked at it: it closes what comes with a barrier. */
static int announce_main(pid_t pid)
{
	char text[32];
	int ends[2];
	_cleanup_close_ int to = connect_manager();
	if (to < 0)
		return to;
	snprintf(text, sizeof(text), "MAINPID=%d\n", (int)pid);
	if (send(to, text, strlen(text), MSG_NOSIGNAL) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return oci_fail(-errno, "telling the service manager the main process");
	int r = pass_send(to, "BARRIER=1", ends[1]);
	close(ends[1]);
	struct pollfd p = {.fd = ends[0]};
	if (r == 0)
		(void)poll(&p, 1, BARRIER_WAIT_MS);
	close(ends[0]);
	return r < 0 ? oci_fail(r, "telling the service manager the main process") : 0;
}

int notify_wait_ready(int socket, const struct container *c)
{
	_cleanup_close_ int pidfd = container_pidfd(c);
	struct pollfd p[2] = {{.fd = socket, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
	if (socket < 0 || pidfd < 0)
		return 0;
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return oci_fail(-errno, "waiting for the container to be ready");
		if (p[0].revents & POLLIN && notify_forward(socket))
			return announce_main(c->pid);
		if (p[1].revents && !(p[0].revents & POLLIN))
			return 0;
	}
}
