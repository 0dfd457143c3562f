/* SPDX-License-Identifier: Apache-2.0 */
/* The store's directory: opening and repairing it, locks, references, throwing away. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image_internal.h"
#include "image/manifest.h"

#define PARTIAL_S_MAX (24 * 3600) /* a download that nobody went on with for a day */

int image_fail(char *err, size_t err_len, int r, const char *fmt, ...)
{
	va_list ap;

	if (err && err_len) {
		va_start(ap, fmt);
		vsnprintf(err, err_len, fmt, ap);
		va_end(ap);
	}
	return r;
}

char *image_path(const struct image_store *s, const char *fmt, ...)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char rest[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	buf_addf(&b, "%s/%s", s->dir, rest);
	return buf_steal(&b, NULL);
}

/* ---- locks ---- */

static int lock_file(const struct image_store *s, const char *name, int how)
{
	_cleanup_free_ char *path = image_path(s, "%s", name);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return -errno;
	return TAKE_FD(fd);
}

int image_lock(const struct image_store *s, bool exclusive)
{
	return lock_file(s, "lock", exclusive ? LOCK_EX : LOCK_SH);
}

int image_lock_import(const struct image_store *s)
{
	return lock_file(s, "importing", LOCK_SH);
}

int image_lock_layer(const struct image_store *s, const char *hex)
{
	_cleanup_free_ char *name = xasprintf("locks/%s", hex);
	return lock_file(s, name, LOCK_EX);
}

int image_importing(const struct image_store *s)
{
	return image_lock_import(s);
}

/* ---- refs.json ---- */

int image_refs_read(const struct image_store *s, struct arena *a, struct json **ret)
{
	_cleanup_free_ char *path = image_path(s, "refs.json");
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json_error je;
	int r = fs_read(path, IMAGE_JSON_MAX, &b);

	if (r == -ENOENT) {
		*ret = json_new(a, JSON_OBJECT);
		return 0;
	}
	if (r < 0)
		return r;
	if (json_parse(a, b.data, b.len, ret, &je) < 0 || !json_is(*ret, JSON_OBJECT))
		return -EBADMSG;
	return 0;
}

int image_refs_write(const struct image_store *s, const struct json *refs)
{
	_cleanup_free_ char *path = image_path(s, "refs.json");
	_cleanup_buf_ struct buf b = BUF_INIT;

	json_write_pretty(&b, refs);
	buf_addc(&b, '\n');
	return fs_write_atomic(path, b.data, b.len, 0600);
}

/* ---- throwing away ---- */

/* Names in DIR/sub; the caller frees the map. */
static void names_in(const struct image_store *s, const char *sub, struct map *out)
{
	_cleanup_free_ char *path = image_path(s, "%s", sub);
	DIR *d = opendir(path);

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			map_set(out, e->d_name, out);
	closedir(d);
}

static void remove_in(const struct image_store *s, const char *sub, const char *name)
{
	_cleanup_free_ char *path = image_path(s, "%s/%s", sub, name);
	int r = fs_remove_tree(path);

	if (r < 0)
		log_warn("image store cannot remove path=%s reason=\"%s\"", path, strerror(-r));
}

/* Marks the layers and blobs of an image as needed. */
static int keep_image(const struct image_store *s, const char *hex, struct map *layers, struct map *blobs)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ char *id = xasprintf("sha256:%s", hex);
	char manifest[SHA256_HEX + 1], why[128];
	struct json *config, *v;
	struct manifest m;
	const char *text;
	size_t n = 0, len;
	int r = image_config_read(s, id, &a, &config);
	const char **diff_ids = r < 0 ? NULL : image_diff_ids(&a, config, &n);

	if (!diff_ids)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++)
		map_remove(layers, diff_ids[i]);
	map_remove(blobs, hex);
	r = image_manifest_of(s, id, manifest);
	if (r == 0)
		r = image_blob_json(s, manifest, &a, &v, &text, &len);
	if (r == 0)
		r = manifest_parse(&a, text, len, &m, why, sizeof(why));
	if (r < 0)
		return r;
	map_remove(blobs, manifest);
	for (size_t i = 0; i < m.n_parts; i++)
		map_remove(blobs, m.parts[i].hex);
	return 0;
}

/* What names stand for: indexes, besides the manifests of images. */
static int keep_targets(const struct image_store *s, struct map *blobs)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *refs;
	int r = image_refs_read(s, &a, &refs);

	if (r < 0)
		return r;
	JSON_EACH(ref, refs) {
		const char *target = json_str(json_get(ref, "target"));
		if (target && str_after(target, "sha256:"))
			map_remove(blobs, str_after(target, "sha256:"));
	}
	return 0;
}

/* A layer leaves its place whole, so that a crash meanwhile doesn't leave a part of one there. */
static void remove_layer(const struct image_store *s, const char *hex)
{
	_cleanup_free_ char *path = image_path(s, "layers/%s", hex), *away = image_path(s, "tmp/gone-%s", hex);

	if (rename(path, away) == 0)
		remove_in(s, "tmp", strrchr(away, '/') + 1);
}

/* A download is worth keeping for a while: the next pull goes on where it was cut off. */
static bool fresh(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_mtime >= now_s() - PARTIAL_S_MAX && st.st_mtime <= now_s();
}

