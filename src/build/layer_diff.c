/* SPDX-License-Identifier: Apache-2.0 */
#include "build/layer_diff.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/image.h"

struct differ {
	struct archive *tar;
	int64_t epoch;
	struct map links; /* "dev:inode" of files with several names → the first of these */
	size_t n;
	char *err;
	size_t err_len;
};

static int fail(struct differ *d, int r, const char *path, const char *what)
{
	snprintf(d->err, d->err_len, "%s: %s", path, what ? what : strerror(-r));
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct archive_entry *entry_new(struct differ *d, const char *path, const struct stat *st)
{
	struct archive_entry *e = archive_entry_new();
	int64_t mtime = st->st_mtim.tv_sec;
	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, st->st_mode & S_IFMT);
	archive_entry_set_perm(e, st->st_mode & 07777);
	archive_entry_set_uid(e, st->st_uid);
	archive_entry_set_gid(e, st->st_gid);
	archive_entry_set_size(e, S_ISREG(st->st_mode) ? st->st_size : 0);
	archive_entry_set_rdev(e, st->st_rdev);
	archive_entry_set_mtime(e, d->epoch != LAYER_NO_EPOCH && mtime > d->epoch ? d->epoch : mtime, 0);
	return e;
}

static int put(struct differ *d, struct archive_entry *e, const char *path)
{
	int r = archive_write_header(d->tar, e);
	d->n++;
	return r < ARCHIVE_WARN ? fail(d, -EIO, path, archive_error_string(d->tar)) : 0;
}

static int put_marker(struct differ *d, const char *dir, const char *prefix, const char *name, const struct stat *like)
{
	_cleanup_free_ char *path = xasprintf("%s%s%s%s", dir, *dir ? "/" : "", prefix, name);
	struct stat st = *like;
	st.st_mode = S_IFREG | 0600;
	st.st_size = 0;
	st.st_rdev = 0;
	struct archive_entry *e = entry_new(d, path, &st);
	int r = put(d, e, path);
	archive_entry_free(e);
	return r;
}

static int add_xattrs(struct differ *d, struct archive_entry *e, int fd, const char *path)
{
	char names[8192], value[65536];
	/* Of links and devices there is no descriptor to read from; they carry none that matter. */
	ssize_t len = fd < 0 ? 0 : flistxattr(fd, names, sizeof(names));
	for (ssize_t i = 0; i < len; i += (ssize_t)strlen(names + i) + 1) {
		const char *name = names + i;
		if (str_eq(name, "trusted.overlay.redirect") || str_eq(name, "trusted.overlay.metacopy"))
			return fail(d, -ENOTSUP, path, "overlayfs renamed a directory without copying it");
		if (str_has_prefix(name, "trusted.overlay.") || str_has_prefix(name, "security.selinux"))
			continue;
		ssize_t n = fgetxattr(fd, name, value, sizeof(value));
		if (n >= 0)
			archive_entry_xattr_add_entry(e, name, value, (size_t)n);
	}
	return 0;
}

static bool is_opaque(int fd)
{
	char v = 0;
	return fgetxattr(fd, "trusted.overlay.opaque", &v, 1) == 1 && v == 'y';
}

static int put_content(struct differ *d, int fd, const char *path, int64_t size)
{
	char chunk[64 * 1024];
	while (size > 0) {
		ssize_t n = read(fd, chunk, (size_t)MIN_OF((int64_t)sizeof(chunk), size));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(d, n < 0 ? -errno : -EIO, path, NULL);
		if (archive_write_data(d->tar, chunk, (size_t)n) != n)
			return fail(d, -EIO, path, archive_error_string(d->tar));
		size -= n;
	}
	return 0;
}

static int walk(struct differ *d, int dir, const char *path, int depth);

