/* SPDX-License-Identifier: Apache-2.0 */
/* Finding, listing, naming and using images. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/image_internal.h"
#include "image/platform.h"
#include "image/query.h"

#define HEX_PREFIX_MIN 12 /* what docker shows; shorter ones are more likely names */
#define USER_MAX 128
#define LEASE "lease-" /* users that are processes */

void names_release(struct names *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->at[i]);
	VEC_RELEASE(v);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a directory, in order; empty when it isn't there. */
void names_read(const char *path, struct names *out)
{
	DIR *d = opendir(path);

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			VEC_PUSH(out, xstrdup(e->d_name));
	closedir(d);
	if (out->n)
		qsort(out->at, out->n, sizeof(*out->at), by_text);
}

static bool image_there(const struct image_store *s, const char *id)
{
	_cleanup_free_ char *path = image_path(s, "images/%s", id + strlen("sha256:"));
	return access(path, F_OK) == 0;
}

/* Its process lives. One that died left the file. */
static bool lease_held(const char *dir, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	unlink(path);
	return false;
}

/* For the collector: the image was needed just now. */
static void image_touch(const struct image_store *s, const char *hex)
{
	_cleanup_free_ char *path = image_path(s, "images/%s", hex);
	utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
}

bool query_used(const struct image_store *s, const char *id)
{
	_cleanup_free_ char *path = image_path(s, "uses/%s", id + strlen("sha256:"));
	_cleanup_(names_release) struct names users = {0};

	names_read(path, &users);
	for (size_t i = 0; i < users.n; i++)
		if (!str_has_prefix(users.at[i], LEASE) || lease_held(path, users.at[i]))
			return true;
	return false;
}

/* ---- finding ---- */

static int find_by_hex(const struct image_store *s, const char *hex, struct arena *a, const char **ret_id)
{
	_cleanup_free_ char *path = image_path(s, "images");
	_cleanup_(names_release) struct names all = {0};
	const char *found = NULL;

	names_read(path, &all);
	for (size_t i = 0; i < all.n; i++) {
		if (!str_has_prefix(all.at[i], hex))
			continue;
		if (found)
			return -EINVAL;
		found = all.at[i];
	}
	if (!found)
		return -ENOENT;
	*ret_id = arena_printf(a, "sha256:%s", found);
	return 0;
}

/* Of the images that a name has, the one that fits best; NULL platform: any, but this machine's before others. */
static const char *pick(const struct image_store *s, const struct json *ids, const char *platform, struct arena *a)
{
	struct platform want;
	const char *found = NULL;
	int best = -1;

	if (platform_parse(platform, &want) < 0)
		return NULL;
	JSON_EACH(v, ids) {
		const char *id = json_str(v);
		struct platform have;
		struct json *config;
		int fit = 0;
		if (!image_id_valid(id) || !image_there(s, id))
			continue;
		if (!platform && json_len(ids) == 1)
			return id;
		if (image_config_read(s, id, a, &config) == 0) {
			platform_set(&have, json_str(json_get(config, "os")),
				     json_str(json_get(config, "architecture")), json_str(json_get(config, "variant")));
			fit = platform_fit(&want, &have);
		}
		if (fit > best && (fit || !platform)) {
			best = fit;
			found = id;
		}
	}
	return found;
}

