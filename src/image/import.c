/* SPDX-License-Identifier: Apache-2.0 */
/* Importing: what kind of thing it is, its files, its layers, and writing the result down. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/import_internal.h"
#include "image/layer.h"

enum kind { KIND_ROOTFS, KIND_DOCKER, KIND_OCI };

/* ---- files of an archive or layout ---- */

int import_open_file(struct importer *im, const char *path)
{
	char clean[IMAGE_PATH_MAX + 1];
	int fd = -1;

	if (image_layer_path(path, clean) < 0)
		return IMPORT_FAIL(im, -EBADMSG, "\"%.200s\" is not a path inside the archive", path);
	if (im->dir >= 0) {
		struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
				       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
		fd = (int)syscall(SYS_openat2, im->dir, clean, &how, sizeof(how));
	} else {
		const char *name = map_get(&im->files, clean);
		for (int hops = 0; name && *name == '@' && hops < 8; hops++)
			name = map_get(&im->files, name + 1);
		if (name && *name != '@') {
			_cleanup_free_ char *file = xasprintf("%s/%s", im->tmp, name);
			fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		}
	}
	struct stat st;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	return IMPORT_FAIL(im, -EBADMSG, "the archive has no file \"%.200s\"", clean);
}

int import_read_json(struct importer *im, const char *path, const char *hex, struct json **ret, const char **ret_text,
		     size_t *ret_len)
{
	_cleanup_close_ int fd = import_open_file(im, path);
	char digest[SHA256_HEX + 1];
	struct json_error je;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_size > IMAGE_JSON_MAX)
		return IMPORT_FAIL(im, -E2BIG, "\"%.200s\" is larger than %u bytes", path, IMAGE_JSON_MAX);
	char *text = arena_alloc(&im->arena, (size_t)st.st_size + 1);
	ssize_t n = pread(fd, text, (size_t)st.st_size, 0);
	if (n != st.st_size)
		return IMPORT_FAIL(im, -EIO, "\"%.200s\" cannot be read", path);
	text[n] = 0;
	image_digest(text, (size_t)n, digest);
	if (hex && !str_eq(hex, digest))
		return IMPORT_FAIL(im, -EBADMSG, "\"%.200s\" is damaged: its digest is sha256:%s, not sha256:%s", path,
				   digest, hex);
	if (json_parse(&im->arena, text, (size_t)n, ret, &je) < 0)
		return IMPORT_FAIL(im, -EBADMSG, "\"%.200s\" is not JSON: %s at byte %zu", path, je.message, je.offset);
	if (ret_text) {
		*ret_text = text;
		*ret_len = (size_t)n;
	}
	return 0;
}

/* ---- layers ---- */

static const char *layer_media_type(int fd)
{
	static const unsigned char gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
	unsigned char magic[4] = {0};
	ssize_t n = pread(fd, magic, sizeof(magic), 0);

	return n >= 2 && memcmp(magic, gzip, 2) == 0   ? MEDIA_OCI_LAYER "+gzip"
	       : n >= 4 && memcmp(magic, zstd, 4) == 0 ? MEDIA_OCI_LAYER "+zstd"
						       : MEDIA_OCI_LAYER;
}

int import_layer(struct importer *im, int fd, bool own, char diff[SHA256_HEX + 1], struct descriptor *d)
{
	char why[400];
	unsigned n = im->n_layers++;

	if (str_empty(d->media_type))
		d->media_type = layer_media_type(fd);
	uint64_t size = d->size;
	int r = image_layer_add(im->store, fd, own, d->hex, diff, &size, why, sizeof(why));
	if (r < 0)
		return IMPORT_FAIL(im, r, "layer %u %s", n, why);
	if (d->sized && d->size != size)
		return IMPORT_FAIL(im, -EBADMSG, "layer %u has %llu bytes, not %llu", n, (unsigned long long)size,
				   (unsigned long long)d->size);
	d->size = size;
	return 0;
}

/* ---- images ---- */

bool import_platform_wanted(const struct importer *im, const struct json *config)
{
	struct platform have;

	platform_set(&have, json_str(json_get(config, "os")), json_str(json_get(config, "architecture")),
		     json_str(json_get(config, "variant")));
	return im->all_platforms || platform_fit(&im->platform, &have) > 0;
}

