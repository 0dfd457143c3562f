/* SPDX-License-Identifier: Apache-2.0 */
#include "node/subpath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

static int open_beneath(int root, const char *path, int flags)
{
	struct open_how how = {
	    .flags = (uint64_t)(flags | O_CLOEXEC),
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* Whatever the umask. By descriptor: the name may be something else by now. */
static int make_directory(int parent, const char *name, mode_t mode)
{
	if (mkdirat(parent, name, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	_cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

/* Makes each missing directory of path, every one opened beneath the root again. */
static int make_directories(int root, const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path);
	struct stat volume;

	if (fstat(root, &volume) < 0)
		return -errno;

	for (char *p = copy; *p;) {
		char *slash = strchr(p, '/');
		char *parent_end = p == copy ? NULL : p - 1;
		_cleanup_close_ int parent = -1;

		if (slash)
			*slash = 0;
		if (parent_end)
			*parent_end = 0;
		parent = open_beneath(root, parent_end ? copy : ".", O_PATH | O_DIRECTORY);
		if (parent < 0)
			return parent;
		int r = *p ? make_directory(parent, p, volume.st_mode & 07777) : 0;
		if (r < 0)
			return r;
		if (parent_end)
			*parent_end = '/';
		if (!slash)
			break;
		*slash = '/';
		p = slash + 1;
	}
	return 0;
}

static bool has_dots(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
		if (strcspn(p, "/") == 2 && p[0] == '.' && p[1] == '.')
			return true;
	return false;
}

int subpath_open(const char *volume_path, const char *sub, int *ret_fd, struct status *err)
{
	_cleanup_close_ int root = open(volume_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (root < 0) {
		fd = -errno;
	} else if (sub[0] == '/' || has_dots(sub)) {
		fd = -EINVAL;
	} else {
		fd = open_beneath(root, *sub ? sub : ".", O_PATH);
		if (fd == -ENOENT) {
			fd = make_directories(root, sub);
			if (fd == 0)
				fd = open_beneath(root, sub, O_PATH);
		}
	}
	if (fd < 0) {
		status_set_reason(err, 400, "CreateContainerConfigError",
				  "failed to prepare subPath \"%s\" of the volume: %s", sub, strerror(-fd));
		return fd;
	}
	*ret_fd = fd;
	return 0;
}

int subpath_bind(int fd, const char *target, struct status *err)
{
	_cleanup_free_ char *source = xasprintf("/proc/self/fd/%d", fd);
	_cleanup_free_ char *parent = xstrdup(target);
	struct stat st;
	int r = 0, file;

	*strrchr(parent, '/') = 0;
	while (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		; /* of the incarnation before */
	if (fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0)
		r = fs_mkdir_p(parent, 0750);
	if (r == 0 && S_ISDIR(st.st_mode)) {
		r = fs_mkdir_p(target, 0750);
	} else if (r == 0) {
		file = open(target, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
		r = file < 0 ? -errno : 0;
		if (file >= 0)
			close(file);
	}
	if (r == 0 && mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
		r = -errno;
	if (r < 0)
		status_set_reason(err, 500, "CreateContainerConfigError", "cannot bind a subPath to %s: %s", target,
				  strerror(-r));
	return r;
}
