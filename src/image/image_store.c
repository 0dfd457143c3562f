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

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image_internal.h"

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

/* Marks the layers of an image as needed. */
static int keep_layers(const struct image_store *s, const char *hex, struct map *layers)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ char *id = xasprintf("sha256:%s", hex);
	struct json *config;
	size_t n;
	int r = image_config_read(s, id, &a, &config);
	const char **diff_ids = r < 0 ? NULL : image_diff_ids(&a, config, &n);

	for (size_t i = 0; diff_ids && i < n; i++)
		map_remove(layers, diff_ids[i]);
	return diff_ids ? 0 : -EBADMSG;
}

/* A layer leaves its place whole, so that a crash meanwhile doesn't leave a part of one there. */
static void remove_layer(const struct image_store *s, const char *hex)
{
	_cleanup_free_ char *path = image_path(s, "layers/%s", hex), *away = image_path(s, "tmp/gone-%s", hex);

	if (rename(path, away) == 0)
		remove_in(s, "tmp", strrchr(away, '/') + 1);
}

void image_collect(struct image_store *s)
{
	struct map layers = MAP_INIT, configs = MAP_INIT, tmp = MAP_INIT, top = MAP_INIT;
	_cleanup_close_ int importers = lock_file(s, "importing", LOCK_EX | LOCK_NB);
	if (importers < 0)
		return; /* whoever is importing needs layers that no image has yet */
	_cleanup_close_ int lock = image_lock(s, true);
	if (lock < 0)
		return;
	names_in(s, "tmp", &tmp);
	MAP_EACH(slot, &tmp)
		remove_in(s, "tmp", slot->key);
	names_in(s, "", &top); /* what atomic writes leave when they are cut short */
	MAP_EACH(slot, &top)
		if (str_has_prefix(slot->key, "refs.json."))
			remove_in(s, ".", slot->key);
	names_in(s, "layers", &layers);
	names_in(s, "configs", &configs);
	bool sure = true;
	MAP_EACH(slot, &configs) {
		if (strlen(slot->key) != SHA256_HEX || !image_hex_valid(slot->key, SHA256_HEX)) {
			remove_in(s, "configs", slot->key);
		} else if (keep_layers(s, slot->key, &layers) < 0) {
			log_warn("image store has an unreadable configuration id=%s", slot->key);
			sure = false; /* its layers are unknown: keep all */
		}
	}
	MAP_EACH(slot, &layers)
		if (sure)
			remove_layer(s, slot->key);
	map_release(&layers, NULL);
	map_release(&configs, NULL);
	map_release(&tmp, NULL);
	map_release(&top, NULL);
}

/* ---- opening ---- */

int image_store_open(const char *dir, struct image_store **ret, char *err, size_t err_len)
{
	static const char *const parts[] = {"configs", "layers", "uses", "tmp"};
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
	image_collect(s);
	*ret = s;
	return 0;
}

void image_store_close(struct image_store *s)
{
	if (!s)
		return;
	free(s->dir);
	free(s);
}
