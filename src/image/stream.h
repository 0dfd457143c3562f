/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's bytes on their way into a tar reader: digested as they are stored, decompressed (gzip, zstd, nothing; told
 * by their magic), digested again. Decompressing and the second digest have a thread each, as a layer is large and a
 * machine has more than one core: the caller's thread only writes files.
 *
 *   source ──> [digest, decompress] ──> ring of chunks ──> tar reader (caller)
 *                                                     └──> [digest]
 */
#ifndef PROA_IMAGE_STREAM_H
#define PROA_IMAGE_STREAM_H

#include <stddef.h>
#include <sys/types.h>

#include "image/image_internal.h"

struct archive;
struct archive_entry;
struct image_stream;

struct image_source {
	ssize_t (*read)(void *arg, void *p, size_t len); /* may block; 0: the end; negative errno */
	void (*abort)(
	    void *arg); /* another thread: read returns an error from now on. May be NULL when it never blocks */
	void *arg;
};

/* Of a descriptor, which stays the caller's and is read from where it is; fd must outlive the source. */
struct image_source image_source_fd(const int *fd);

int image_stream_new(const struct image_source *src, struct image_stream **ret, char *err, size_t err_len);
/* digests false: whoever only looks doesn't pay for them; no image_stream_finish. */
int image_stream_open(const struct image_source *src, bool digests, struct image_stream **ret, char *err,
		      size_t err_len);
void image_stream_free(struct image_stream *s); /* NULL-safe */
/* A libarchive reader of the tar inside; free with archive_read_free before the stream. */
struct archive *image_stream_tar(struct image_stream *s);
/* Instead of archive_read_next_header, which takes headers of any length into memory. ARCHIVE_OK, ARCHIVE_EOF, worse.
 */
int image_stream_next(struct image_stream *s, struct archive *tar, struct archive_entry **ret);
/*
 * Reads to the end and gives both digests: of the bytes stored and of those decompressed. -EBADMSG: cannot be
 * decompressed; -E2BIG: a bomb.
 */
int image_stream_finish(struct image_stream *s, char ret_stored[SHA256_HEX + 1], char ret_plain[SHA256_HEX + 1],
			char *err, size_t err_len);
/* Of a whole file; fd is rewound before. */
int image_digest_fd(int fd, char ret[SHA256_HEX + 1]);
void image_digest(const void *p, size_t len, char ret[SHA256_HEX + 1]);
/* The next bytes decompressed, at most len; 0: the end; -1 with a reason in err. For readers that want no tar. */
ssize_t image_stream_read(struct image_stream *s, void *p, size_t len, char *err, size_t err_len);

#endif
