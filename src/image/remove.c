/* SPDX-License-Identifier: Apache-2.0 */
/* Removing images: one by one, what nobody needs, and by how full the disk is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/query.h"

/* ---- removal ---- */

/* Nothing leads to the image any more. */
static void drop_names(struct json *refs, const char *id)
{
	for (struct json *r = json_first(refs); r;) {
		struct json *next = json_next(refs, r), *images = json_get(r, "images"), *v = query_image_in(r, id);
		if (v)
			json_remove_child(images, v);
		if (v && !json_len(images))
			json_remove_child(refs, r);
		r = next;
	}
}

/* Under the lock. */
static int drop_image(struct image_store *s, struct json *refs, const char *id, char *err, size_t err_len)
{
	_cleanup_free_ char *path = image_path(s, "images/%s", id + strlen("sha256:"));

	if (query_used(s, id))
		return image_fail(err, err_len, -EBUSY, "image %s is in use", id);
	drop_names(refs, id);
	int r = image_refs_write(s, refs);
	if (r == 0 && unlink(path) < 0)
		r = -errno;
	return r < 0 ? image_fail(err, err_len, r, "image %s cannot be removed: %s", id, strerror(-r)) : 0;
}

/* Under the lock. Images go, with their digests, when the name was their last tag. */
static int drop_name(struct image_store *s, struct json *refs, const char *name, bool *ret_gone, char *err,
		     size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *ids = json_clone(&a, json_get(json_get(refs, name), "images"));

	JSON_EACH(v, ids)
		if (!query_names(&a, refs, json_str(v), false)[0] ||
		    (str_eq(query_names(&a, refs, json_str(v), false)[0], name) &&
		     !query_names(&a, refs, json_str(v), false)[1]))
			if (query_used(s, json_str(v)))
				return image_fail(err, err_len, -EBUSY, "image %s is in use", json_str(v));
	json_remove(refs, name);
	int r = image_refs_write(s, refs);
	if (r < 0)
		return image_fail(err, err_len, r, "refs.json cannot be written: %s", strerror(-r));
	JSON_EACH(v, ids) {
		if (query_names(&a, refs, json_str(v), false)[0])
			continue;
		*ret_gone = true;
		r = drop_image(s, refs, json_str(v), err, err_len);
		if (r < 0)
			return r;
	}
	return 0;
}

int image_remove(struct image_store *s, const char *ref, char *err, size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *refs;
	const char *id, *name;
	bool gone = false;
	int lock, r = query_begin(s, true, &a, &refs, &lock, err, err_len);

	if (r == 0)
		r = query_find(s, refs, ref, NULL, &a, &id, &name, err, err_len);
	if (r == 0 && name)
		r = drop_name(s, refs, name, &gone, err, err_len);
	else if (r == 0) {
		r = drop_image(s, refs, id, err, err_len);
		gone = r == 0;
	}
	cleanup_close(&lock);
	if (gone)
		image_collect(s, false);
	return r;
}

/* ---- what nobody needs ---- */

int image_prune(struct image_store *s, bool all, void (*fn)(void *arg, const struct image *i), void *arg,
		uint64_t *ret_freed, char *err, size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_(names_release) struct names ids = {0};
	_cleanup_free_ char *path = image_path(s, "images");
	struct json *refs;
	int lock, r = query_begin(s, true, &a, &refs, &lock, err, err_len);

	names_read(path, &ids);
	for (size_t k = 0; r == 0 && k < ids.n; k++) {
		const char *id = arena_printf(&a, "sha256:%s", ids.at[k]);
		struct image *i = NULL;
		if (!image_id_valid(id) || query_used(s, id) || (!all && query_names(&a, refs, id, false)[0]))
			continue;
		query_load(s, refs, id, &i);
		r = drop_image(s, refs, id, err, err_len);
		if (r == 0 && i && fn)
			fn(arg, i);
		image_free(i);
	}
	cleanup_close(&lock);
	if (r < 0)
		return r;
	*ret_freed = image_collect(s, false);
	return 0;
}

