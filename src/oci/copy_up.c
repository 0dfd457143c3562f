/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/copy_up.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"

#define DEPTH_MAX 64 /* deeper trees than people make; recursion stays within the stack */

static int copy_file(int from, int to, const char *name, mode_t mode)
{
	_cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_close_ int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 07777);
	struct stat st;
	if (in < 0 || out < 0 || fstat(in, &st) < 0 || !S_ISREG(st.st_mode))
		return errno ? -errno : -EINVAL;
	for (;;) {
		ssize_t n = sendfile(out, in, NULL, 1 << 20);
		if (n < 0)
			return -errno;
		if (!n)
			return 0;
	}
}

static int copy_link(int from, int to, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	return symlinkat(target, to, name) < 0 ? -errno : 0;
}

static int copy_dir(int from, int to, int depth);

static int copy_entry(int from, int to, const char *name, int depth)
{
	struct stat st;
	int r = 0;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		if (mkdirat(to, name, 0700) < 0)
			return -errno;
		_cleanup_close_ int in = openat(from, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		_cleanup_close_ int out = openat(to, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = in < 0 || out < 0 ? -errno : copy_dir(in, out, depth + 1);
	} else if (S_ISLNK(st.st_mode)) {
		r = copy_link(from, to, name);
	} else if (S_ISREG(st.st_mode)) {
		r = copy_file(from, to, name, st.st_mode);
	} else if (mknodat(to, name, st.st_mode, st.st_rdev) < 0) {
		r = -errno;
	}
	if (r < 0)
		return r;
	if (fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st.st_mode) && fchmodat(to, name, st.st_mode & 07777, 0) < 0)
		return -errno;
	const struct timespec times[2] = {st.st_atim, st.st_mtim};
	return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_dir(int from, int to, int depth)
{
	if (depth > DEPTH_MAX)
		return -ELOOP;
	int list = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = list < 0 ? NULL : fdopendir(list);
	if (!d)
		return -errno;
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = copy_entry(from, to, e->d_name, depth);
	closedir(d);
	return r;
}

int copy_up(int from, int to)
{
	struct stat st;
	if (fstat(from, &st) < 0)
		return -errno;
	int r = copy_dir(from, to, 0);
	if (r < 0)
		return r;
	return fchownat(to, ".", st.st_uid, st.st_gid, 0) < 0 || fchmodat(to, ".", st.st_mode & 07777, 0) < 0 ? -errno
													      : 0;
}
