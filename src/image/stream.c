/* SPDX-License-Identifier: Apache-2.0 */
/* Two libarchive readers in a row: the first decompresses ("raw" format), the second takes its bytes as a tar. */
#include "image/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define CHUNK (64u << 10)

struct image_stream {
	int fd;
	struct archive *raw;
	EVP_MD_CTX *stored, *plain;
	uint64_t n_plain;
	bool empty; /* no byte at all: the raw reader refuses that */
	char in[CHUNK], out[CHUNK];
};

static EVP_MD_CTX *digest_new(void)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	if (!c || !EVP_DigestInit_ex(c, EVP_sha256(), NULL))
		abort(); /* no memory */
	return c;
}

static void digest_end(EVP_MD_CTX *c, char ret[SHA256_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char md[32];

	EVP_DigestFinal_ex(c, md, NULL);
	for (size_t i = 0; i < sizeof(md); i++) {
		ret[2 * i] = digits[md[i] >> 4];
		ret[2 * i + 1] = digits[md[i] & 15];
	}
	ret[SHA256_HEX] = 0;
}

void image_digest(const void *p, size_t len, char ret[SHA256_HEX + 1])
{
	EVP_MD_CTX *c = digest_new();

	EVP_DigestUpdate(c, p, len);
	digest_end(c, ret);
	EVP_MD_CTX_free(c);
}

static ssize_t read_some(int fd, void *p, size_t len)
{
	ssize_t n;

	do
		n = read(fd, p, len);
	while (n < 0 && errno == EINTR);
	return n;
}

int image_digest_fd(int fd, char ret[SHA256_HEX + 1])
{
	_cleanup_free_ char *chunk = xmalloc(CHUNK);
	EVP_MD_CTX *c = digest_new();
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0) {
		EVP_MD_CTX_free(c);
		return -errno;
	}
	while ((n = read_some(fd, chunk, CHUNK)) > 0)
		EVP_DigestUpdate(c, chunk, (size_t)n);
	int r = n < 0 ? -errno : 0;
	if (r == 0)
		digest_end(c, ret);
	EVP_MD_CTX_free(c);
	return r;
}

static la_ssize_t raw_read(struct archive *a, void *arg, const void **ret)
{
	struct image_stream *s = arg;
	ssize_t n = read_some(s->fd, s->in, CHUNK);

	if (n < 0) {
		archive_set_error(a, errno, "%s", strerror(errno));
		return -1;
	}
	EVP_DigestUpdate(s->stored, s->in, (size_t)n);
	*ret = s->in;
	return n;
}

int image_stream_new(int fd, struct image_stream **ret, char *err, size_t err_len)
{
	struct image_stream *s = NEW(struct image_stream);
	struct archive_entry *e;

	s->fd = fd;
	s->raw = archive_read_new();
	s->stored = digest_new();
	s->plain = digest_new();
	archive_read_support_format_raw(s->raw);
	archive_read_support_format_empty(s->raw);
	archive_read_support_filter_gzip(s->raw);
	archive_read_support_filter_zstd(s->raw);
	int r = archive_read_open(s->raw, s, NULL, raw_read, NULL);
	if (r == ARCHIVE_OK)
		r = archive_read_next_header(s->raw, &e);
	s->empty = r == ARCHIVE_EOF;
	if (r != ARCHIVE_OK && r != ARCHIVE_EOF) {
		const char *why = archive_error_string(s->raw);
		image_fail(err, err_len, 0, "cannot be read: %s", why ? why : "unknown compression");
		image_stream_free(s);
		return -EBADMSG;
	}
	*ret = s;
	return 0;
}

void image_stream_free(struct image_stream *s)
{
	if (!s)
		return;
	archive_read_free(s->raw);
	EVP_MD_CTX_free(s->stored);
	EVP_MD_CTX_free(s->plain);
	free(s);
}

static la_ssize_t plain_read(struct image_stream *s)
{
	la_ssize_t n = s->empty ? 0 : archive_read_data(s->raw, s->out, CHUNK);

	if (n > 0)
		EVP_DigestUpdate(s->plain, s->out, (size_t)n);
	return n;
}

static la_ssize_t tar_read(struct archive *a, void *arg, const void **ret)
{
	struct image_stream *s = arg;
	la_ssize_t n = plain_read(s);

	if (n < 0)
		archive_set_error(a, EINVAL, "%s", archive_error_string(s->raw));
	*ret = s->out;
	return n;
}

struct archive *image_stream_tar(struct image_stream *s)
{
	struct archive *a = archive_read_new();

	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	archive_read_open(a, s, NULL, tar_read, NULL); /* a failure shows at the first header */
	return a;
}

int image_stream_finish(struct image_stream *s, char ret_stored[SHA256_HEX + 1], char ret_plain[SHA256_HEX + 1],
			char *err, size_t err_len)
{
	la_ssize_t n;
	uint64_t padding = 0;

	/* Zeros may follow a tar's end. They unpack to nothing, so the digest is the only thing they can cost. */
	while ((n = plain_read(s)) > 0)
		if ((padding += (uint64_t)n) > IMAGE_BYTES_MAX)
			return image_fail(err, err_len, -E2BIG, "more than %llu bytes follow the archive's end",
					  (unsigned long long)IMAGE_BYTES_MAX);
	if (n < 0)
		return image_fail(err, err_len, -EBADMSG, "is damaged: %s", archive_error_string(s->raw));
	/* What the decompressor left unread (it stops at its own end) belongs to the stored bytes, too. */
	for (ssize_t m; (m = read_some(s->fd, s->in, CHUNK)) != 0;) {
		if (m < 0)
			return image_fail(err, err_len, -errno, "cannot be read: %s", strerror(errno));
		EVP_DigestUpdate(s->stored, s->in, (size_t)m);
	}
	digest_end(s->stored, ret_stored);
	digest_end(s->plain, ret_plain);
	return 0;
}
