/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file's bytes on their way into a tar reader: digested as they are stored, decompressed (gzip, zstd, nothing; told
 * by their magic), digested again.
 */
#ifndef PROA_IMAGE_STREAM_H
#define PROA_IMAGE_STREAM_H

#include <stddef.h>

#include "image/image_internal.h"

struct archive;
struct image_stream;

/* fd stays the caller's and is read from where it is. -EBADMSG: cannot be decompressed. */
int image_stream_new(int fd, struct image_stream **ret, char *err, size_t err_len);
void image_stream_free(struct image_stream *s); /* NULL-safe */
/* A libarchive reader of the tar inside; free with archive_read_free before the stream. */
struct archive *image_stream_tar(struct image_stream *s);
/* Reads to the end and gives both digests: of the bytes stored and of those decompressed. */
int image_stream_finish(struct image_stream *s, char ret_stored[SHA256_HEX + 1], char ret_plain[SHA256_HEX + 1],
			char *err, size_t err_len);
/* Of a whole file; fd is rewound before. */
int image_digest_fd(int fd, char ret[SHA256_HEX + 1]);
void image_digest(const void *p, size_t len, char ret[SHA256_HEX + 1]);

#endif
