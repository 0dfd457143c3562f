/* SPDX-License-Identifier: Apache-2.0 */
/* Two libarchive readers in a row: the first decompresses ("raw" format), the second takes its bytes as a tar. */
#include "image/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define CHUNK (64u << 10)
#define RING 8			 /* chunks in flight: 2 MB, what the slower side may lag */
#define PLAIN_CHUNK (256u << 10) /* a wake-up for each would cost more with smaller ones */
/*
 * One entry's headers, all together: an extended header has at most 1 MB (libarchive), a map of a sparse file with
 * 100,000 holes 2.5. libarchive keeps them in memory, and compressed they are small.
 */
#define HEADER_BYTES_MAX (4u << 20)
#define INFLATE_FREE (1ull << 30) /* up to here nobody asks how well it was compressed */

struct chunk {
	size_t len;
	char data[PLAIN_CHUNK];
};

struct image_stream {
	struct image_source src;
	struct archive *raw; /* the decompressing thread's */
	bool digests;	     /* are wanted */
	EVP_MD_CTX *stored, *plain;
	uint64_t stored_bytes, plain_bytes;
	char in[CHUNK];
	pthread_t threads[2];
	int n_threads;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	/* Under the lock: chunks made, digested and taken so far, all of them counters. */
	uint64_t made, digested, taken;
	bool end, stop; /* no more chunks come; nobody wants more */
	int error;	/* why the end came early; 0: it didn't */
	char why[200];
	struct chunk *ring[RING];
	/* The caller's: the chunk it reads, and how far. */
	bool holding;
	size_t at;
	uint64_t header_left; /* what the headers of the next entry may still have */
	bool in_entry;
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

static ssize_t fd_read(void *arg, void *p, size_t len)
{
	ssize_t n = read_some(*(const int *)arg, p, len);
	return n < 0 ? -errno : n;
}

struct image_source image_source_fd(const int *fd)
{
	return (struct image_source){.read = fd_read, .arg = (void *)(uintptr_t)fd};
}

/* ---- the decompressing thread ---- */

static la_ssize_t raw_read(struct archive *a, void *arg, const void **ret)
{
	struct image_stream *s = arg;
	ssize_t n = s->src.read(s->src.arg, s->in, CHUNK);

	if (n < 0) {
		archive_set_error(a, (int)-n, "%s", strerror((int)-n));
		return -1;
	}
	if (s->digests)
		EVP_DigestUpdate(s->stored, s->in, (size_t)n);
	s->stored_bytes += (uint64_t)n;
	*ret = s->in;
	return n;
}

/* 1: it has content, 0: it is empty. */
static int raw_open(struct image_stream *s)
{
	struct archive_entry *e;

	archive_read_support_format_raw(s->raw);
	archive_read_support_format_empty(s->raw); /* no byte at all: the raw reader refuses that */
	archive_read_support_filter_gzip(s->raw);
	archive_read_support_filter_zstd(s->raw);
	int r = archive_read_open(s->raw, s, NULL, raw_read, NULL);
	if (r == ARCHIVE_OK)
		r = archive_read_next_header(s->raw, &e);
	return r == ARCHIVE_OK ? 1 : r == ARCHIVE_EOF ? 0 : -1;
}

/* The next free chunk; NULL: nobody wants more. */
static struct chunk *chunk_free(struct image_stream *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->stop && (s->made - s->taken >= RING || (s->digests && s->made - s->digested >= RING)))
		pthread_cond_wait(&s->moved, &s->lock);
	struct chunk *c = s->stop ? NULL : s->ring[s->made % RING];
	pthread_mutex_unlock(&s->lock);
	return c;
}

static void count(struct image_stream *s, uint64_t *counter)
{
	pthread_mutex_lock(&s->lock);
	(*counter)++;
	pthread_cond_broadcast(&s->moved);
	pthread_mutex_unlock(&s->lock);
}

