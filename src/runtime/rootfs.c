/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"

static int open_how(int root, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve};
	int fd, tries = 0;
	/* -EAGAIN: a rename or mount elsewhere raced with a ".."; the kernel asks to try again. */
	do
		fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < 128);
	return fd < 0 ? -errno : fd;
}

int root_open(int root, const char *path, int flags)
{
	return open_how(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int root_open_nosymlinks(int root, const char *path, int flags)
{
	return open_how(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
}

int root_open_on_mount(int root, const char *path, int flags)
{
	return open_how(root, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

static int mkdir_p(int root, const char *path, mode_t mode, int depth);

/* name below parent (reached as path[0..parent_len]) exists but leads nowhere: what it points to, if it is a symlink.
 */
static int link_target(int parent, const char *path, size_t parent_len, const char *name, int depth,
		       char full[2 * PATH_MAX + 2])
{
	char link[PATH_MAX];
	ssize_t n = readlinkat(parent, name, link, sizeof(link) - 1);
	if (n < 0)
		return -ENOTDIR;
	if (depth == ROOT_SYMLINKS_MAX)
		return -ELOOP;
	link[n] = 0;
	int need = link[0] == '/' ? snprintf(full, 2 * PATH_MAX + 2, "%s", link)
				  : snprintf(full, 2 * PATH_MAX + 2, "%.*s/%s", (int)parent_len, path, link);
	return need < 2 * PATH_MAX + 2 ? 0 : -ENAMETOOLONG;
}

static int make_link_target(int root, int parent, const char *path, size_t parent_len, const char *name, mode_t mode,
			    int depth)
{
	char full[2 * PATH_MAX + 2];
	int r = link_target(parent, path, parent_len, name, depth, full);
	if (r < 0)
		return r;
	int fd = mkdir_p(root, full, mode, depth + 1);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

/* The usual case, that only the last step is missing. -ENOENT: it is another one. */
static int mkdir_last(int root, const char *path, mode_t mode)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t len = slash ? (size_t)(slash - path) : 0;
	if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || len >= sizeof(parent))
		return -ENOENT;
	memcpy(parent, path, len);
	parent[len] = 0;
	_cleanup_close_ int at = root_open(root, parent, O_PATH | O_DIRECTORY);
	if (at < 0 || mkdirat(at, name, mode) < 0)
		return -ENOENT;
	return root_open(root, path, O_PATH | O_DIRECTORY);
}

static int mkdir_p(int root, const char *path, mode_t mode, int depth)
{
	char prefix[2 * PATH_MAX + 2];
	size_t len = strlen(path);
	if (len >= sizeof(prefix))
		return -ENAMETOOLONG;
	int whole = root_open(root, path, O_PATH | O_DIRECTORY);
	if (whole == -ENOENT)
		whole = mkdir_last(root, path, mode);
	if (whole != -ENOENT)
		return whole;
	_cleanup_close_ int at = open_how(root, ".", O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
	if (at < 0)
		return at;
	for (size_t i = 0; i < len;) {
		size_t n = strcspn(path + i, "/");
		if (!n || (n == 1 && path[i] == '.')) {
			i += n + 1;
			continue;
		}
		char name[NAME_MAX + 1];
		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path + i, n);
		name[n] = 0;
		memcpy(prefix, path, i + n);
		prefix[i + n] = 0;
		int next = root_open(root, prefix, O_PATH | O_DIRECTORY);
		if (next == -ENOENT) {
			int r = 0;
			if (mkdirat(at, name, mode) < 0)
				r = errno == EEXIST ? make_link_target(root, at, path, i, name, mode, depth) : -errno;
			if (r < 0)
				return r;
			next = root_open(root, prefix, O_PATH | O_DIRECTORY);
		}
		if (next < 0)
			return next;
		close(at);
		at = next;
		i += n + 1;
	}
	return TAKE_FD(at);
}

int root_mkdir_p(int root, const char *path, mode_t mode)
{
	return mkdir_p(root, path, mode, 0);
}

static int create_file(int root, const char *path, int depth)
{
	int fd = root_open(root, path, O_PATH);
	if (fd != -ENOENT)
		return fd;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	if (!*name || !strcmp(name, "..") || !strcmp(name, "."))
		return -EINVAL;
	char *parent = xstrndup(path, slash ? (size_t)(slash - path) : 0);
	_cleanup_close_ int dir = root_mkdir_p(root, parent, 0755);
	free(parent);
	if (dir < 0)
		return dir;
	_cleanup_close_ int made = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (made < 0 && errno == EEXIST) { /* a symlink that leads nowhere: /etc/resolv.conf */
		char target[2 * PATH_MAX + 2];
		int r = link_target(dir, path, slash ? (size_t)(slash - path) : 0, name, depth, target);
		return r < 0 ? r : create_file(root, target, depth + 1);
	}
	if (made < 0)
		return -errno;
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int root_create_file(int root, const char *path)
{
	return create_file(root, path, 0);
}

int root_read_file(int root, const char *path, size_t max, char **ret)
{
	struct stat st;
	/* Looked at before it is opened: opening a device may already do something. */
	_cleanup_close_ int look = root_open(root, path, O_PATH);
	if (look == -ENOENT || look == -ENOTDIR || look == -ELOOP) {
		*ret = xstrdup("");
		return 0;
	}
	if (look < 0)
		return look;
	if (fstat(look, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	_cleanup_close_ int fd = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	char *text = xmalloc((size_t)st.st_size + 1);
	size_t len = 0;
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = 0;
	*ret = text;
	return 0;
}

int mount_clone(int dir, const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
	int fd = (int)syscall(SYS_open_tree, dir, path, flags);
	return fd < 0 ? -errno : fd;
}

static int configure(int fs, const char *options)
{
	_cleanup_free_ char *text = xstrdup(options);
	for (char *save = NULL, *o = strtok_r(text, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(o, '=');
		if (eq)
			*eq++ = 0;
		if (syscall(SYS_fsconfig, fs, eq ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, o, eq, 0) < 0)
			return -errno;
	}
	return 0;
}

int mount_new_from(const char *fs, const char *source, const char *options, uint64_t attrs)
{
	_cleanup_close_ int ctx = (int)syscall(SYS_fsopen, fs, FSOPEN_CLOEXEC);
	if (ctx < 0)
		return -errno;
	(void)syscall(SYS_fsconfig, ctx, FSCONFIG_SET_STRING, "source", source, 0); /* what /proc/mounts shows */
	int r = options ? configure(ctx, options) : 0;
	if (r < 0)
		return r;
	if (syscall(SYS_fsconfig, ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	int fd = (int)syscall(SYS_fsmount, ctx, FSMOUNT_CLOEXEC, (unsigned)attrs);
	return fd < 0 ? -errno : fd;
}

int mount_new(const char *fs, const char *options, uint64_t attrs)
{
	return mount_new_from(fs, fs, options, attrs);
}

int mount_attach(int mount, int target)
{
	return syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		   ? -errno
		   : 0;
}

int mount_attach_in(int mount, int dir, const char *name)
{
	return syscall(SYS_move_mount, mount, "", dir, name, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

int mount_attr(int mount, uint64_t set, uint64_t propagation, bool recursive)
{
	struct mount_attr a = {.attr_set = set, .propagation = propagation};
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
	return syscall(SYS_mount_setattr, mount, "", flags, &a, sizeof(a)) < 0 ? -errno : 0;
}
