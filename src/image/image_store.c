/* SPDX-License-Identifier: Apache-2.0 */
/* The store's directory: opening and repairing it, locks, references. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image_internal.h"

char *image_path(const struct image_store *s, const char *fmt, ...)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char rest[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	buf_addf(&b, "%s/%s", s->dir, rest);
	return buf_steal(&b, NULL);
}

/* ---- locks ---- */

int image_lock_file(const struct image_store *s, const char *name, int how)
{
	_cleanup_free_ char *path = image_path(s, "%s", name);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return -errno;
	return TAKE_FD(fd);
}

int image_lock(const struct image_store *s, bool exclusive)
{
	return image_lock_file(s, "lock", exclusive ? LOCK_EX : LOCK_SH);
}

int image_lock_layer(const struct image_store *s, const char *hex)
{
	_cleanup_free_ char *name = xasprintf("locks/%s", hex);
	return image_lock_file(s, name, LOCK_EX);
}

/* ---- refs.json ---- */

int image_refs_read(const struct image_store *s, struct arena *a, struct json **ret)
{
	_cleanup_free_ char *path = image_path(s, "refs.json");
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json_error je;
	int r = fs_read(path, IMAGE_JSON_MAX, &b);

	if (r == -ENOENT) {
		*ret = json_new(a, JSON_OBJECT);
		return 0;
	}
	if (r < 0)
		return r;
	if (json_parse(a, b.data, b.len, ret, &je) < 0 || !json_is(*ret, JSON_OBJECT))
		return -EBADMSG;
	return 0;
}

int image_refs_write(const struct image_store *s, const struct json *refs)
{
	_cleanup_free_ char *path = image_path(s, "refs.json");
	_cleanup_buf_ struct buf b = BUF_INIT;

	json_write_pretty(&b, refs);
	buf_addc(&b, '\n');
	return fs_write_atomic(path, b.data, b.len, 0600);
}

/* ---- opening ---- */

int image_store_open(const char *dir, struct image_store **ret, char *err, size_t err_len)
{
	static const char *const parts[] = {"images", "blobs", "layers", "locks", "partial", "uses", "tmp", "pins"};
	struct image_store *s;
	int r = fs_mkdir_p(dir, 0700);

	if (r < 0)
		return image_fail(err, err_len, r, "%s cannot be created: %s", dir, strerror(-r));
	s = NEW(struct image_store);
	s->dir = realpath(dir, NULL);
	s->importers = importers_new();
	for (size_t i = 0; s->dir && i < ARRAY_SIZE(parts); i++) {
		_cleanup_free_ char *path = image_path(s, "%s", parts[i]);
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			r = image_fail(err, err_len, -errno, "%s cannot be created: %s", path, strerror(errno));
			image_store_close(s);
			return r;
		}
	}
	if (!s->dir) {
		r = image_fail(err, err_len, -errno, "%s: %s", dir, strerror(errno));
		image_store_close(s);
		return r;
	}
	image_collect(s, true);
	*ret = s;
	return 0;
}

struct image_store *image_store_dup(const struct image_store *s)
{
	struct image_store *copy = NEW(struct image_store);

	copy->dir = xstrdup(s->dir);
	copy->importers = importers_new();
	return copy;
}

void image_store_close(struct image_store *s)
{
	if (!s)
		return;
	importers_free(s->importers);
	free(s->dir);
	free(s);
}