/* ---- collection by disk ---- */

struct candidate {
	char hex[SHA256_HEX + 1];
	int64_t used_s; /* last */
};

static int by_use(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	return x->used_s < y->used_s ? -1 : x->used_s > y->used_s;
}

/* Bytes that have to go so that low_percent are used, when more than percent are; else 0. */
static uint64_t disk_excess(const struct image_store *s, const struct image_gc_policy *p, unsigned percent)
{
	struct statvfs fs;

	if (p->high_percent >= 100 || statvfs(s->dir, &fs) < 0 || !fs.f_blocks)
		return 0;
	/* As df counts: what root keeps to itself is neither used nor free. */
	uint64_t used = fs.f_blocks - fs.f_bfree, all = used + fs.f_bavail;
	if (!all || used * 100 <= all * percent)
		return 0;
	return (used - all * p->low_percent / 100) * fs.f_frsize;
}

/* Images that nobody uses, those used longest ago first; the caller's to free. */
static struct candidate *candidates(const struct image_store *s, size_t *ret_n)
{
	_cleanup_free_ char *dir = image_path(s, "images");
	_cleanup_(names_release) struct names ids = {0};

	names_read(dir, &ids);
	struct candidate *out = xcalloc(ids.n + 1, sizeof(*out));
	for (size_t i = 0; i < ids.n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, ids.at[i]);
		_cleanup_free_ char *id = xasprintf("sha256:%s", ids.at[i]);
		struct stat st;
		if (!image_id_valid(id) || stat(path, &st) < 0 || query_used(s, id))
			continue;
		strcpy(out[*ret_n].hex, ids.at[i]);
		out[(*ret_n)++].used_s = st.st_mtime;
	}
	qsort(out, *ret_n, sizeof(*out), by_use);
	return out;
}

/* One at a time, and the lock only for that long: whoever starts a container meanwhile hardly waits. */
static int collect_one(struct image_store *s, const char *hex, int64_t used_s, bool *ret_gone, char *err,
		       size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ char *id = xasprintf("sha256:%s", hex), *path = image_path(s, "images/%s", hex);
	_cleanup_close_ int lock = -1;
	struct json *refs;
	struct stat st;
	int r = query_begin(s, true, &a, &refs, &lock, err, err_len);

	/* It may have been used since it was looked at. */
	if (r < 0 || stat(path, &st) < 0 || st.st_mtime != used_s || query_used(s, id))
		return r;
	r = drop_image(s, refs, id, err, err_len);
	*ret_gone = r == 0;
	return r;
}

int image_gc(struct image_store *s, const struct image_gc_policy *p, struct image_gc_result *ret, char *err,
	     size_t err_len)
{
	/* What nobody needs goes first: importers that died, layers of images that were removed during a pull. */
	struct image_gc_result result = {.freed = image_collect(s, true)};
	int64_t now = now_s();
	size_t n = 0;
	int r = 0;
	_cleanup_free_ struct candidate *all = candidates(s, &n);

	result.wanted = disk_excess(s, p, p->high_percent);
	if (result.wanted)
		result.freed = image_collect(s, false);
	for (size_t i = 0; i < n && r == 0; i++) {
		bool old = p->max_age_s && now - all[i].used_s > p->max_age_s, gone = false;
		/* Begun at the high mark, it goes on to the low one. */
		bool full = result.wanted > result.freed && disk_excess(s, p, p->low_percent) &&
			    now - all[i].used_s >= p->min_age_s;
		if (!old && !full)
			continue;
		r = collect_one(s, all[i].hex, all[i].used_s, &gone, err, err_len);
		if (!gone)
			continue;
		result.removed++;
		result.freed += image_collect(s, false);
	}
	*ret = result;
	return r;
}
