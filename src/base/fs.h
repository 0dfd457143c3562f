/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories. All return 0 or negative errno unless said otherwise. */
#ifndef PROA_BASE_FS_H
#define PROA_BASE_FS_H

#include <stddef.h>
#include <sys/types.h>

struct buf;

/* Reads a whole file of at most max bytes (-EFBIG beyond); out is appended to. */
int fs_read(const char *path, size_t max, struct buf *out);
/* Replaces path atomically: temporary file beside it, fsync, rename, fsync of the directory. */
int fs_write_atomic(const char *path, const void *p, size_t len, mode_t mode);
/* The same without fsync: atomic against readers and crashes of the process, not against power loss. */
int fs_write_replace(const char *path, const void *p, size_t len, mode_t mode);
int fs_mkdir_p(const char *path, mode_t mode);
/*
 * Directories made in dir from now on are placed all over the disk, where the file system knows such a wish (ext4).
 * Files that come and go make those that are made beside them expensive: ext4 does not give an inode again for a minute
 * or more, and each new file's search passes over all that were deleted in the directory's block group.
 */
void fs_spread_children(const char *dir);
/* Removes a tree without following symlinks or crossing mounts; a missing path is not an error. */
int fs_remove_tree(const char *path);
/* As many descriptors as the hard limit gives: the usual soft one, 1,024, is for programs that use select(). */
void fs_raise_file_limit(void);
/* Writes all bytes, continuing after EINTR and short writes. */
int fs_write_all(int fd, const void *p, size_t len);

#endif