/* *ret_name: the reference that led there, NULL when it was an id. The strings are in a. */
int query_find(const struct image_store *s, const struct json *refs, const char *ref, const char *platform,
	       struct arena *a, const char **ret_id, const char **ret_name, char *err, size_t err_len)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *hex = str_or(str_after(ref, "sha256:"), ref);
	bool named = image_ref_normalize(ref, &b) == 0;

	*ret_name = NULL;
	if (named && !image_id_valid(buf_str(&b))) {
		const struct json *entry = json_get(refs, buf_str(&b));
		const char *id = pick(s, json_get(entry, "images"), platform, a);
		if (entry && !id && platform)
			return image_fail(err, err_len, -ENOENT, "image \"%.200s\" is not here for %s", ref, platform);
		if (id) {
			*ret_id = id;
			*ret_name = arena_strdup(a, buf_str(&b));
			return 0;
		}
	}
	if (strlen(hex) >= HEX_PREFIX_MIN && strlen(hex) <= SHA256_HEX && image_hex_valid(hex, strlen(hex))) {
		int r = find_by_hex(s, hex, a, ret_id);
		if (r == -EINVAL)
			return image_fail(err, err_len, r, "several images have an id that starts with %s", ref);
		if (r == 0)
			return 0;
		named = true;
	}
	if (!named)
		return image_fail(err, err_len, -EINVAL, "\"%.200s\" is not a valid image reference", ref);
	return image_fail(err, err_len, -ENOENT, "image \"%.200s\" is not in the image store", ref);
}

struct json *query_image_in(const struct json *entry, const char *id)
{
	JSON_EACH(v, json_get(entry, "images"))
		if (str_eq(json_str(v), id))
			return v;
	return NULL;
}

static bool has_image(const struct json *entry, const char *id)
{
	return query_image_in(entry, id) != NULL;
}

const char *const *query_names(struct arena *a, const struct json *refs, const char *id, bool digests)
{
	const char **out = arena_zalloc(a, (json_len(refs) + 1) * sizeof(*out));
	size_t n = 0;

	JSON_EACH(r, refs)
		if (has_image(r, id) && (strchr(r->key, '@') != NULL) == digests)
			out[n++] = arena_strdup(a, r->key);
	return out;
}

int query_load(const struct image_store *s, const struct json *refs, const char *id, struct image **ret)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char manifest[SHA256_HEX + 1];
	struct json *config;
	int r = image_config_read(s, id, &a, &config);

	if (r == 0)
		r = image_manifest_of(s, id, manifest);
	if (r < 0)
		return r;
	struct image *i = NEW(struct image);
	i->id = arena_strdup(&i->arena, id);
	i->manifest = arena_printf(&i->arena, "sha256:%s", manifest);
	i->repo_tags = query_names(&i->arena, refs, id, false);
	i->repo_digests = query_names(&i->arena, refs, id, true);
	r = image_config_fill(s, i, config);
	if (r < 0) {
		image_free(i);
		return r;
	}
	*ret = i;
	return 0;
}

/* Locks, reads the references. *ret_lock is the caller's to close, also on failure (-1 then). */
int query_begin(const struct image_store *s, bool exclusive, struct arena *a, struct json **ret_refs, int *ret_lock,
		char *err, size_t err_len)
{
	int lock = image_lock(s, exclusive);

	*ret_lock = lock < 0 ? -1 : lock;
	int r = lock < 0 ? lock : image_refs_read(s, a, ret_refs);
	return r < 0 ? image_fail(err, err_len, r, "the image store %s cannot be read: %s", s->dir, strerror(-r)) : 0;
}

/* An importer (a build, an export, a push) relies on what it found; others take image_use or a lease. */
static void pin_part(void *arg, const char *hex, bool layer)
{
	(void)layer;
	image_pin_locked(arg, hex);
}

int image_resolve(struct image_store *s, const char *ref, struct image **ret, char *err, size_t err_len)
{
	return image_resolve_platform(s, ref, NULL, ret, err, err_len);
}

int image_resolve_platform(struct image_store *s, const char *ref, const char *platform, struct image **ret, char *err,
			   size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int lock = -1;
	struct json *refs;
	const char *id, *name;
	int r = query_begin(s, false, &a, &refs, &lock, err, err_len);

	if (r == 0)
		r = query_find(s, refs, ref, platform, &a, &id, &name, err, err_len);
	if (r < 0)
		return r;
	if (image_is_importing(s))
		image_parts_each(s, id + strlen("sha256:"), pin_part, s);
	r = query_load(s, refs, id, ret);
	return r < 0 ? image_fail(err, err_len, r, "image %s is damaged: %s", id, strerror(-r)) : 0;
}

