/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths inside a hostile root: every lookup is openat2(RESOLVE_IN_ROOT) below a descriptor of the root, everything is
 * created step by step by descriptor, and every mount is placed by descriptor (move_mount), so that no symlink
 * exchanged meanwhile leads outside. All return 0 or a descriptor (O_CLOEXEC, the caller's), or negative errno.
 */
#ifndef PROA_RUNTIME_ROOTFS_H
#define PROA_RUNTIME_ROOTFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ROOT_SYMLINKS_MAX 8 /* dangling symlinks followed while creating directories: /var/run -> /run */

int root_open(int root, const char *path, int flags);		 /* symlinks resolved as if root were / */
int root_open_nosymlinks(int root, const char *path, int flags); /* -ELOOP at any symlink */
int root_open_on_mount(int root, const char *path, int flags);	 /* -EXDEV where something is mounted over it */
int root_mkdir_p(int root, const char *path, mode_t mode);	 /* O_PATH descriptor of the directory */
int root_create_file(int root, const char *path);		 /* O_PATH descriptor of the file; exists: as it is */
/* A regular file's text, NUL-terminated and malloc'd: at most max bytes, "" when missing. -EINVAL for other types. */
int root_read_file(int root, const char *path, size_t max, char **ret);

/* ---- mounts; a mount descriptor is detached until mount_attach ---- */
int mount_clone(int dir, const char *path, bool recursive); /* path may be "" */
/* options: "size=65536k,mode=755" or NULL. attrs: MOUNT_ATTR_*. */
int mount_new(const char *fs, const char *options, uint64_t attrs);
int mount_new_from(const char *fs, const char *source, const char *options, uint64_t attrs); /* a device, a name */
int mount_attach(int mount, int target);
int mount_attach_in(int mount, int dir, const char *name); /* a directory that we made just now */
int mount_attr(int mount, uint64_t set, uint64_t propagation, bool recursive);

#endif
