/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/image_internal.h"
#include "image/stream.h"

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"
#define WHITEOUT_META ".wh..wh." /* aufs' own files: nothing to us */

/* Directories get their times last: filling them changes those. */
struct dir_time {
	char *path;
	struct timespec mtime;
};

struct writer {
	struct image_stream *stream;
	struct archive *tar;
	int root;
	char parent_path[IMAGE_PATH_MAX + 1]; /* of parent_fd, the directory of the last entry */
	int parent_fd;			      /* -1: none kept */
	uint64_t entries, bytes, unchecked;   /* written since the disk was looked at */
	VEC(struct dir_time) dirs;
	uint64_t dir_names; /* bytes of them */
	char *err;
	size_t err_len;
	const char *name; /* of the entry, for messages */
};

static int bad(struct writer *w, int r, const char *what)
{
	return image_fail(w->err, w->err_len, r, "entry \"%.200s\": %s", w->name, what);
}

static int failed(struct writer *w, const char *what)
{
	int e = errno;
	return image_fail(w->err, w->err_len, -e, "entry \"%.200s\": cannot %s: %s", w->name, what, strerror(e));
}

int image_layer_path(const char *path, char *out)
{
	size_t len = 0, depth = 0;

	while (*path) {
		size_t n = strcspn(path, "/");
		if (n > 255 || (n == 2 && memcmp(path, "..", 2) == 0))
			return -EBADMSG;
		if (n && !(n == 1 && path[0] == '.')) {
			if (++depth > IMAGE_DEPTH_MAX || len + n + 1 > IMAGE_PATH_MAX)
				return -EBADMSG;
			if (len)
				out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n;
		path += *path == '/';
	}
	out[len] = 0;
	return 0;
}

static int open_inside(int root, const char *path, int flags)
{
	struct open_how how = {
	    .flags = (unsigned)(flags | O_CLOEXEC),
	    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
}

/* Opens the directory, making what is missing of it. */
static int open_dir(struct writer *w, const char *path)
{
	char part[IMAGE_PATH_MAX + 1];
	int fd = open_inside(w->root, path, O_RDONLY | O_DIRECTORY);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	for (size_t at = 0; path[at];) {
		at += strcspn(path + at + (at > 0), "/") + (at > 0);
		memcpy(part, path, at);
		part[at] = 0;
		_cleanup_close_ int there = open_inside(w->root, part, O_PATH | O_DIRECTORY);
		if (there >= 0)
			continue;
		char *slash = strrchr(part, '/');
		if (slash)
			*slash = 0;
		_cleanup_close_ int parent = open_inside(w->root, slash ? part : "", O_PATH | O_DIRECTORY);
		if (parent < 0 || mkdirat(parent, slash ? slash + 1 : part, 0755) < 0)
			return -1;
	}
	return open_inside(w->root, path, O_RDONLY | O_DIRECTORY);
}

static void parent_forget(struct writer *w)
{
	if (w->parent_fd >= 0)
		close(TAKE_FD(w->parent_fd));
}

/* The directory of path, kept open for the next entry; *ret_name: the last component. */
static int open_parent(struct writer *w, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	*ret_name = slash ? slash + 1 : path;
	if (w->parent_fd >= 0 && strlen(w->parent_path) == len && memcmp(w->parent_path, path, len) == 0)
		return 0;
	parent_forget(w);
	memcpy(w->parent_path, path, len);
	w->parent_path[len] = 0;
	w->parent_fd = open_dir(w, w->parent_path);
	if (w->parent_fd >= 0)
		return 0;
	if (errno == ENOTDIR || errno == ELOOP || errno == EEXIST)
		return bad(w, -EBADMSG, "its directory is not a directory");
	return failed(w, "open its directory");
}

/* Removes what has the name; the kept directory may be inside it. */
static int clear_name(struct writer *w, int dir, const char *name)
{
	char path[64 + 256];

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return failed(w, "replace what is there");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	int r = fs_remove_tree(path);
	if (r < 0) {
		errno = -r;
		return failed(w, "replace the directory there");
	}
	return 0;
}

/* ---- metadata ---- */

/* overlay's xattrs decide where files come from; ACLs and labels are the host's business. */
static bool xattr_wanted(const char *name)
{
	return (str_has_prefix(name, "user.") && !str_has_prefix(name, "user.overlay.")) ||
	       str_eq(name, "security.capability");
}

static int set_opaque(int dir)
{
	return fsetxattr(dir, "trusted.overlay.opaque", "y", 1, 0);
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* An entry with bytes of content came: may it go on? */
static int room(struct writer *w, uint64_t bytes)
{
	w->unchecked += bytes + 4096; /* a file of its own has a block, an inode */
	if (w->unchecked < IMAGE_ROOM_STEP)
		return 0;
	w->unchecked = 0;
	return image_room(w->root) < 0 ? bad(w, -ENOSPC, "the disk is nearly full") : 0;
}

static int set_xattrs(struct writer *w, struct archive_entry *e, int dir, const char *name)
{
	char path[64 + 256];
	const char *key;
	const void *value;
	size_t len, total = 0;

	if (archive_entry_xattr_reset(e) == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	while (archive_entry_xattr_next(e, &key, &value, &len) == ARCHIVE_OK) {
		if ((total += len) > IMAGE_XATTR_BYTES_MAX)
			return bad(w, -E2BIG, "too many bytes of extended attributes");
		/* Some filesystems have no user attributes, and links cannot have any. */
		if (xattr_wanted(key) && lsetxattr(path, key, value, len, 0) < 0 && errno != EOPNOTSUPP &&
		    errno != EPERM)
			return failed(w, "set an extended attribute");
	}
	return 0;
}

static struct timespec entry_mtime(struct archive_entry *e)
{
	struct timespec t = {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)};

	if (t.tv_nsec < 0 || t.tv_nsec > 999999999)
		t.tv_nsec = 0;
	return t;
}

/* Owner first: a change of owner clears the set-id bits. */
static int set_metadata(struct writer *w, struct archive_entry *e, int dir, const char *name)
{
	int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry_mtime(e)};

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return bad(w, -EBADMSG, "its owner is not a user id");
	if (fchownat(dir, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(w, "set the owner");
	if (archive_entry_filetype(e) != AE_IFLNK && fchmodat(dir, name, archive_entry_perm(e) & 07777, 0) < 0)
		return failed(w, "set the mode");
	int r = set_xattrs(w, e, dir, name);
	if (r < 0)
		return r;
	if (utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(w, "set the time");
	return 0;
}

/* ---- entries ---- */

/* A directory where a whiteout is: what lower layers have there stays hidden. */
static int new_directory(struct writer *w, const char *name)
{
	struct stat st;
	bool there = fstatat(w->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (there && S_ISDIR(st.st_mode))
		return 0;
	int r = clear_name(w, w->parent_fd, name);
	if (r < 0)
		return r;
	if (mkdirat(w->parent_fd, name, 0700) < 0)
		return failed(w, "make the directory");
	if (!there || !is_whiteout(&st))
		return 0;
	_cleanup_close_ int fd = openat(w->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 || set_opaque(fd) < 0 ? failed(w, "make it opaque") : 0;
}

static int make_directory(struct writer *w, struct archive_entry *e, const char *path, const char *name)
{
	int r = *path ? new_directory(w, name) : 0;

	if (r < 0)
		return r;
	if ((w->dir_names += strlen(path) + sizeof(struct dir_time)) > IMAGE_DIR_NAMES_MAX)
		return bad(w, -E2BIG, "the layer has more directories than IMAGE_DIR_NAMES_MAX");
	struct dir_time d = {.path = xstrdup(path), .mtime = entry_mtime(e)};
	VEC_PUSH(&w->dirs, d);
	return *path ? set_metadata(w, e, w->parent_fd, name) : set_metadata(w, e, w->root, ".");
}

static int copy_data(struct writer *w, int fd)
{
	const void *block;
	size_t len;
	la_int64_t at;
	int r;

	while ((r = archive_read_data_block(w->tar, &block, &len, &at)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		for (size_t done = 0; done < len;) {
			ssize_t n = pwrite(fd, (const char *)block + done, len - done, at + (la_int64_t)done);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return failed(w, "write");
			done += (size_t)n;
		}
		int k = room(w, len);
		if (k < 0)
			return k;
	}
	return r == ARCHIVE_EOF ? 0 : bad(w, -EBADMSG, str_or(archive_error_string(w->tar), "is cut off"));
}

static int make_file(struct writer *w, struct archive_entry *e, const char *name)
{
	int64_t size = archive_entry_size(e);

	/* Holes count: they cost nothing here, but whoever copies the file pays. */
	if (size < 0 || (uint64_t)size > IMAGE_BYTES_MAX || (w->bytes += (uint64_t)size) > IMAGE_BYTES_MAX)
		return bad(w, -E2BIG, "the layer is larger than IMAGE_BYTES_MAX");
	int r = clear_name(w, w->parent_fd, name);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(w->parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(w, "create the file");
	r = copy_data(w, fd);
	if (r < 0)
		return r;
	if (ftruncate(fd, size) < 0) /* a hole at the end */
		return failed(w, "set the size");
	/* The disk begins while the rest is inflated, so that the sync at the end has little left to wait for. */
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return set_metadata(w, e, w->parent_fd, name);
}

static int make_hardlink(struct writer *w, const char *target, const char *name)
{
	char path[IMAGE_PATH_MAX + 1];
	struct stat from, to;

	if (image_layer_path(target, path) < 0 || !*path)
		return bad(w, -EBADMSG, "links to a path outside of the layer");
	char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;
	if (slash)
		*slash = 0;
	_cleanup_close_ int dir = open_inside(w->root, slash ? path : "", O_PATH | O_DIRECTORY);
	if (dir < 0 || fstatat(dir, last, &from, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(from.st_mode))
		return bad(w, -EBADMSG, "links to something that is not in the layer");
	if (fstatat(w->parent_fd, name, &to, AT_SYMLINK_NOFOLLOW) == 0 && to.st_ino == from.st_ino)
		return 0;
	int r = clear_name(w, w->parent_fd, name);
	if (r < 0)
		return r;
	if (linkat(dir, last, w->parent_fd, name, 0) < 0)
		return errno == ENOENT ? bad(w, -EBADMSG, "links to itself") : failed(w, "link");
	return 0;
}

static int make_node(struct writer *w, struct archive_entry *e, const char *name)
{
	mode_t type = archive_entry_filetype(e);
	dev_t dev = type == AE_IFIFO ? 0 : archive_entry_rdev(e);

	if (type == AE_IFCHR && dev == 0)
		return bad(w, -EBADMSG, "is an overlay whiteout, which only this program may make");
	int r = clear_name(w, w->parent_fd, name);
	if (r < 0)
		return r;
	if (mknodat(w->parent_fd, name, type | 0600, dev) < 0)
		return failed(w, "make the device");
	return set_metadata(w, e, w->parent_fd, name);
}

static int make_symlink(struct writer *w, struct archive_entry *e, const char *name)
{
	const char *target = archive_entry_symlink(e);

	if (!target)
		target = archive_entry_symlink_utf8(e);
	if (str_empty(target) || strlen(target) >= IMAGE_PATH_MAX)
		return bad(w, -EBADMSG, "its link target is empty or too long");
	int r = clear_name(w, w->parent_fd, name);
	if (r < 0)
		return r;
	if (symlinkat(target, w->parent_fd, name) < 0)
		return failed(w, "make the link");
	return set_metadata(w, e, w->parent_fd, name);
}

static int make_whiteout(struct writer *w, const char *name)
{
	struct stat st;

	if (str_eq(name, OPAQUE)) {
		if (set_opaque(w->parent_fd) < 0)
			return failed(w, "make its directory opaque");
		return 0;
	}
	if (str_has_prefix(name, WHITEOUT_META))
		return 0;
	name += strlen(WHITEOUT);
	if (!*name || str_eq(name, ".") || str_eq(name, ".."))
		return bad(w, -EBADMSG, "is not a whiteout of anything");
	/* It speaks of the layers below: what this layer brings itself stays. */
	if (fstatat(w->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		_cleanup_close_ int dir =
		    S_ISDIR(st.st_mode) ? openat(w->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
					: -1;
		return dir >= 0 && set_opaque(dir) < 0 ? failed(w, "make the directory opaque") : 0;
	}
	if (mknodat(w->parent_fd, name, S_IFCHR, makedev(0, 0)) < 0)
		return failed(w, "make the whiteout");
	return 0;
}

static int make_entry(struct writer *w, struct archive_entry *e, const char *path, const char *name)
{
	const char *link = archive_entry_hardlink(e);

	if (!link)
		link = archive_entry_hardlink_utf8(e);
	if (str_has_prefix(name, WHITEOUT))
		return make_whiteout(w, name);
	if (link)
		return *path ? make_hardlink(w, link, name) : bad(w, -EBADMSG, "the root is a link");
	if (archive_entry_filetype(e) == AE_IFDIR)
		return make_directory(w, e, path, name);
	if (!*path)
		return bad(w, -EBADMSG, "the root is not a directory");
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return make_file(w, e, name);
	case AE_IFLNK:
		return make_symlink(w, e, name);
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO:
		return make_node(w, e, name);
	case AE_IFSOCK: /* of a program that doesn't run */
		return 0;
	default:
		return bad(w, -EBADMSG, "is of an unknown type");
	}
}

static int unpack_entry(struct writer *w, struct archive_entry *e)
{
	char path[IMAGE_PATH_MAX + 1];
	const char *given = archive_entry_pathname(e), *name;

	if (!given)
		given = archive_entry_pathname_utf8(e);
	w->name = given ? given : "(unreadable name)";
	if (!given)
		return bad(w, -EBADMSG, "its name is not valid text");
	if (++w->entries > IMAGE_ENTRIES_MAX)
		return bad(w, -E2BIG, "the layer has more entries than IMAGE_ENTRIES_MAX");
	if (image_layer_path(given, path) < 0)
		return bad(w, -EBADMSG, "its path leads out of the layer, or is too long or deep");
	int r = room(w, 0);
	if (r == 0)
		r = open_parent(w, path, &name);
	if (r == 0)
		r = make_entry(w, e, path, name);
	/* What was replaced may have been a directory on the way to the kept one. */
	if (archive_entry_filetype(e) != AE_IFREG)
		parent_forget(w);
	return r;
}

static void set_dir_times(struct writer *w)
{
	for (size_t i = w->dirs.n; i-- > 0;) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, w->dirs.at[i].mtime};
		_cleanup_close_ int fd = open_inside(w->root, w->dirs.at[i].path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (fd >= 0)
			futimens(fd, times);
	}
}

static int unpack_all(struct writer *w)
{
	struct archive_entry *e;
	int r, k;

	while ((r = image_stream_next(w->stream, w->tar, &e)) == ARCHIVE_OK)
		if ((k = unpack_entry(w, e)) < 0)
			return k;
	if (r != ARCHIVE_EOF)
		return image_fail(w->err, w->err_len, -EBADMSG, "is not a sound tar archive: %s",
				  str_or(archive_error_string(w->tar), "unknown"));
	set_dir_times(w);
	return 0;
}

int image_layer_unpack(struct image_stream *s, int root, uint64_t *ret_bytes, char *err, size_t err_len)
{
	struct writer w = {
	    .stream = s, .tar = image_stream_tar(s), .root = root, .parent_fd = -1, .err = err, .err_len = err_len};
	/* Names in pax headers are UTF-8; libarchive gives them in the thread's encoding. */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL), before = NULL;

	if (utf8)
		before = uselocale(utf8);
	int r = unpack_all(&w);
	if (utf8) {
		uselocale(before);
		freelocale(utf8);
	}
	parent_forget(&w);
	archive_read_free(w.tar);
	for (size_t i = 0; i < w.dirs.n; i++)
		free(w.dirs.at[i].path);
	VEC_RELEASE(&w.dirs);
	if (r == 0)
		*ret_bytes = w.bytes;
	return r;
}