static void sweep_blob(const struct image_store *s, const char *hex, bool keep_downloads)
{
	_cleanup_free_ char *path = image_path(s, "blobs/%s", hex), *back = image_path(s, "partial/%s", hex);
	struct stat st;

	/* Manifests and configurations are asked for again anyway. */
	if (keep_downloads && fresh(path) && stat(path, &st) == 0 && st.st_size > IMAGE_JSON_MAX &&
	    rename(path, back) == 0)
		return;
	unlink(path);
}

static void sweep_partial(const struct image_store *s, bool keep_downloads)
{
	struct map partial = MAP_INIT;

	names_in(s, "partial", &partial);
	MAP_EACH(slot, &partial) {
		_cleanup_free_ char *path = image_path(s, "partial/%s", slot->key);
		if (!keep_downloads || !fresh(path))
			unlink(path);
	}
	map_release(&partial, NULL);
}

static void sweep_leftovers(const struct image_store *s)
{
	static const char *const scratch[] = {"tmp", "locks"};
	struct map top = MAP_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(scratch); i++) {
		struct map names = MAP_INIT;
		names_in(s, scratch[i], &names);
		MAP_EACH(slot, &names)
			remove_in(s, scratch[i], slot->key);
		map_release(&names, NULL);
	}
	names_in(s, "", &top); /* what atomic writes leave when they are cut short */
	MAP_EACH(slot, &top)
		if (str_has_prefix(slot->key, "refs.json."))
			remove_in(s, ".", slot->key);
	map_release(&top, NULL);
}

void image_collect(struct image_store *s, bool keep_downloads)
{
	struct map layers = MAP_INIT, images = MAP_INIT, blobs = MAP_INIT;
	_cleanup_close_ int importers = lock_file(s, "importing", LOCK_EX | LOCK_NB);
	if (importers < 0)
		return; /* whoever is importing needs layers that no image has yet */
	_cleanup_close_ int lock = image_lock(s, true);
	if (lock < 0)
		return;
	sweep_leftovers(s);
	sweep_partial(s, keep_downloads);
	names_in(s, "layers", &layers);
	names_in(s, "blobs", &blobs);
	names_in(s, "images", &images);
	bool sure = keep_targets(s, &blobs) == 0;
	MAP_EACH(slot, &images) {
		if (strlen(slot->key) != SHA256_HEX || !image_hex_valid(slot->key, SHA256_HEX)) {
			remove_in(s, "images", slot->key);
		} else if (keep_image(s, slot->key, &layers, &blobs) < 0) {
			log_warn("image store has an unreadable image id=%s", slot->key);
			sure = false; /* what it needs is unknown: keep all */
		}
	}
	/* Names go first: their removal is quick. The lock isn't needed for what nobody can find any more. */
	MAP_EACH(slot, &blobs)
		if (sure)
			sweep_blob(s, slot->key, keep_downloads);
	MAP_EACH(slot, &layers)
		if (sure)
			remove_layer(s, slot->key);
	map_release(&layers, NULL);
	map_release(&images, NULL);
	map_release(&blobs, NULL);
}

uint64_t image_disk_used(const struct image_store *s)
{
	struct map blobs = MAP_INIT, layers = MAP_INIT;
	uint64_t sum = 0, n;

	names_in(s, "blobs", &blobs);
	MAP_EACH(slot, &blobs)
		if (image_blob_there(s, slot->key, &n))
			sum += n;
	names_in(s, "layers", &layers);
	MAP_EACH(slot, &layers) {
		_cleanup_free_ char *path = image_path(s, "layers/%s/size", slot->key);
		_cleanup_buf_ struct buf b = BUF_INIT;
		if (fs_read(path, 32, &b) == 0 && parse_u64(buf_str(&b), &n) == 0)
			sum += n;
	}
	map_release(&blobs, NULL);
	map_release(&layers, NULL);
	return sum;
}

/* ---- opening ---- */

int image_store_open(const char *dir, struct image_store **ret, char *err, size_t err_len)
{
	static const char *const parts[] = {"images", "blobs", "layers", "locks", "partial", "uses", "tmp"};
	struct image_store *s;
	int r = fs_mkdir_p(dir, 0700);

	if (r < 0)
		return image_fail(err, err_len, r, "%s cannot be created: %s", dir, strerror(-r));
	s = NEW(struct image_store);
	s->dir = realpath(dir, NULL);
	for (size_t i = 0; s->dir && i < ARRAY_SIZE(parts); i++) {
		_cleanup_free_ char *path = image_path(s, "%s", parts[i]);
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			r = image_fail(err, err_len, -errno, "%s cannot be created: %s", path, strerror(errno));
			image_store_close(s);
			return r;
		}
	}
	if (!s->dir) {
		r = image_fail(err, err_len, -errno, "%s: %s", dir, strerror(errno));
		image_store_close(s);
		return r;
	}
	image_collect(s, true);
	*ret = s;
	return 0;
}

struct image_store *image_store_dup(const struct image_store *s)
{
	struct image_store *copy = NEW(struct image_store);

	copy->dir = xstrdup(s->dir);
	return copy;
}

void image_store_close(struct image_store *s)
{
	if (!s)
		return;
	free(s->dir);
	free(s);
}