int image_target(const struct image_store *s, const char *ref, char ret[IMAGE_ID_LEN + 1])
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf name = BUF_INIT;
	_cleanup_close_ int lock = -1;
	struct json *refs;

	if (image_ref_normalize(ref, &name) < 0 || query_begin(s, false, &a, &refs, &lock, NULL, 0) < 0)
		return -ENOENT;
	const char *target = json_str(json_get(json_get(refs, buf_str(&name)), "target"));
	if (!image_id_valid(target))
		return -ENOENT;
	strcpy(ret, target);
	return 0;
}

int image_list(struct image_store *s, bool (*fn)(void *arg, const struct image *i), void *arg, char *err,
	       size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int lock = -1;
	_cleanup_(names_release) struct names all = {0};
	_cleanup_free_ char *path = image_path(s, "images");
	struct json *refs;
	int r = query_begin(s, false, &a, &refs, &lock, err, err_len);

	if (r < 0)
		return r;
	names_read(path, &all);
	for (size_t k = 0; k < all.n; k++) {
		_cleanup_free_ char *id = xasprintf("sha256:%s", all.at[k]);
		struct image *i;
		if (!image_id_valid(id) || query_load(s, refs, id, &i) < 0)
			continue;
		bool more = fn(arg, i);
		image_free(i);
		if (!more)
			break;
	}
	return 0;
}

int image_tag(struct image_store *s, const char *ref, const char *new_ref, char *err, size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int lock = -1;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json *refs;
	const char *id, *name;

	if (image_ref_normalize(new_ref, &b) < 0 || image_id_valid(buf_str(&b)) || strchr(buf_str(&b), '@'))
		return image_fail(err, err_len, -EINVAL, "\"%.200s\" is not a name that an image can be given",
				  new_ref);
	int r = query_begin(s, true, &a, &refs, &lock, err, err_len);
	if (r == 0)
		r = query_find(s, refs, ref, NULL, &a, &id, &name, err, err_len);
	if (r < 0)
		return r;
	struct json *entry = name ? json_clone(&a, json_get(refs, name)) : json_new(&a, JSON_OBJECT);
	if (!name) {
		char manifest[SHA256_HEX + 1];
		r = image_manifest_of(s, id, manifest);
		if (r < 0)
			return image_fail(err, err_len, r, "image %s is damaged: %s", id, strerror(-r));
		json_set(&a, entry, "target", json_new_strf(&a, "sha256:%s", manifest));
		json_append(json_array_in(&a, entry, "images"), json_new_str(&a, id));
	}
	json_set(&a, refs, arena_strdup(&a, buf_str(&b)), entry);
	r = image_refs_write(s, refs);
	return r < 0 ? image_fail(err, err_len, r, "refs.json cannot be written: %s", strerror(-r)) : 0;
}

/* ---- use ---- */

