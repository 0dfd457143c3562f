/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/str.h"
#include "runtime/rootfs.h"

static bool of_ipc(const char *path)
{
	static const char *const names[] = {"kernel/sem",    "kernel/shmall",	       "kernel/shmmax",
					    "kernel/shmmni", "kernel/shm_rmid_forced", "kernel/msgmax",
					    "kernel/msgmnb", "kernel/msgmni",	       NULL};
	return str_in(path, names) || str_has_prefix(path, "fs/mqueue/");
}

int sysctl_path(const char *name, bool own_net, bool own_ipc, char out[SYSCTL_NAME_MAX + 8])
{
	char path[SYSCTL_NAME_MAX + 1];
	size_t n = name ? strlen(name) : 0;
	if (!n || n > SYSCTL_NAME_MAX)
		return -EINVAL;
	/* Whichever comes first separates; the other one stands for a dot in a name (eth0.1), as sysctl(8) has it. */
	size_t first = strcspn(name, "./");
	char separator = name[first];
	for (size_t i = 0; i <= n; i++) {
		char c = name[i];
		if (c == '.' || c == '/')
			c = c == separator ? '/' : '.';
		else if (c && !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", c))
			return -EINVAL;
		path[i] = c;
	}
	if (path[0] == '/' || path[n - 1] == '/' || strstr(path, "//") || strstr(path, ".."))
		return -EINVAL;
	if (!(own_net && str_has_prefix(path, "net/")) && !(own_ipc && of_ipc(path)))
		return -EPERM;
	snprintf(out, SYSCTL_NAME_MAX + 8, "sys/%s", path);
	return 0;
}

static int put(int proc, const char *path, const char *value)
{
	if (!value || strlen(value) > 4096 || strpbrk(value, "\n"))
		return -EINVAL;
	_cleanup_close_ int fd = root_open_on_mount(proc, path, O_WRONLY);
	if (fd < 0)
		return fd;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int sysctl_set_uts(int proc, const char *value)
{
	return put(proc, "sys/kernel/domainname", value);
}

int sysctl_set(int proc, const char *name, const char *value, bool own_net, bool own_ipc)
{
	char path[SYSCTL_NAME_MAX + 8];
	int r = sysctl_path(name, own_net, own_ipc, path);
	if (r < 0)
		return r;
	return put(proc, path, value);
}