struct imported *import_image(struct importer *im, const char *config, size_t len, const char *manifest,
			      size_t manifest_len, const struct descriptor *layers, size_t n_layers)
{
	_cleanup_buf_ struct buf made = BUF_INIT;
	struct descriptor c = {.media_type = MEDIA_OCI_CONFIG, .size = len};
	char hex[SHA256_HEX + 1];

	if (im->n_images == IMPORT_IMAGES_MAX) {
		IMPORT_FAIL(im, -E2BIG, "the archive has more than %d images", IMPORT_IMAGES_MAX);
		return NULL;
	}
	struct imported *i = ARENA_NEW(&im->arena, struct imported);
	i->original = manifest != NULL;
	int r = image_blob_write(im->store, config, len, c.hex);
	if (!manifest) {
		manifest_write(&made, &c, layers, n_layers);
		manifest = made.data;
		manifest_len = made.len;
	}
	if (r == 0)
		r = image_blob_write(im->store, manifest, manifest_len, hex);
	if (r < 0) {
		IMPORT_FAIL(im, r, "the image cannot be written: %s", strerror(-r));
		return NULL;
	}
	snprintf(i->id, sizeof(i->id), "sha256:%s", c.hex);
	snprintf(i->manifest, sizeof(i->manifest), "sha256:%s", hex);
	strcpy(i->target, i->manifest);
	im->images[im->n_images++] = i;
	return i;
}

int import_add_name(struct importer *im, struct imported *i, const char *ref)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (image_ref_normalize(ref, &b) < 0 || image_id_valid(buf_str(&b)) || strchr(buf_str(&b), '@'))
		return IMPORT_FAIL(im, -EINVAL, "\"%.200s\" is not a name that an image can be given", ref);
	if (i->n_names + 3 > ARRAY_SIZE(i->names))
		return 0;
	i->names[i->n_names++] = arena_strdup(&im->arena, buf_str(&b));
	if (i->original)
		i->names[i->n_names++] = arena_printf(
		    &im->arena, "%.*s@%s", (int)(strrchr(buf_str(&b), ':') - buf_str(&b)), buf_str(&b), i->target);
	return 0;
}