static bool user_valid(const char *user)
{
	size_t len = strlen(user);

	return len && len <= USER_MAX && user[0] != '.' &&
	       strspn(user, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

int image_use(struct image_store *s, const char *id, const char *user, char *err, size_t err_len)
{
	if (!image_id_valid(id) || !user_valid(user))
		return image_fail(err, err_len, -EINVAL, "not an image id or user");
	const char *hex = id + strlen("sha256:");
	_cleanup_free_ char *dir = image_path(s, "uses/%s", hex), *path = image_path(s, "uses/%s/%s", hex, user);
	_cleanup_close_ int lock = image_lock(s, true);
	if (lock < 0)
		return image_fail(err, err_len, lock, "the image store cannot be locked: %s", strerror(-lock));
	if (!image_there(s, id))
		return image_fail(err, err_len, -ENOENT, "image %s is not in the image store", id);
	_cleanup_close_ int fd = -1;
	if ((mkdir(dir, 0700) < 0 && errno != EEXIST) || (fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) < 0)
		return image_fail(err, err_len, -errno, "%s cannot be created: %s", path, strerror(errno));
	image_touch(s, hex);
	return 0;
}

int image_lease(struct image_store *s, const char *id, const char *name, char *err, size_t err_len)
{
	_cleanup_free_ char *user = xasprintf(LEASE "%s", name);
	int r = image_use(s, id, user, err, err_len);

	if (r < 0)
		return r;
	_cleanup_free_ char *path = image_path(s, "uses/%s/%s", id + strlen("sha256:"), user);
	_cleanup_close_ int lock = image_lock(s, true); /* nobody takes it for a dead one's meanwhile */
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return image_fail(err, err_len, -errno, "%s cannot be locked: %s", path, strerror(errno));
	return TAKE_FD(fd);
}

static void unuse(const struct image_store *s, const char *hex, const char *user)
{
	_cleanup_free_ char *dir = image_path(s, "uses/%s", hex), *path = image_path(s, "uses/%s/%s", hex, user);

	unlink(path);
	rmdir(dir); /* stays while it has others */
	image_touch(s, hex);
}

int image_unuse(struct image_store *s, const char *id, const char *user)
{
	if (!image_id_valid(id) || !user_valid(user))
		return -EINVAL;
	_cleanup_close_ int lock = image_lock(s, true);
	if (lock < 0)
		return lock;
	unuse(s, id + strlen("sha256:"), user);
	return 0;
}

int image_uses_keep(struct image_store *s, bool (*keep)(void *arg, const char *id, const char *user), void *arg)
{
	_cleanup_free_ char *path = image_path(s, "uses");
	_cleanup_(names_release) struct names images = {0};
	_cleanup_close_ int lock = image_lock(s, true);

	if (lock < 0)
		return lock;
	names_read(path, &images);
	for (size_t i = 0; i < images.n; i++) {
		_cleanup_free_ char *id = xasprintf("sha256:%s", images.at[i]);
		_cleanup_free_ char *dir = image_path(s, "uses/%s", images.at[i]);
		_cleanup_(names_release) struct names users = {0};
		names_read(dir, &users);
		for (size_t k = 0; k < users.n; k++)
			if (!str_has_prefix(users.at[k], LEASE) && !keep(arg, id, users.at[k]))
				unuse(s, images.at[i], users.at[k]);
	}
	return 0;
}

/* ---- filling ---- */

int image_record(struct image_store *s, const struct image_record *records, size_t n, char *err, size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int lock = -1, dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct json *refs;
	int r = dir < 0 || syncfs(dir) < 0 ? -errno : 0; /* all that the records lead to, before them */

	if (r < 0)
		return image_fail(err, err_len, r, "the image store cannot be written: %s", strerror(-r));
	r = query_begin(s, true, &a, &refs, &lock, err, err_len);
	for (size_t k = 0; r == 0 && k < n; k++) {
		const struct image_record *i = &records[k];
		_cleanup_free_ char *path = image_path(s, "images/%s", i->id + strlen("sha256:"));
		r = fs_write_atomic(path, i->manifest, strlen(i->manifest), 0600);
		for (const char *const *name = i->names; r == 0 && *name; name++) {
			struct json *entry = json_object_in(&a, refs, *name);
			if (!str_eq(json_str(json_get(entry, "target")), i->target))
				json_set(&a, entry, "images", json_new(&a, JSON_ARRAY));
			json_set_str(&a, entry, "target", i->target);
			if (!has_image(entry, i->id))
				json_append(json_array_in(&a, entry, "images"), json_new_str(&a, i->id));
		}
	}
	if (r == 0)
		r = image_refs_write(s, refs);
	return r < 0 ? image_fail(err, err_len, r, "the image cannot be written down: %s", strerror(-r)) : 0;
}
