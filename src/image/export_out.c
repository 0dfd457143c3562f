/* SPDX-License-Identifier: Apache-2.0 */
#include "image/export_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

#define CHUNK (1u << 20)
#define TAR_BLOCK 512
#define TAR_OCTAL_MAX 077777777777ull

/* ustar; sizes beyond its octal field in base 256, as GNU and pax readers know them. Names are ours and short. */
static int put_header(int fd, const char *name, uint64_t size)
{
	char h[TAR_BLOCK + 1] = {0};
	unsigned sum = 8 * ' ';

	if (strlen(name) > 99)
		return -ENAMETOOLONG;
	snprintf(h, 100, "%s", name);
	snprintf(h + 100, 8, "%07o", 0644);
	snprintf(h + 108, 8, "%07o", 0);
	snprintf(h + 116, 8, "%07o", 0);
	if (size <= TAR_OCTAL_MAX) {
		snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
	} else {
		h[124] = (char)0x80;
		for (int i = 0; i < 8; i++)
			h[135 - i] = (char)(size >> (8 * i));
	}
	snprintf(h + 136, 12, "%011o", 0);
	h[156] = '0';
	memcpy(h + 257,
	       "ustar\0"
	       "00",
	       8);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	h[155] = ' ';
	return fs_write_all(fd, h, TAR_BLOCK);
}

static int put_padding(int fd, uint64_t size)
{
	static const char zeros[TAR_BLOCK];
	return size % TAR_BLOCK ? fs_write_all(fd, zeros, TAR_BLOCK - size % TAR_BLOCK) : 0;
}

static int open_file(int dir, const char *name)
{
	_cleanup_free_ char *path = xstrdup(name);

	for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		if (mkdirat(dir, path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd;
}

static int copy(int from, uint64_t size, int to)
{
	_cleanup_free_ char *chunk = xmalloc(CHUNK);

	for (uint64_t done = 0; done < size;) {
		ssize_t n = pread(from, chunk, (size_t)MIN_OF(size - done, (uint64_t)CHUNK), (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		int r = fs_write_all(to, chunk, (size_t)n);
		if (r < 0)
			return r;
		done += (uint64_t)n;
	}
	return 0;
}

/* from -1: the bytes at p. */
static int put_any(struct export_out *o, const char *name, const void *p, int from, uint64_t size)
{
	if (map_has(&o->written, name))
		return 0;
	map_set(&o->written, name, o);
	_cleanup_close_ int file = o->tar ? -1 : open_file(o->fd, name);
	if (!o->tar && file < 0)
		return file;
	int to = o->tar ? o->fd : file;
	int r = o->tar ? put_header(to, name, size) : 0;
	if (r == 0)
		r = from < 0 ? fs_write_all(to, p, (size_t)size) : copy(from, size, to);
	return r == 0 && o->tar ? put_padding(to, size) : r;
}

int export_put(struct export_out *o, const char *name, const void *p, size_t len)
{
	return put_any(o, name, p, -1, len);
}

int export_put_fd(struct export_out *o, const char *name, int fd, uint64_t size)
{
	return put_any(o, name, NULL, fd, size);
}

int export_end(struct export_out *o)
{
	static const char end[2 * TAR_BLOCK];
	return o->tar ? fs_write_all(o->fd, end, sizeof(end)) : 0;
}
