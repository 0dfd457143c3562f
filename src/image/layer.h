/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a layer's tar into a directory that overlayfs can take: owners, modes, times, xattrs, hard links, devices;
 * whiteouts (".wh.x") become 0/0 character devices, opaque directories (".wh..wh..opq") the overlay's xattr.
 *
 * Archives are hostile: every path is resolved by the kernel inside the directory (openat2, RESOLVE_IN_ROOT), the last
 * component is never followed, what exists is replaced and never written through, and nothing an archive says can set
 * the overlay's own xattrs.
 */
#ifndef PROA_IMAGE_LAYER_H
#define PROA_IMAGE_LAYER_H

#include <stddef.h>
#include <stdint.h>

struct image_stream;

/*
 * All of the stream; image_stream_finish has the last word. root: a descriptor of the empty directory. 0, -EBADMSG,
 * -E2BIG, -ENOSPC, …; ret_bytes: of file content.
 */
int image_layer_unpack(struct image_stream *s, int root, uint64_t *ret_bytes, char *err, size_t err_len);
/*
 * The archive's path without "./" and leading slashes, into out (IMAGE_PATH_MAX + 1); "" is the root. -EBADMSG for
 * "..", overlong or too deep ones. Pure.
 */
int image_layer_path(const char *path, char *out);

#endif
