/* SPDX-License-Identifier: Apache-2.0 */
/* Writes listed files into an image's root. What is there and is no directory is replaced, never written through. */
#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/mode.h"
#include "build/sources.h"
#include "image/layer.h"
#include "image/stream.h"
#include "runtime/rootfs.h"

struct copier {
	const struct source_target *to;
	int from;
	char *err;
	size_t err_len;
};

static int fail(struct copier *c, int r, const char *path)
{
	snprintf(c->err, c->err_len, "%s: %s", path, strerror(-r));
	return r;
}

/* ---- where to ---- */

/* Makes dir and what is missing above it; what is made belongs to the target's owner. A descriptor, or negative errno.
 */
static int make_dirs(struct copier *c, const char *dir)
{
	_cleanup_free_ char *path = xstrdup(dir);
	size_t len = strlen(path), missing = SIZE_MAX;
	for (size_t i = 1; i <= len; i++) {
		if (path[i] && path[i] != '/')
			continue;
		char was = path[i];
		path[i] = 0;
		int fd = root_open(c->to->root, path, O_PATH);
		path[i] = was;
		if (fd >= 0) {
			close(fd);
			continue;
		}
		missing = i;
		break;
	}
	int fd = root_mkdir_p(c->to->root, path, 0755);
	if (fd < 0 || missing == SIZE_MAX || (!c->to->uid && !c->to->gid))
		return fd;
	for (size_t i = missing; i <= len; i++) {
		if (path[i] && path[i] != '/')
			continue;
		char was = path[i];
		path[i] = 0;
		_cleanup_close_ int made = root_open(c->to->root, path, O_PATH | O_DIRECTORY);
		if (made >= 0 && fchownat(made, "", c->to->uid, c->to->gid, AT_EMPTY_PATH) < 0)
			made = -errno;
		path[i] = was;
	}
	return fd;
}

/* ---- one entry ---- */

static mode_t mode_of(const struct copier *c, const struct stat *st)
{
	mode_t mode = st->st_mode & 07777;
	if (c->to->chmod)
		(void)mode_apply(c->to->chmod, mode, S_ISDIR(st->st_mode), &mode); /* it was looked at before */
	return mode;
}

static int set_owner(const struct copier *c, int dir, const char *name, const struct stat *st)
{
	uid_t uid = c->to->keep_owner ? st->st_uid : c->to->uid;
	gid_t gid = c->to->keep_owner ? st->st_gid : c->to->gid;
	return fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_content(int from, int to)
{
	char *chunk = NULL;
	int r = 0;
	for (;;) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, 1u << 30, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return 0;
		if (n < 0)
			break;
	}
	/* Between file systems of different kinds it may not be possible. */
	chunk = xmalloc(1 << 16);
	for (;;) {
		ssize_t n = read(from, chunk, 1 << 16);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			r = n < 0 ? -errno : 0;
		else
			r = fs_write_all(to, chunk, (size_t)n);
		if (n <= 0 || r < 0)
			break;
	}
	free(chunk);
	return r;
}

static int replace(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	return -errno; /* a directory: -EISDIR */
}

/* Capabilities of programs; only from images, a context has no say in them. */
static void copy_xattrs(int from, int to)
{
	char names[4096], value[4096];
	ssize_t len = flistxattr(from, names, sizeof(names));
	for (ssize_t i = 0; i < len; i += (ssize_t)strlen(names + i) + 1) {
		if (str_has_prefix(names + i, "trusted.") || str_has_prefix(names + i, "system."))
			continue;
		ssize_t n = fgetxattr(from, names + i, value, sizeof(value));
		if (n >= 0)
			(void)fsetxattr(to, names + i, value, (size_t)n, 0);
	}
}