static int put_regular(struct differ *d, int fd, const char *path, const struct stat *st)
{
	struct archive_entry *e = entry_new(d, path, st);
	char key[64];
	int r;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	char *first = st->st_nlink > 1 ? map_get(&d->links, key) : NULL;
	if (first) {
		archive_entry_set_hardlink(e, first);
		archive_entry_set_size(e, 0);
		r = put(d, e, path);
	} else {
		if (st->st_nlink > 1)
			map_set(&d->links, key, xstrdup(path));
		if ((r = add_xattrs(d, e, fd, path)) == 0 && (r = put(d, e, path)) == 0)
			r = put_content(d, fd, path, st->st_size);
	}
	archive_entry_free(e);
	return r;
}

static int put_dir(struct differ *d, int fd, const char *path, const struct stat *st, int depth)
{
	struct archive_entry *e = entry_new(d, path, st);
	int r = add_xattrs(d, e, fd, path);
	if (r == 0)
		r = put(d, e, path);
	archive_entry_free(e);
	if (r == 0 && is_opaque(fd))
		r = put_marker(d, path, ".wh..wh..opq", "", st);
	return r < 0 ? r : walk(d, fd, path, depth + 1);
}

static int put_other(struct differ *d, int dir, const char *name, const char *path, const struct stat *st)
{
	char target[4096];
	struct archive_entry *e = entry_new(d, path, st);
	int r = 0;
	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);
		if (n < 0)
			r = fail(d, -errno, path, NULL);
		else
			target[n] = 0;
		archive_entry_set_symlink(e, n < 0 ? "" : target);
	}
	if (r == 0)
		r = put(d, e, path);
	archive_entry_free(e);
	return r;
}

static int put_one(struct differ *d, int dir, const char *dir_path, const char *name, int depth)
{
	struct stat st;
	_cleanup_free_ char *path = xasprintf("%s%s%s", dir_path, *dir_path ? "/" : "", name);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(d, -errno, path, NULL);
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return put_marker(d, dir_path, ".wh.", name, &st);
	if (str_has_prefix(name, ".wh."))
		return fail(d, -ENOTSUP, path,
			    "a file of this name cannot be in an image: it means that something was removed");
	if (S_ISSOCK(st.st_mode))
		return 0; /* as every other builder: they mean nothing without their process */
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return put_other(d, dir, name, path, &st);
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fail(d, -errno, path, NULL);
	return S_ISDIR(st.st_mode) ? put_dir(d, fd, path, &st, depth) : put_regular(d, fd, path, &st);
}

static int walk(struct differ *d, int dir, const char *path, int depth)
{
	VEC(char *) names = {0};
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream)
		return fail(d, -errno, path, NULL);
	for (struct dirent *e; (e = readdir(stream));)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			VEC_PUSH(&names, xstrdup(e->d_name));
	closedir(stream);
	if (names.n)
		qsort(names.at, names.n, sizeof(*names.at), by_name);
	if (depth > IMAGE_DEPTH_MAX)
		r = fail(d, -E2BIG, path, "too deep");
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = put_one(d, dir, path, names.at[i], depth);
	VEC_EACH(name, &names)
		free(*name);
	VEC_RELEASE(&names);
	return r;
}

int layer_diff_write(int upper, int out, int64_t epoch, bool *ret_empty, char *err, size_t err_len)
{
	struct differ d = {.tar = archive_write_new(), .epoch = epoch, .err = err, .err_len = err_len};
	archive_write_set_format_pax_restricted(d.tar);
	archive_write_add_filter_gzip(d.tar);
	archive_write_set_filter_option(d.tar, "gzip", "timestamp", NULL);
	archive_write_set_bytes_in_last_block(d.tar, 1);
	int r = archive_write_open_fd(d.tar, out) == ARCHIVE_OK ? walk(&d, upper, "", 0)
								: fail(&d, -EIO, "", archive_error_string(d.tar));
	if (archive_write_close(d.tar) != ARCHIVE_OK && r == 0)
		r = fail(&d, -EIO, "", archive_error_string(d.tar));
	archive_write_free(d.tar);
	map_release(&d.links, free);
	*ret_empty = d.n == 0;
	return r;
}
