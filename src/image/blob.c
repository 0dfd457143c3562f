/* SPDX-License-Identifier: Apache-2.0 */
/* DIR/blobs: what came from outside, byte for byte, under the name of its digest. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image_internal.h"
#include "image/stream.h"

int image_room(int fd)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	/* Of inodes only where there is a number of them. */
	bool bytes = fs.f_bavail < (fs.f_blocks + 99) / 100 * IMAGE_ROOM_PERCENT;
	bool files = fs.f_files && fs.f_favail < (fs.f_files + 99) / 100 * IMAGE_ROOM_PERCENT;
	return bytes || files ? -ENOSPC : 0;
}

bool image_blob_there(const struct image_store *s, const char *hex, uint64_t *ret_size)
{
	return image_pin(s, hex) == 0 && image_blob_size(s, hex, ret_size);
}

bool image_blob_size(const struct image_store *s, const char *hex, uint64_t *ret_size)
{
	_cleanup_free_ char *path = image_path(s, "blobs/%s", hex);
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	return true;
}

int image_blob_open(const struct image_store *s, const char *hex)
{
	_cleanup_free_ char *path = image_path(s, "blobs/%s", hex);
	int r = image_pin(s, hex);

	if (r < 0)
		return r;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int image_blob_adopt(const struct image_store *s, const char *path, const char *hex)
{
	_cleanup_free_ char *to = image_path(s, "blobs/%s", hex);
	int r = image_pin(s, hex);

	return r < 0 ? r : rename(path, to) < 0 ? -errno : 0;
}

int image_blob_write(struct image_store *s, const void *p, size_t len, char *ret_hex)
{
	char hex[SHA256_HEX + 1];

	image_digest(p, len, hex);
	if (ret_hex)
		strcpy(ret_hex, hex);
	if (image_blob_there(s, hex, NULL))
		return 0;
	_cleanup_free_ char *tmp = image_path(s, "tmp/blob-XXXXXX");
	_cleanup_close_ int fd = mkostemp(tmp, O_CLOEXEC);
	int r = fd < 0 ? -errno : fs_write_all(fd, p, len);
	if (r == 0)
		r = image_blob_adopt(s, tmp, hex);
	if (r < 0 && fd >= 0)
		unlink(tmp);
	return r;
}

int image_blob_read(const struct image_store *s, const char *hex, struct buf *out)
{
	_cleanup_free_ char *path = image_path(s, "blobs/%s", hex);
	char digest[SHA256_HEX + 1];
	size_t start = out->len;
	int r = fs_read(path, IMAGE_JSON_MAX, out);

	if (r < 0)
		return r;
	image_digest(out->data + start, out->len - start, digest);
	return str_eq(digest, hex) ? 0 : -EBADMSG;
}

int image_blob_json(const struct image_store *s, const char *hex, struct arena *a, struct json **ret,
		    const char **ret_text, size_t *ret_len)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json_error je;
	int r = image_blob_read(s, hex, &b);

	if (r == 0 && (json_parse(a, buf_str(&b), b.len, ret, &je) < 0 || !json_is(*ret, JSON_OBJECT)))
		r = -EBADMSG;
	if (r == 0 && ret_text) {
		*ret_text = arena_strndup(a, buf_str(&b), b.len);
		*ret_len = b.len;
	}
	return r;
}
