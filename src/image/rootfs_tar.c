/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory as a tar (POSIX pax: a ustar header, before it one of extended records), in order of name. Symlinks and
 * mounts are not followed. Our own writer: libarchive's drags in every compressor and format it knows.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/import_internal.h"

struct tarring {
	struct importer *im;
	int out;
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

static int put(struct tarring *t, const void *p, size_t len)
{
	static const char zeros[512];
	int r = fs_write_all(t->out, p, len);

	if (r == 0 && len % 512)
		r = fs_write_all(t->out, zeros, 512 - len % 512);
	return r < 0 ? IMPORT_FAIL(t->im, r, "cannot be packed: %s", strerror(-r)) : 0;
}

/* One ustar header; what doesn't fit its fields is in the pax records before it. */
static int put_header(struct tarring *t, char type, const struct stat *st, uint64_t size, const char *path,
		      const char *link)
{
	char h[512 + 1] = {0};
	unsigned sum = 8 * ' ';
	bool dev = type == '3' || type == '4';

	snprintf(h, 100, "%s", path);
	snprintf(h + 100, 8, "%07o", (unsigned)(st->st_mode & 07777));
	snprintf(h + 108, 8, "%07o", (unsigned)st->st_uid & 07777777);
	snprintf(h + 116, 8, "%07o", (unsigned)st->st_gid & 07777777);
	snprintf(h + 124, 12, "%011llo", (unsigned long long)size & 077777777777);
	snprintf(h + 136, 12, "%011llo", (unsigned long long)st->st_mtime & 077777777777);
	h[156] = type;
	snprintf(h + 157, 100, "%s", link);
	memcpy(h + 257,
	       "ustar\0"
	       "00",
	       8);
	snprintf(h + 329, 8, "%07o", dev ? major(st->st_rdev) & 07777777 : 0);
	snprintf(h + 337, 8, "%07o", dev ? minor(st->st_rdev) & 07777777 : 0);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	h[155] = ' ';
	return put(t, h, 512);
}

/* "LENGTH KEY=VALUE\n", where the length counts itself. */
static void pax_add(struct buf *b, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, digits = 1;

	for (size_t n = rest + digits, p = 10; p <= n; p *= 10) {
		digits++;
		n = rest + digits;
	}
	buf_addf(b, "%zu %s=", rest + digits, key);
	buf_add(b, value, len);
	buf_addc(b, '\n');
}

static void pax_capability(struct buf *b, int dir, const char *name)
{
	char path[64 + 256], value[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	ssize_t n = lgetxattr(path, "security.capability", value, sizeof(value));
	if (n > 0)
		pax_add(b, "SCHILY.xattr.security.capability", value, (size_t)n);
}

static int put_entry(struct tarring *t, char type, const struct stat *st, uint64_t size, const char *path,
		     const char *link, struct buf *pax)
{
	char text[32];

	pax_add(pax, "path", path, strlen(path));
	if (*link)
		pax_add(pax, "linkpath", link, strlen(link));
	pax_add(pax, "uid", text, (size_t)sprintf(text, "%u", st->st_uid));
	pax_add(pax, "gid", text, (size_t)sprintf(text, "%u", st->st_gid));
	pax_add(pax, "size", text, (size_t)sprintf(text, "%llu", (unsigned long long)size));
	pax_add(pax, "mtime", text,
		(size_t)sprintf(text, "%lld.%09ld", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec));
	struct stat plain = {.st_mode = 0644};
	int r = put_header(t, 'x', &plain, pax->len, "pax", "");
	if (r == 0)
		r = put(t, pax->data, pax->len);
	return r < 0 ? r : put_header(t, type, st, size, path, link);
}

/* The first name of a file that was written before under another, or NULL. */
static const char *find_link(struct tarring *t, const struct stat *st, const char *path)
{
	char id[64];

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return NULL;
	snprintf(id, sizeof(id), "%llx:%llx", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	const char *first = map_get(&t->links, id);
	if (!first)
		map_set(&t->links, id, arena_strdup(&t->im->arena, path));
	return first;
}

static int add_content(struct tarring *t, int dir, const char *name, const char *path, int64_t size)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *chunk = xmalloc(64 << 10);
	ssize_t n;

	if (fd < 0)
		return tar_failed(t, path, "opened");
	/* A file that changes meanwhile is cut or padded to the size that its header has. */
	for (int r; size > 0; size -= n) {
		size_t want = (size_t)MIN_OF(size, (int64_t)64 << 10);
		n = 0;
		for (ssize_t k; (size_t)n < want && (k = read(fd, chunk + n, want - (size_t)n)) > 0;)
			n += k;
		memset(chunk + n, 0, want - (size_t)n);
		n = (ssize_t)want;
		if ((r = put(t, chunk, want)) < 0)
			return r;
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
	_cleanup_buf_ struct buf pax = BUF_INIT;
	const char *first = find_link(t, &st, path), *link = str_or(first, "");
	char type = first		   ? '1'
		    : S_ISLNK(st.st_mode)  ? '2'
		    : S_ISCHR(st.st_mode)  ? '3'
		    : S_ISBLK(st.st_mode)  ? '4'
		    : S_ISDIR(st.st_mode)  ? '5'
		    : S_ISFIFO(st.st_mode) ? '6'
					   : '0';
	if (type == '2') {
		ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = 0;
		link = target;
	}
	if (type == '0')
		pax_capability(&pax, dir, name);
	int r = put_entry(t, type, &st, type == '0' ? (uint64_t)st.st_size : 0, path, link, &pax);
	if (r == 0 && type == '0')
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
	static const char end[1024];
	struct tarring t = {.im = im, .out = fd, .links = MAP_INIT};
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (dir < 0 || fstat(dir, &st) < 0)
		return tar_failed(&t, path, "opened");
	t.dev = st.st_dev;
	r = add_directory(&t, dir, "", 0);
	if (r == 0)
		r = put(&t, end, sizeof(end));
	map_release(&t.links, NULL);
	return r;
}