/* Bombs: little that becomes much. Bytes that nobody unpacks count, too: they cost time. */
static int weigh(struct image_stream *s, size_t len)
{
	s->plain_bytes += len;
	if (s->plain_bytes > IMAGE_BYTES_MAX)
		archive_set_error(s->raw, E2BIG, "it has more than %llu bytes", (unsigned long long)IMAGE_BYTES_MAX);
	else if (s->plain_bytes > INFLATE_FREE && s->plain_bytes / IMAGE_RATIO_MAX > s->stored_bytes)
		archive_set_error(s->raw, E2BIG, "%llu bytes became more than %u times as many",
				  (unsigned long long)s->stored_bytes, IMAGE_RATIO_MAX);
	else
		return 0;
	return -1;
}

static int chunk_fill(struct image_stream *s, struct chunk *c)
{
	for (c->len = 0; c->len < PLAIN_CHUNK;) {
		la_ssize_t n = archive_read_data(s->raw, c->data + c->len, PLAIN_CHUNK - c->len);
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		c->len += (size_t)n;
	}
	return weigh(s, c->len);
}

static void produce_end(struct image_stream *s, int r)
{
	pthread_mutex_lock(&s->lock);
	if (r < 0) {
		const char *why = archive_error_string(s->raw);
		s->error = archive_errno(s->raw) == E2BIG ? -E2BIG : r;
		snprintf(s->why, sizeof(s->why), "%s", why ? why : "unknown compression");
	}
	s->end = true;
	pthread_cond_broadcast(&s->moved);
	pthread_mutex_unlock(&s->lock);
}

/* The decompressor stops at its own end; what followed would be in the digest and in nothing else. */
static int nothing_left(struct image_stream *s)
{
	ssize_t n = s->src.read(s->src.arg, s->in, CHUNK);

	if (n < 0)
		archive_set_error(s->raw, (int)-n, "%s", strerror((int)-n));
	else if (n > 0 || (s->stored_bytes && archive_filter_bytes(s->raw, -1) != (la_int64_t)s->stored_bytes))
		archive_set_error(s->raw, EINVAL, "other bytes follow the compressed ones");
	else
		return 0;
	return -1;
}

static void *produce(void *arg)
{
	struct image_stream *s = arg;
	int r = raw_open(s);
	struct chunk *c;

	while (r > 0 && (c = chunk_free(s))) {
		r = chunk_fill(s, c);
		if (r == 0 && c->len) {
			r = 1;
			count(s, &s->made);
		}
	}
	if (r == 0)
		r = nothing_left(s);
	produce_end(s, r < 0 ? -EBADMSG : 0);
	return NULL;
}

/* ---- the digesting thread ---- */

static void *digest(void *arg)
{
	struct image_stream *s = arg;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		while (!s->stop && !s->end && s->digested == s->made)
			pthread_cond_wait(&s->moved, &s->lock);
		struct chunk *c = s->stop || s->digested == s->made ? NULL : s->ring[s->digested % RING];
		pthread_mutex_unlock(&s->lock);
		if (!c)
			return NULL;
		EVP_DigestUpdate(s->plain, c->data, c->len);
		count(s, &s->digested);
	}
}

/* ---- the caller's side ---- */

int image_stream_new(const struct image_source *src, struct image_stream **ret, char *err, size_t err_len)
{
	return image_stream_open(src, true, ret, err, err_len);
}

int image_stream_open(const struct image_source *src, bool digests, struct image_stream **ret, char *err,
		      size_t err_len)
{
	static void *(*const run[])(void *) = {produce, digest};
	const int threads = digests ? 2 : 1;
	struct image_stream *s = NEW(struct image_stream);
	int r = 0;

	s->src = *src;
	s->raw = archive_read_new();
	s->digests = digests;
	s->stored = digest_new();
	s->plain = digest_new();
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->moved, NULL);
	for (int i = 0; i < RING; i++)
		s->ring[i] = xmalloc(sizeof(struct chunk));
	for (; r == 0 && s->n_threads < threads; s->n_threads += r == 0)
		r = pthread_create(&s->threads[s->n_threads], NULL, run[s->n_threads], s);
	if (r) {
		image_stream_free(s);
		return image_fail(err, err_len, -r, "cannot start a thread: %s", strerror(r));
	}
	*ret = s;
	return 0;
}

