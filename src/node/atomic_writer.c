/* SPDX-License-Identifier: Apache-2.0 */
#include "node/atomic_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

#define DATA_LINK "..data"
#define DATA_LINK_NEW "..data_tmp"
#define FILE_BYTES_MAX (4u << 20) /* an API object is at most 1.5 MiB; base64 and margins */

void payload_add(struct payload *p, const char *path, const void *data, size_t len, mode_t mode)
{
	struct payload_file f = {.path = path, .data = data, .len = len, .mode = mode, .uid = -1};

	VEC_EACH(old, &p->files) {
		if (str_eq(old->path, path)) {
			*old = f;
			return;
		}
	}
	VEC_PUSH(&p->files, f);
}

bool payload_path_valid(const char *path)
{
	if (str_empty(path) || path[0] == '/' || str_has_prefix(path, "..") || strlen(path) >= PATH_MAX)
		return false;
	for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 2 && p[0] == '.' && p[1] == '.') || n > NAME_MAX)
			return false;
	}
	return true;
}

/* The file is there with this content, mode and owner. */
static bool same_file(const char *dir, const struct payload_file *f, int64_t gid)
{
	_cleanup_buf_ struct buf now = BUF_INIT;
	_cleanup_free_ char *path = xasprintf("%s/" DATA_LINK "/%s", dir, f->path);
	struct stat st;

	if (stat(path, &st) < 0 || (st.st_mode & 07777) != f->mode || st.st_size != (off_t)f->len)
		return false;
	if ((gid >= 0 && st.st_gid != (gid_t)gid) || (f->uid >= 0 && st.st_uid != (uid_t)f->uid))
		return false;
	return fs_read(path, FILE_BYTES_MAX, &now) == 0 && now.len == f->len &&
	       (f->len == 0 || memcmp(now.data, f->data, f->len) == 0);
}

static size_t count_files(const char *dir, int depth)
{
	DIR *d = depth > 64 ? NULL : opendir(dir); /* paths are limited by PATH_MAX; far deeper is not ours */
	size_t n = 0;

	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (e->d_type == DT_DIR) {
			_cleanup_free_ char *sub = xasprintf("%s/%s", dir, e->d_name);

			n += count_files(sub, depth + 1);
		} else {
			n++;
		}
	}
	closedir(d);
	return n;
}

static bool unchanged(const char *dir, const struct payload *p, int64_t gid)
{
	_cleanup_free_ char *data = xasprintf("%s/" DATA_LINK, dir);

	if (access(data, F_OK) < 0 || count_files(data, 0) != p->files.n)
		return false;
	for (size_t i = 0; i < p->files.n; i++)
		if (!same_file(dir, &p->files.at[i], gid))
			return false;
	return true;
}

static int write_file(const char *version, const struct payload_file *f, int64_t gid)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", version, f->path);
	_cleanup_close_ int fd = -1;
	char *slash = strrchr(path, '/');
	int r;

	*slash = 0;
	r = fs_mkdir_p(path, 0755);
	*slash = '/';
	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fs_write_all(fd, f->data, f->len);
	if (r < 0)
		return r;
	if ((gid >= 0 || f->uid >= 0) &&
	    fchown(fd, f->uid >= 0 ? (uid_t)f->uid : (uid_t)-1, gid >= 0 ? (gid_t)gid : (gid_t)-1) < 0)
		return -errno;
	return fchmod(fd, f->mode) < 0 ? -errno : 0;
}

static void version_name(char *out, size_t len)
{
	int64_t now = now_ns();
	time_t s = now / 1000000000;
	struct tm tm;
	char day[32];

	gmtime_r(&s, &tm);
	strftime(day, sizeof(day), "%Y_%m_%d_%H_%M_%S", &tm);
	snprintf(out, len, "..%s.%09d", day, (int)(now % 1000000000));
}

/* DIR/first -> ..data/first, unless it is there. */
static int link_first(const char *dir, const char *path)
{
	int n = (int)strcspn(path, "/");
	_cleanup_free_ char *link = xasprintf("%s/%.*s", dir, n, path);
	_cleanup_free_ char *target = xasprintf(DATA_LINK "/%.*s", n, path);

	return symlink(target, link) < 0 && errno != EEXIST ? -errno : 0;
}

static bool has_first(const struct payload *p, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < p->files.n; i++) {
		const char *path = p->files.at[i].path;
		if (strncmp(path, name, n) == 0 && (path[n] == 0 || path[n] == '/'))
			return true;
	}
	return false;
}

/* Removes links that nothing stands behind any more, and versions other than the current one. */
static void clean(const char *dir, const struct payload *p, const char *version)
{
	DIR *d = opendir(dir);

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, e->d_name);

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") || str_eq(e->d_name, DATA_LINK) ||
		    str_eq(e->d_name, version))
			continue;
		if (str_has_prefix(e->d_name, ".."))
			fs_remove_tree(path);
		else if (e->d_type == DT_LNK && !has_first(p, e->d_name))
			unlink(path);
	}
	closedir(d);
}

static int write_version(const char *dir, const char *name, const struct payload *p, int64_t gid)
{
	_cleanup_free_ char *version = xasprintf("%s/%s", dir, name);
	_cleanup_free_ char *tmp = xasprintf("%s/" DATA_LINK_NEW, dir);
	_cleanup_free_ char *data = xasprintf("%s/" DATA_LINK, dir);
	int r = mkdir(version, 0755) < 0 ? -errno : 0;

	for (size_t i = 0; i < p->files.n && r == 0; i++)
		r = write_file(version, &p->files.at[i], gid);
	if (r == 0 && chmod(version, 0755) < 0)
		r = -errno;
	unlink(tmp);
	if (r == 0 && symlink(name, tmp) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, data) < 0)
		r = -errno;
	for (size_t i = 0; i < p->files.n && r == 0; i++)
		r = link_first(dir, p->files.at[i].path);
	if (r < 0)
		fs_remove_tree(version);
	return r;
}

int atomic_write_payload(const char *dir, const struct payload *p, int64_t gid, bool *ret_changed, struct status *err)
{
	char name[64];
	int r;

	for (size_t i = 0; i < p->files.n; i++) {
		const char *path = p->files.at[i].path;
		if (!payload_path_valid(path)) {
			status_set(err, 400, "invalid path in a volume: %s", path);
			return -EINVAL;
		}
	}
	if (unchanged(dir, p, gid)) {
		if (ret_changed)
			*ret_changed = false;
		return 0;
	}
	version_name(name, sizeof(name));
	r = write_version(dir, name, p, gid);
	if (r < 0) {
		status_set(err, 500, "cannot write the files of %s: %s", dir, strerror(-r));
		return r;
	}
	clean(dir, p, name);
	if (ret_changed)
		*ret_changed = true;
	return 0;
}
