/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/layer.h"

#define COPY_MAX (16u << 20) /* bytes of one copy_file_range: signals get through between them */

bool image_layer_there(const struct image_store *s, const char *diff_hex)
{
	_cleanup_free_ char *path = image_path(s, "layers/%s", diff_hex);
	return image_pin(s, diff_hex) == 0 && access(path, F_OK) == 0;
}

bool image_layer_size(const struct image_store *s, const char *diff_hex, uint64_t *ret_size)
{
	_cleanup_free_ char *path = image_path(s, "layers/%s/size", diff_hex);
	_cleanup_buf_ struct buf b = BUF_INIT;

	return fs_read(path, 32, &b) == 0 && parse_u64(buf_str(&b), ret_size) == 0;
}

/* Renames the complete layer into place; another importer may have been faster. image_record makes it durable. */
static int install(struct image_store *s, const char *work, const char *hex, uint64_t bytes, char *err, size_t err_len)
{
	_cleanup_free_ char *size_path = xasprintf("%s/size", work), *to = image_path(s, "layers/%s", hex);
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	int r = image_pin(s, hex);

	if (r == 0)
		r = fs_write_replace(size_path, text, (size_t)n, 0600);
	if (r == 0 && rename(work, to) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		r = -errno;
	return r < 0 ? image_fail(err, err_len, r, "layer sha256:%s cannot be stored: %s", hex, strerror(-r)) : 0;
}

/* root -1: only the digests. */
static int read_all(const struct image_source *src, int root, char diff[SHA256_HEX + 1], char stored[SHA256_HEX + 1],
		    uint64_t *ret_bytes, char *err, size_t err_len)
{
	char got_stored[SHA256_HEX + 1], got_diff[SHA256_HEX + 1];
	struct image_stream *s;
	int r = image_stream_new(src, &s, err, err_len);

	if (r < 0)
		return r;
	if (root >= 0)
		r = image_layer_unpack(s, root, ret_bytes, err, err_len);
	if (r == 0)
		r = image_stream_finish(s, got_stored, got_diff, err, err_len);
	image_stream_free(s);
	if (r < 0)
		return r;
	if (*stored && !str_eq(stored, got_stored))
		return image_fail(err, err_len, -EBADMSG, "is damaged: its digest is sha256:%s, not sha256:%s",
				  got_stored, stored);
	if (*diff && !str_eq(diff, got_diff))
		return image_fail(err, err_len, -EBADMSG, "is damaged: its diff_id is sha256:%s, not sha256:%s",
				  got_diff, diff);
	strcpy(stored, got_stored);
	strcpy(diff, got_diff);
	return 0;
}

int image_layer_verify(const struct image_source *src, char diff[SHA256_HEX + 1], char stored[SHA256_HEX + 1],
		       char *err, size_t err_len)
{
	return read_all(src, -1, diff, stored, NULL, err, err_len);
}

int image_layer_make(struct image_store *s, const struct image_source *src, char diff[SHA256_HEX + 1],
		     char stored[SHA256_HEX + 1], char *err, size_t err_len)
{
	_cleanup_free_ char *work = image_path(s, "tmp/layer-XXXXXX");
	uint64_t bytes;

	if (!mkdtemp(work))
		return image_fail(err, err_len, -errno, "%s cannot be created: %s", work, strerror(errno));
	_cleanup_free_ char *fs = xasprintf("%s/fs", work);
	_cleanup_close_ int root = -1;
	int r = 0;
	if (mkdir(fs, 0755) < 0 || chmod(fs, 0755) < 0 || (root = open(fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = image_fail(err, err_len, -errno, "%s cannot be created: %s", fs, strerror(errno));
	if (r == 0)
		r = read_all(src, root, diff, stored, &bytes, err, err_len);
	if (r == 0)
		r = install(s, work, diff, bytes, err, err_len);
	fs_remove_tree(work); /* gone already when it was installed */
	return r;
}

/* What fd has, as a file of the store: shared with it where the file system can. */
static int copy(int from, int to)
{
	int r;

	for (;;) {
		if ((r = image_room(to)) < 0)
			return r;
		ssize_t n = copy_file_range(from, NULL, to, NULL, COPY_MAX, 0);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			break;
	}
	if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS && errno != EBADF)
		return -errno;
	_cleanup_free_ char *chunk = xmalloc(1 << 20);
	for (ssize_t n; (n = read(from, chunk, 1 << 20)) != 0;) {
		if (n < 0 && errno != EINTR)
			return -errno;
		r = n > 0 ? fs_write_all(to, chunk, (size_t)n) : 0;
		if (r == 0)
			r = image_room(to);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_copy(struct image_store *s, const char *tmp, int fd, char *stored, char *diff, char *err, size_t err_len)
{
	if (lseek(fd, 0, SEEK_SET) < 0)
		return image_fail(err, err_len, -errno, "cannot be read: %s", strerror(errno));
	struct image_source src = image_source_fd(&fd);
	int r = *diff && image_layer_there(s, diff) ? image_layer_verify(&src, diff, stored, err, err_len)
						    : image_layer_make(s, &src, diff, stored, err, err_len);
	return r < 0 ? r : image_blob_adopt(s, tmp, stored);
}

/* A file that nobody else writes to gets another name instead of being copied, where both are on one file system. */
static int take(int fd, const char *to)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, to, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int image_layer_add(struct image_store *s, int fd, bool own, char *stored, char *diff, uint64_t *ret_size, char *err,
		    size_t err_len)
{
	if (*diff && *stored && image_layer_there(s, diff) && image_blob_there(s, stored, ret_size))
		return 0;
	_cleanup_free_ char *tmp = image_path(s, "tmp/blob-XXXXXX");
	_cleanup_close_ int to = mkostemp(tmp, O_CLOEXEC);
	struct stat st;
	if (to < 0)
		return image_fail(err, err_len, -errno, "%s cannot be created: %s", tmp, strerror(errno));
	int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
	bool taken = r == 0 && own && unlink(tmp) == 0 && take(fd, tmp) == 0;
	if (r == 0 && own && !taken) { /* another file system, or a file that cannot have a name */
		close(TAKE_FD(to));
		to = open(tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		r = to < 0 ? -errno : 0;
	}
	if (r == 0 && !taken)
		r = copy(fd, to);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	r = r < 0 ? image_fail(err, err_len, r, "cannot be copied: %s", strerror(-r))
		  : add_copy(s, tmp, taken ? fd : to, stored, diff, err, err_len);
	if (r < 0)
		unlink(tmp);
	else
		*ret_size = (uint64_t)st.st_size;
	return r;
}