static void join(struct image_stream *s)
{
	while (s->n_threads > 0)
		pthread_join(s->threads[--s->n_threads], NULL);
}

void image_stream_free(struct image_stream *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->moved);
	pthread_mutex_unlock(&s->lock);
	if (s->n_threads && s->src.abort)
		s->src.abort(s->src.arg);
	join(s);
	archive_read_free(s->raw);
	EVP_MD_CTX_free(s->stored);
	EVP_MD_CTX_free(s->plain);
	for (int i = 0; i < RING; i++)
		free(s->ring[i]);
	pthread_cond_destroy(&s->moved);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Gives back the chunk that was read and waits for the next: NULL at the end or after an error. */
static struct chunk *chunk_next(struct image_stream *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->holding) {
		s->taken++;
		pthread_cond_broadcast(&s->moved);
	}
	while (!s->end && s->taken == s->made)
		pthread_cond_wait(&s->moved, &s->lock);
	s->holding = s->taken != s->made;
	struct chunk *c = s->holding ? s->ring[s->taken % RING] : NULL;
	pthread_mutex_unlock(&s->lock);
	s->at = 0;
	return c;
}

ssize_t image_stream_read(struct image_stream *s, void *p, size_t len, char *err, size_t err_len)
{
	struct chunk *c = s->holding ? s->ring[s->taken % RING] : NULL;

	if (!c || s->at == c->len)
		c = chunk_next(s);
	if (!c)
		return s->error ? image_fail(err, err_len, -1, "cannot be read: %s", s->why) : 0;
	size_t n = MIN_OF(len, c->len - s->at);
	memcpy(p, c->data + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

static la_ssize_t tar_read(struct archive *a, void *arg, const void **ret)
{
	struct image_stream *s = arg;
	struct chunk *c = chunk_next(s);

	if (!c && s->error) {
		archive_set_error(a, EINVAL, "%s", s->why);
		return -1;
	}
	if (c && c->len > s->header_left) {
		archive_set_error(a, E2BIG, "Headers of one entry have more than %u bytes", HEADER_BYTES_MAX);
		return -1;
	}
	if (c) {
		s->at = c->len;
		s->header_left -= c->len;
	}
	*ret = c ? c->data : NULL;
	return c ? (la_ssize_t)c->len : 0;
}

struct archive *image_stream_tar(struct image_stream *s)
{
	struct archive *a = archive_read_new();

	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	s->header_left = UINT64_MAX;
	archive_read_open(a, s, NULL, tar_read, NULL); /* a failure shows at the first header */
	return a;
}

int image_stream_next(struct image_stream *s, struct archive *tar, struct archive_entry **ret)
{
	int r = s->in_entry ? archive_read_data_skip(tar) : ARCHIVE_OK;

	s->in_entry = false;
	if (r < ARCHIVE_WARN)
		return r;
	s->header_left = HEADER_BYTES_MAX;
	r = archive_read_next_header(tar, ret);
	s->header_left = UINT64_MAX;
	s->in_entry = r == ARCHIVE_OK || r == ARCHIVE_WARN;
	return s->in_entry ? ARCHIVE_OK : r;
}

int image_stream_finish(struct image_stream *s, char ret_stored[SHA256_HEX + 1], char ret_plain[SHA256_HEX + 1],
			char *err, size_t err_len)
{
	while (chunk_next(s)) /* what may follow a tar's end */
		;
	join(s);
	if (s->error)
		return image_fail(err, err_len, s->error, s->error == -E2BIG ? "is too large: %s" : "is damaged: %s",
				  s->why);
	digest_end(s->stored, ret_stored);
	digest_end(s->plain, ret_plain);
	return 0;
}