static int copy_file(struct copier *c, const struct source_entry *e, int dir, const char *name)
{
	_cleanup_close_ int in = root_open(c->from, e->path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	if (in < 0)
		return in;
	int r = replace(dir, name);
	if (r < 0)
		return r;
	_cleanup_close_ int out = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	if ((r = copy_content(in, out)) < 0 || (r = set_owner(c, dir, name, &e->st)) < 0)
		return r;
	if (c->to->keep_owner)
		copy_xattrs(in, out);
	struct timespec times[2] = {e->st.st_mtim, e->st.st_mtim};
	return fchmod(out, mode_of(c, &e->st)) < 0 || futimens(out, times) < 0 ? -errno : 0;
}

static int copy_link(struct copier *c, const struct source_entry *e, int dir, const char *name)
{
	char to[4096];
	_cleanup_close_ int in = root_open(c->from, e->path, O_PATH | O_NOFOLLOW);
	ssize_t n = in < 0 ? -1 : readlinkat(in, "", to, sizeof(to) - 1);
	if (n < 0)
		return in < 0 ? in : -errno;
	to[n] = 0;
	int r = replace(dir, name);
	if (r < 0)
		return r;
	if (symlinkat(to, dir, name) < 0)
		return -errno;
	struct timespec times[2] = {e->st.st_mtim, e->st.st_mtim};
	(void)utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
	return set_owner(c, dir, name, &e->st);
}

static int copy_dir(struct copier *c, const struct source_entry *e, int dir, const char *name)
{
	struct stat st;
	if (mkdirat(dir, name, 0700) < 0) {
		/* One that is there keeps its mode and owner; a link to one is as good. */
		bool is_dir = errno == EEXIST && fstatat(dir, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
		return is_dir ? 0 : errno == EEXIST ? -ENOTDIR : -errno;
	}
	int r = set_owner(c, dir, name, &e->st);
	return r < 0 ? r : fchmodat(dir, name, mode_of(c, &e->st), 0) < 0 ? -errno : 0;
}

static int copy_special(struct copier *c, const struct source_entry *e, int dir, const char *name)
{
	int r;
	if (!S_ISFIFO(e->st.st_mode) && !c->to->keep_owner)
		return -EPERM; /* a device in a context */
	if ((r = replace(dir, name)) < 0)
		return r;
	if (mknodat(dir, name, e->st.st_mode, e->st.st_rdev) < 0 || fchmodat(dir, name, mode_of(c, &e->st), 0) < 0)
		return -errno;
	return set_owner(c, dir, name, &e->st);
}

static int copy_entry(struct copier *c, const struct source_entry *e, const char *target)
{
	const char *slash = strrchr(target, '/');
	_cleanup_free_ char *parent = xstrndup(target, (size_t)(slash - target));
	_cleanup_close_ int dir = make_dirs(c, *parent ? parent : "/");
	const char *name = slash + 1;
	if (dir < 0)
		return dir;
	switch (e->st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(c, e, dir, name);
	case S_IFLNK:
		return copy_link(c, e, dir, name);
	case S_IFDIR:
		return copy_dir(c, e, dir, name);
	default:
		return copy_special(c, e, dir, name);
	}
}

/* ---- archives ---- */

static const struct {
	const char *magic;
	size_t at, len;
	const char *program; /* that decompresses it; NULL: image/stream.c does */
} archives[] = {
    {"\x1f\x8b", 0, 2, NULL},
    {"\x28\xb5\x2f\xfd", 0, 4, NULL},
    {"ustar", 257, 5, NULL},
    {"BZh", 0, 3, "bzip2"},
    {"\xfd"
     "7zXZ",
     0, 5, "xz"},
};

static int archive_kind(int fd)
{
	char head[512];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	for (size_t i = 0; i < ARRAY_SIZE(archives); i++)
		if (n >= (ssize_t)(archives[i].at + archives[i].len) &&
		    memcmp(head + archives[i].at, archives[i].magic, archives[i].len) == 0)
			return (int)i;
	return -1;
}

/* The program's output, read from fd; *ret_pid is to be waited for. */
static int decompress(const char *program, int fd, pid_t *ret_pid)
{
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*ret_pid = fork();
	if (*ret_pid == 0) {
		if (dup2(fd, 0) < 0 || dup2(p[1], 1) < 0)
			_exit(127);
		execlp(program, program, "-dc", (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	if (*ret_pid > 0)
		return p[0];
	close(p[0]);
	return -errno;
}

/* 1: unpacked; 0: it is compressed, but no archive; negative errno. */
static int unpack_from(struct copier *c, int fd, int dir)
{
	struct image_source src = image_source_fd(&fd);
	struct image_stream *stream;
	uint64_t bytes;
	int r = image_stream_new(&src, &stream, c->err, c->err_len);
	if (r < 0)
		return r;
	r = image_layer_unpack(stream, dir, &bytes, c->err, c->err_len);
	image_stream_free(stream);
	return r < 0 ? r : 1;
}

/* Only its first header is read: is it a tar? */
static bool is_tar(int fd)
{
	char why[64];
	struct image_source src = image_source_fd(&fd);
	struct image_stream *stream;
	struct archive_entry *e;
	if (image_stream_new(&src, &stream, why, sizeof(why)) < 0)
		return false;
	struct archive *tar = image_stream_tar(stream);
	bool yes = image_stream_next(stream, tar, &e) == ARCHIVE_OK;
	archive_read_free(tar);
	image_stream_free(stream);
	lseek(fd, 0, SEEK_SET);
	return yes;
}

static int unpack(struct copier *c, const struct source_entry *e)
{
	_cleanup_close_ int fd = root_open(c->from, e->path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return fd;
	int kind = archive_kind(fd), r;
	if (kind < 0)
		return 0;
	const char *program = archives[kind].program;
	if (!program && !is_tar(fd))
		return 0;
	_cleanup_close_ int dir = make_dirs(c, c->to->dest);
	_cleanup_close_ int below = dir < 0 ? -1 : root_open(c->to->root, c->to->dest, O_RDONLY | O_DIRECTORY);
	if (below < 0)
		return dir < 0 ? dir : below;
	if (!program)
		return unpack_from(c, fd, below);
	pid_t pid = -1;
	int status;
	_cleanup_close_ int plain = decompress(program, fd, &pid);
	if (plain < 0)
		return plain;
	r = unpack_from(c, plain, below);
	close(TAKE_FD(plain));
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		snprintf(c->err, c->err_len, "%s: unpacking it needs the program %s", e->path, program);
		return -ENOPKG;
	}
	return r;
}

/* ---- all ---- */

/* Where a single file goes: dest itself, or into the directory that dest is. */
static bool into_directory(const struct sources *t, const struct source_target *to)
{
	if (to->dest_is_dir || t->n_dirs || t->n_files > 1)
		return true;
	_cleanup_close_ int there = root_open(to->root, to->dest, O_PATH | O_DIRECTORY);
	return there >= 0;
}

static char *target_path(const struct source_target *to, bool into, const char *name)
{
	bool slash = str_has_suffix(to->dest, "/");
	return into ? xasprintf("%s%s%s", to->dest, slash ? "" : "/", name) : xstrdup(to->dest);
}

int sources_copy(const struct sources *t, int root, const struct source_target *to, char *err, size_t err_len)
{
	struct copier c = {.to = to, .from = root, .err = err, .err_len = err_len};
	bool into = into_directory(t, to);
	int r = 0;
	if (t->n_dirs) {
		int dir = make_dirs(&c, to->dest);
		if (dir < 0)
			return fail(&c, dir, to->dest);
		close(dir);
	}
	*err = 0;
	for (size_t i = 0; r == 0 && i < t->entries.n; i++) {
		const struct source_entry *e = &t->entries.at[i];
		if (to->unpack && e->alone && S_ISREG(e->st.st_mode)) {
			r = unpack(&c, e);
			if (r == 1) {
				r = 0;
				continue;
			}
		}
		_cleanup_free_ char *target = target_path(to, into, e->to);
		if (r == 0)
			r = copy_entry(&c, e, target);
		if (r < 0 && !*err)
			fail(&c, r, e->path);
	}
	return r;
}

int sources_write_file(const struct source_target *to, const char *name, const void *p, size_t len, char *err,
		       size_t err_len)
{
	struct copier c = {.to = to, .from = -1, .err = err, .err_len = err_len};
	struct sources none = {.n_files = 1};
	struct stat st = {.st_mode = S_IFREG | 0644};
	_cleanup_free_ char *target = target_path(to, into_directory(&none, to), name);
	char *slash = strrchr(target, '/');
	_cleanup_free_ char *parent = xstrndup(target, (size_t)(slash - target));
	_cleanup_close_ int dir = make_dirs(&c, *parent ? parent : "/");
	if (dir < 0)
		return fail(&c, dir, parent);
	int r = replace(dir, slash + 1);
	if (r < 0)
		return fail(&c, r, target);
	_cleanup_close_ int out = openat(dir, slash + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return fail(&c, -errno, target);
	if ((r = fs_write_all(out, p, len)) < 0 || (r = set_owner(&c, dir, slash + 1, &st)) < 0)
		return fail(&c, r, target);
	return fchmod(out, mode_of(&c, &st)) < 0 ? fail(&c, -errno, target) : 0;
}
