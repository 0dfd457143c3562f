/* SPDX-License-Identifier: Apache-2.0 */
/* A directory as a tar, in order of name. Symlinks and mounts are not followed. */
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

#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/import_internal.h"

struct tarring {
	struct importer *im;
	struct archive *out;
	struct map links; /* "dev:inode" of files with several names -> the first one; in the import's arena */
	dev_t dev;
	unsigned entries;
};

static int tar_failed(struct tarring *t, const char *path, const char *what)
{
	int e = errno ? errno : EIO;
	return IMPORT_FAIL(t->im, -e, "\"%.200s\" cannot be %s: %s", path, what, strerror(e));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_capability(struct archive_entry *e, int dir, const char *name)
{
	char path[64 + 256], value[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	n = lgetxattr(path, "security.capability", value, sizeof(value));
	if (n > 0)
		archive_entry_xattr_add_entry(e, "security.capability", value, (size_t)n);
}

/* true: a name of a file that was written before under another. */
static bool add_link(struct tarring *t, struct archive_entry *e, const struct stat *st, const char *path)
{
	char id[64];

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return false;
	snprintf(id, sizeof(id), "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	const char *first = map_get(&t->links, id);
	if (!first) {
		map_set(&t->links, id, arena_strdup(&t->im->arena, path));
		return false;
	}
	archive_entry_set_hardlink(e, first);
	archive_entry_set_size(e, 0);
	return true;
}

static int add_content(struct tarring *t, int dir, const char *name, const char *path, int64_t size)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *chunk = xmalloc(64 << 10);
	ssize_t n;

	if (fd < 0)
		return tar_failed(t, path, "opened");
	/* A file that changes meanwhile is cut or padded to the size that its header has. */
	while (size > 0 && (n = read(fd, chunk, (size_t)MIN_OF(size, (int64_t)64 << 10))) > 0) {
		if (archive_write_data(t->out, chunk, (size_t)n) < 0)
			return IMPORT_FAIL(t->im, -EIO, "cannot be packed: %s", archive_error_string(t->out));
		size -= n;
	}
	return 0;
}

static int add_directory(struct tarring *t, int dir, const char *path, int depth);

static int add_entry(struct tarring *t, int dir, const char *name, const char *path, int depth)
{
	char target[IMAGE_PATH_MAX];
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return tar_failed(t, path, "read");
	if (S_ISSOCK(st.st_mode))
		return 0;
	if (++t->entries > IMAGE_ENTRIES_MAX)
		return IMPORT_FAIL(t->im, -E2BIG, "has more than %u entries", IMAGE_ENTRIES_MAX);
	struct archive_entry *e = archive_entry_new();
	archive_entry_set_pathname(e, path);
	archive_entry_copy_stat(e, &st);
	archive_entry_unset_atime(e);
	archive_entry_unset_ctime(e);
	archive_entry_set_dev(e, 0);
	archive_entry_set_ino(e, 0);
	archive_entry_set_nlink(e, 1);
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = 0;
		archive_entry_set_symlink(e, target);
	}
	bool link = add_link(t, e, &st, path);
	if (S_ISREG(st.st_mode) && !link)
		add_capability(e, dir, name);
	int r = archive_write_header(t->out, e) < ARCHIVE_WARN
		    ? IMPORT_FAIL(t->im, -EIO, "\"%.200s\" cannot be packed: %s", path, archive_error_string(t->out))
		    : 0;
	archive_entry_free(e);
	if (r == 0 && S_ISREG(st.st_mode) && !link)
		r = add_content(t, dir, name, path, st.st_size);
	if (r < 0 || !S_ISDIR(st.st_mode) || st.st_dev != t->dev) /* a mount point goes in empty */
		return r;
	_cleanup_close_ int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return sub < 0 ? tar_failed(t, path, "opened") : add_directory(t, sub, path, depth + 1);
}

static int add_directory(struct tarring *t, int dir, const char *path, int depth)
{
	VEC(char *) names = {0};
	int r = 0, copy = dup(dir);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d || depth > IMAGE_DEPTH_MAX) {
		if (d)
			closedir(d);
		else if (copy >= 0)
			close(copy);
		return IMPORT_FAIL(t->im, -E2BIG, "\"%.200s\" cannot be read, or is nested deeper than %d", path,
				   IMAGE_DEPTH_MAX);
	}
	for (struct dirent *e; (e = readdir(d));)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			VEC_PUSH(&names, xstrdup(e->d_name));
	closedir(d);
	if (names.n)
		qsort(names.at, names.n, sizeof(char *), by_name);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *below = xasprintf("%s%s%s", path, *path ? "/" : "", names.at[i]);
		if (r == 0)
			r = add_entry(t, dir, names.at[i], below, depth);
		free(names.at[i]);
	}
	VEC_RELEASE(&names);
	return r;
}

int import_tar_of_directory(struct importer *im, const char *path, int fd)
{
	struct tarring t = {.im = im, .out = archive_write_new(), .links = MAP_INIT};
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	archive_write_set_format_pax_restricted(t.out);
	archive_write_set_bytes_in_last_block(t.out, 1);
	if (dir < 0 || fstat(dir, &st) < 0)
		r = tar_failed(&t, path, "opened");
	else if (archive_write_open_fd(t.out, fd) != ARCHIVE_OK)
		r = IMPORT_FAIL(im, -EIO, "cannot be packed: %s", archive_error_string(t.out));
	else {
		t.dev = st.st_dev;
		r = add_directory(&t, dir, "", 0);
	}
	if (archive_write_close(t.out) != ARCHIVE_OK && r == 0)
		r = IMPORT_FAIL(im, -EIO, "cannot be packed: %s", archive_error_string(t.out));
	archive_write_free(t.out);
	map_release(&t.links, NULL);
	return r;
}