int import_rootfs(struct importer *im, int fd, bool own)
{
	char diff_id[SHA256_HEX + 1] = "";
	struct descriptor layer = {.media_type = ""};
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (str_empty(im->options->name))
		return IMPORT_FAIL(im, -EINVAL, "a plain root filesystem needs a name (--name)");
	int r = import_layer(im, fd, own, diff_id, &layer);
	if (r < 0)
		return r;
	struct arena *a = &im->arena;
	struct json *c = json_new(a, JSON_OBJECT), *config = json_object_in(a, c, "config");
	json_set_str(a, c, "architecture", im->platform.architecture);
	if (*im->platform.variant)
		json_set_str(a, c, "variant", im->platform.variant);
	json_set_str(a, c, "os", im->platform.os);
	json_append(json_array_in(a, config, "Env"),
		    json_new_str(a, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	struct json *rootfs = json_object_in(a, c, "rootfs");
	json_set_str(a, rootfs, "type", "layers");
	json_append(json_array_in(a, rootfs, "diff_ids"), json_new_strf(a, "sha256:%s", diff_id));
	json_write(&b, c);
	return import_image(im, b.data, b.len, NULL, 0, &layer, 1) ? 0 : -E2BIG;
}

/* ---- archives ---- */

#define ENOUGH 1 /* an entry_fn wants no more */
typedef int (*entry_fn)(struct importer *im, struct archive *tar, struct archive_entry *e, const char *path, void *arg);

static int each_entry(struct importer *im, int fd, entry_fn fn, void *arg)
{
	char path[IMAGE_PATH_MAX + 1];
	struct archive_entry *e;
	struct image_stream *s;
	unsigned n = 0;
	int r, k = 0;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return IMPORT_FAIL(im, -errno, "cannot be read twice: %s", strerror(errno));
	struct image_source src = image_source_fd(&fd);
	r = image_stream_open(&src, false, &s, im->err, im->err_len);
	if (r < 0)
		return r;
	struct archive *tar = image_stream_tar(s);
	while (k == 0 && (r = image_stream_next(s, tar, &e)) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(e);
		if (++n > IMAGE_ENTRIES_MAX)
			k = IMPORT_FAIL(im, -E2BIG, "has more than %u entries", IMAGE_ENTRIES_MAX);
		else if (name && image_layer_path(name, path) == 0) /* others are for the unpacking to refuse */
			k = fn(im, tar, e, path, arg);
	}
	if (k == 0 && r != ARCHIVE_EOF)
		k = IMPORT_FAIL(im, -EBADMSG, "is not a sound tar archive: %s", str_or(archive_error_string(tar), ""));
	archive_read_free(tar);
	image_stream_free(s);
	return k == ENOUGH ? 0 : k;
}

struct seen {
	bool any, oci_layout, index, manifest, rootfs;
};

static int see_entry(struct importer *im, struct archive *tar, struct archive_entry *e, const char *path, void *arg)
{
	static const char *const tops[] = {"bin", "dev", "etc", "lib", "proc", "root", "sbin", "usr", "var", NULL};
	_cleanup_free_ char *top = xstrndup(path, strcspn(path, "/"));
	struct seen *seen = arg;

	(void)im, (void)tar, (void)e;
	seen->any |= *path != 0;
	seen->oci_layout |= str_eq(path, "oci-layout");
	seen->index |= str_eq(path, "index.json");
	seen->manifest |= str_eq(path, "manifest.json");
	seen->rootfs |= str_in(top, tops); /* neither format has such entries */
	return seen->rootfs ? ENOUGH : 0;
}

/* In memory: names of files and links. */
static int remember(struct importer *im, const char *path, const char *what)
{
	if (im->files.n >= IMPORT_FILES_MAX && !map_has(&im->files, path))
		return IMPORT_FAIL(im, -E2BIG, "the archive has more than %d files", IMPORT_FILES_MAX);
	map_set(&im->files, path, arena_strdup(&im->arena, what));
	return 0;
}

static int extract_file(struct importer *im, struct archive *tar, const char *path, uint64_t *bytes)
{
	_cleanup_free_ char *name = xasprintf("file-%u", im->n_files++), *file = xasprintf("%s/%s", im->tmp, name);
	_cleanup_close_ int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	_cleanup_free_ char *chunk = xmalloc(64 << 10);
	la_ssize_t n;

	if (fd < 0)
		return IMPORT_FAIL(im, -errno, "%s cannot be created: %s", file, strerror(errno));
	while ((n = archive_read_data(tar, chunk, 64 << 10)) > 0) {
		if (*bytes % IMAGE_ROOM_STEP < (uint64_t)n && image_room(fd) < 0)
			return IMPORT_FAIL(im, -ENOSPC, "the disk is nearly full");
		if ((*bytes += (uint64_t)n) > IMAGE_BYTES_MAX)
			return IMPORT_FAIL(im, -E2BIG, "the archive is larger than IMAGE_BYTES_MAX");
		int r = fs_write_all(fd, chunk, (size_t)n);
		if (r < 0)
			return IMPORT_FAIL(im, r, "%s cannot be written: %s", file, strerror(-r));
	}
	if (n < 0)
		return IMPORT_FAIL(im, -EBADMSG, "entry \"%.200s\": %s", path, archive_error_string(tar));
	return remember(im, path, name);
}

/* "a/b" and "../c/d" give "c/d": lexically, as there are no directories here that could be links. */
static bool link_target(const char *path, const char *target, char *out)
{
	char joined[2 * IMAGE_PATH_MAX + 2];
	size_t dir = strrchr(path, '/') ? (size_t)(strrchr(path, '/') - path) : 0;

	if (strlen(target) > IMAGE_PATH_MAX)
		return false;
	while (str_has_prefix(target, "../") && dir) {
		target += 3;
		while (dir && path[--dir] != '/')
			;
	}
	snprintf(joined, sizeof(joined), "%.*s/%s", (int)dir, path, target);
	return image_layer_path(joined, out) == 0;
}

static int extract_entry(struct importer *im, struct archive *tar, struct archive_entry *e, const char *path, void *arg)
{
	char target[IMAGE_PATH_MAX + 1];
	bool linked = false;

	if (archive_entry_hardlink(e))
		linked = image_layer_path(archive_entry_hardlink(e), target) == 0;
	else if (archive_entry_filetype(e) == AE_IFLNK && archive_entry_symlink(e))
		linked = link_target(path, archive_entry_symlink(e), target);
	else if (archive_entry_filetype(e) == AE_IFREG && *path)
		return extract_file(im, tar, path, arg);
	_cleanup_free_ char *what = linked ? xasprintf("@%s", target) : NULL;
	return linked ? remember(im, path, what) : 0;
}

static int import_archive(struct importer *im, int fd)
{
	struct seen seen = {0};
	uint64_t bytes = 0;
	int r = each_entry(im, fd, see_entry, &seen);

	if (r < 0)
		return r;
	if (!seen.any)
		return IMPORT_FAIL(im, -EBADMSG, "is empty");
	bool oci = seen.oci_layout && seen.index;
	if (seen.rootfs || (!oci && !seen.manifest)) {
		if (lseek(fd, 0, SEEK_SET) < 0)
			return -errno;
		return import_rootfs(im, fd, false);
	}
	r = each_entry(im, fd, extract_entry, &bytes);
	if (r < 0)
		return r;
	/* docker writes both; its own manifest has the names. */
	return seen.manifest ? import_docker(im) : import_oci(im);
}

static int import_directory(struct importer *im, const char *path)
{
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return IMPORT_FAIL(im, -errno, "cannot be opened: %s", strerror(errno));
	if (faccessat(dir, "oci-layout", F_OK, 0) == 0 && faccessat(dir, "index.json", F_OK, 0) == 0) {
		im->dir = dir;
		int r = import_oci(im);
		im->dir = -1;
		return r;
	}
	_cleanup_free_ char *file = xasprintf("%s/rootfs.tar", im->tmp);
	_cleanup_close_ int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return IMPORT_FAIL(im, -errno, "%s cannot be created: %s", file, strerror(errno));
	int r = import_tar_of_directory(im, path, fd);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : import_rootfs(im, fd, true);
}

/* ---- writing down ---- */

static int write_images(struct importer *im)
{
	struct image_record *records = arena_zalloc(&im->arena, im->n_images * sizeof(*records));

	for (size_t k = 0; k < im->n_images; k++)
		records[k] = (struct image_record){.id = im->images[k]->id,
						   .manifest = im->images[k]->manifest,
						   .target = im->images[k]->target,
						   .names = im->images[k]->names};
	return image_record(im->store, records, im->n_images, im->err, im->err_len);
}

static int set_platform(struct importer *im, const char *platform)
{
	im->all_platforms = str_eq(platform, IMAGE_PLATFORM_ALL);
	if (platform_parse(im->all_platforms ? NULL : platform, &im->platform) < 0)
		return IMPORT_FAIL(im, -EINVAL, "\"%.100s\" is not a platform such as linux/amd64", platform);
	return 0;
}

static int import_path(struct importer *im, const char *path)
{
	char text[3 * PLATFORM_PART_MAX];
	struct stat st;

	if (stat(path, &st) < 0)
		return IMPORT_FAIL(im, -errno, "%s", strerror(errno));
	int r = set_platform(im, im->options->platform);
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode)) {
		r = import_directory(im, path);
	} else if (S_ISREG(st.st_mode)) {
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? IMPORT_FAIL(im, -errno, "%s", strerror(errno)) : import_archive(im, fd);
	} else {
		r = IMPORT_FAIL(im, -EINVAL, "is neither a file nor a directory");
	}
	if (r < 0)
		return r;
	if (!im->n_images)
		return IMPORT_FAIL(im, -EBADMSG, "has no image for %s", platform_text(&im->platform, text));
	if (!str_empty(im->options->name)) {
		/* The platforms of one index may share a name, other images cannot. */
		for (size_t k = 0; r == 0 && k < im->n_images; k++) {
			if (!str_eq(im->images[k]->target, im->images[0]->target))
				return IMPORT_FAIL(im, -EINVAL, "has %zu images, which cannot all be named %s",
						   im->n_images, im->options->name);
			im->images[k]->n_names = 0;
			memset(im->images[k]->names, 0, sizeof(im->images[k]->names));
			r = import_add_name(im, im->images[k], im->options->name);
		}
	}
	return r < 0 ? r : write_images(im);
}

int image_import(struct image_store *s, const char *path, const struct image_import_options *o, char **ret_id,
		 char *err, size_t err_len)
{
	static const struct image_import_options none;
	char why[400] = "";
	struct importer im = {
	    .store = s, .options = o ? o : &none, .dir = -1, .files = MAP_INIT, .err = why, .err_len = sizeof(why)};
	int r = image_import_begin(s);

	if (r < 0)
		return image_fail(err, err_len, r, "the image store cannot be locked: %s", strerror(-r));
	im.tmp = image_path(s, "tmp/import-XXXXXX");
	if (mkdtemp(im.tmp)) {
		r = import_path(&im, path);
		fs_remove_tree(im.tmp);
	} else {
		r = IMPORT_FAIL(&im, -errno, "%s: %s", im.tmp, strerror(errno));
	}
	image_import_end(s);
	if (r < 0)
		image_collect(s, false); /* layers of what was refused */
	else if (ret_id)
		*ret_id = xstrdup(im.images[im.n_images - 1]->id);
	free(im.tmp);
	map_release(&im.files, NULL);
	arena_release(&im.arena);
	return r < 0 ? image_fail(err, err_len, r, "%s: %s", path, why) : 0;
}
