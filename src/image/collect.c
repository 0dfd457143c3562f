/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Throwing away what nobody needs. What is needed is found, and what isn't is moved to tmp/, under the store's lock,
 * which takes no longer than reading the images' manifests; deleting the trees, which may take seconds, is done after
 * it was let go of. So whoever starts a container or a pull meanwhile hardly waits.
 */
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
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

struct collector {
	struct image_store *s;
	bool keep_downloads, alone; /* alone: nobody imports */
	struct map layers, blobs;   /* what is there and nobody needs, as far as is known */
	struct map trash;	    /* names in tmp */
	uint64_t freed;
};

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

/* ---- what is needed ---- */

int image_parts_each(const struct image_store *s, const char *hex, void (*fn)(void *arg, const char *hex, bool layer),
		     void *arg)
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
	r = image_manifest_of(s, id, manifest);
	if (r == 0)
		r = image_blob_json(s, manifest, &a, &v, &text, &len);
	if (r == 0)
		r = manifest_parse(&a, text, len, &m, why, sizeof(why));
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		fn(arg, diff_ids[i], true);
	fn(arg, hex, false);
	fn(arg, manifest, false);
	for (size_t i = 0; i < m.n_parts; i++)
		fn(arg, m.parts[i].hex, false);
	return 0;
}

static void needed(void *arg, const char *hex, bool layer)
{
	struct collector *c = arg;
	map_remove(layer ? &c->layers : &c->blobs, hex);
}

static void pinned(void *arg, const char *hex)
{
	needed(arg, hex, true);
	needed(arg, hex, false);
}

/* What names stand for: indexes, besides the manifests of images. */
static int keep_targets(struct collector *c)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *refs;
	int r = image_refs_read(c->s, &a, &refs);

	if (r < 0)
		return r;
	JSON_EACH(ref, refs) {
		const char *target = json_str(json_get(ref, "target"));
		if (target && str_after(target, "sha256:"))
			map_remove(&c->blobs, str_after(target, "sha256:"));
	}
	return 0;
}

/* False: what is needed cannot be told, so everything is kept. */
static bool find_needed(struct collector *c)
{
	struct map images = MAP_INIT;
	bool sure = keep_targets(c) == 0 && image_pins_each(c->s, pinned, c) == 0;

	names_in(c->s, "images", &images);
	MAP_EACH(slot, &images) {
		if (strlen(slot->key) != SHA256_HEX || !image_hex_valid(slot->key, SHA256_HEX)) {
			remove_in(c->s, "images", slot->key);
		} else if (image_parts_each(c->s, slot->key, needed, c) < 0) {
			log_warn("image store has an unreadable image id=%s", slot->key);
			sure = false;
		}
	}
	map_release(&images, NULL);
	return sure;
}

/* ---- out of sight ---- */

/* Whole, so that a crash meanwhile doesn't leave a part of it in its place. */
static void move_away(struct collector *c, const char *path, uint64_t bytes)
{
	static atomic_uint n;
	_cleanup_free_ char *name = xasprintf("gone-%d-%u", (int)getpid(), atomic_fetch_add(&n, 1));
	_cleanup_free_ char *to = image_path(c->s, "tmp/%s", name);

	if (rename(path, to) < 0)
		return;
	map_set(&c->trash, name, c);
	c->freed += bytes;
}

/* A download is worth keeping for a while: the next pull goes on where it was cut off. */
static bool fresh(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_mtime >= now_s() - PARTIAL_S_MAX && st.st_mtime <= now_s();
}

static void sweep_blob(struct collector *c, const char *hex)
{
	_cleanup_free_ char *path = image_path(c->s, "blobs/%s", hex), *back = image_path(c->s, "partial/%s", hex);
	uint64_t size = 0;

	if (!image_blob_size(c->s, hex, &size))
		return;
	/* Manifests and configurations are asked for again anyway. */
	if (c->keep_downloads && size > IMAGE_JSON_MAX && fresh(path) && access(back, F_OK) < 0 &&
	    rename(path, back) == 0)
		return;
	move_away(c, path, size);
}

static void sweep_layer(struct collector *c, const char *hex)
{
	_cleanup_free_ char *path = image_path(c->s, "layers/%s", hex);
	uint64_t size = 0;

	image_layer_size(c->s, hex, &size);
	move_away(c, path, size);
}

static void sweep_partial(struct collector *c)
{
	struct map partial = MAP_INIT;

	names_in(c->s, "partial", &partial);
	MAP_EACH(slot, &partial) {
		_cleanup_free_ char *path = image_path(c->s, "partial/%s", slot->key);
		struct stat st;
		if (!c->keep_downloads || !fresh(path))
			move_away(c, path, stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0);
	}
	map_release(&partial, NULL);
}

/* Of importers that are gone. Their names in tmp are random and won't be another's. */
static void sweep_leftovers(struct collector *c)
{
	struct map locks = MAP_INIT, top = MAP_INIT;

	names_in(c->s, "tmp", &c->trash);
	names_in(c->s, "locks", &locks);
	MAP_EACH(slot, &locks)
		remove_in(c->s, "locks", slot->key);
	names_in(c->s, "", &top); /* what atomic writes leave when they are cut short */
	MAP_EACH(slot, &top)
		if (str_has_prefix(slot->key, "refs.json."))
			remove_in(c->s, ".", slot->key);
	map_release(&locks, NULL);
	map_release(&top, NULL);
	sweep_partial(c);
}

static void sweep(struct collector *c)
{
	_cleanup_close_ int importers = image_lock_file(c->s, "importing", LOCK_EX | LOCK_NB);
	_cleanup_close_ int lock = image_lock(c->s, true);

	if (lock < 0)
		return;
	c->alone = importers >= 0;
	if (c->alone)
		sweep_leftovers(c);
	names_in(c->s, "layers", &c->layers);
	names_in(c->s, "blobs", &c->blobs);
	if (!find_needed(c))
		return;
	/* Before layers: a blob can be unpacked again, the other way round it cannot. */
	MAP_EACH(slot, &c->layers)
		sweep_layer(c, slot->key);
	MAP_EACH(slot, &c->blobs)
		sweep_blob(c, slot->key);
}

uint64_t image_collect(struct image_store *s, bool keep_downloads)
{
	struct collector c = {.s = s, .keep_downloads = keep_downloads};

	sweep(&c);
	MAP_EACH(slot, &c.trash)
		remove_in(s, "tmp", slot->key);
	map_release(&c.layers, NULL);
	map_release(&c.blobs, NULL);
	map_release(&c.trash, NULL);
	return c.freed;
}
