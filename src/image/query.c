/* SPDX-License-Identifier: Apache-2.0 */
/* Finding, listing, naming, using and removing images. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/image_internal.h"

#define HEX_PREFIX_MIN 12 /* what docker shows; shorter ones are more likely names */
#define USER_MAX 128

struct names {
	char **at;
	size_t n, cap;
};

static void names_release(struct names *v)
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
static void names_read(const char *path, struct names *out)
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
	_cleanup_free_ char *path = image_path(s, "configs/%s", id + strlen("sha256:"));
	return access(path, F_OK) == 0;
}

static bool image_used(const struct image_store *s, const char *id)
{
	_cleanup_free_ char *path = image_path(s, "uses/%s", id + strlen("sha256:"));
	_cleanup_(names_release) struct names users = {0};

	names_read(path, &users);
	return users.n > 0;
}

/* ---- finding ---- */

static int find_by_hex(const struct image_store *s, const char *hex, struct arena *a, const char **ret_id)
{
	_cleanup_free_ char *path = image_path(s, "configs");
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

/* *ret_name: the reference that led there, NULL when it was an id. The strings are in a. */
static int find(const struct image_store *s, const struct json *refs, const char *ref, struct arena *a,
		const char **ret_id, const char **ret_name, char *err, size_t err_len)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *hex = str_or(str_after(ref, "sha256:"), ref);
	bool named = image_ref_normalize(ref, &b) == 0;

	*ret_name = NULL;
	if (named && !image_id_valid(buf_str(&b))) {
		const char *id = json_str(json_get(refs, buf_str(&b)));
		if (image_id_valid(id) && image_there(s, id)) {
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

static const char *const *names_of(struct arena *a, const struct json *refs, const char *id, bool digests)
{
	const char **out = arena_zalloc(a, (json_len(refs) + 1) * sizeof(*out));
	size_t n = 0;

	JSON_EACH(r, refs)
		if (str_eq(json_str(r), id) && (strchr(r->key, '@') != NULL) == digests)
			out[n++] = arena_strdup(a, r->key);
	return out;
}

static int load(const struct image_store *s, const struct json *refs, const char *id, struct image **ret)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *config;
	int r = image_config_read(s, id, &a, &config);

	if (r < 0)
		return r;
	struct image *i = NEW(struct image);
	i->id = arena_strdup(&i->arena, id);
	i->repo_tags = names_of(&i->arena, refs, id, false);
	i->repo_digests = names_of(&i->arena, refs, id, true);
	r = image_config_fill(s, i, config);
	if (r < 0) {
		image_free(i);
		return r;
	}
	*ret = i;
	return 0;
}

/* Locks, reads the references. *ret_lock is the caller's to close, also on failure (-1 then). */
static int begin(const struct image_store *s, bool exclusive, struct arena *a, struct json **ret_refs, int *ret_lock,
		 char *err, size_t err_len)
{
	int lock = image_lock(s, exclusive);

	*ret_lock = lock < 0 ? -1 : lock;
	int r = lock < 0 ? lock : image_refs_read(s, a, ret_refs);
	return r < 0 ? image_fail(err, err_len, r, "the image store %s cannot be read: %s", s->dir, strerror(-r)) : 0;
}

int image_resolve(struct image_store *s, const char *ref, struct image **ret, char *err, size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int lock = -1;
	struct json *refs;
	const char *id, *name;
	int r = begin(s, false, &a, &refs, &lock, err, err_len);

	if (r == 0)
		r = find(s, refs, ref, &a, &id, &name, err, err_len);
	if (r < 0)
		return r;
	r = load(s, refs, id, ret);
	return r < 0 ? image_fail(err, err_len, r, "image %s is damaged: %s", id, strerror(-r)) : 0;
}

int image_list(struct image_store *s, bool (*fn)(void *arg, const struct image *i), void *arg, char *err,
	       size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_close_ int lock = -1;
	_cleanup_(names_release) struct names all = {0};
	_cleanup_free_ char *path = image_path(s, "configs");
	struct json *refs;
	int r = begin(s, false, &a, &refs, &lock, err, err_len);

	if (r < 0)
		return r;
	names_read(path, &all);
	for (size_t k = 0; k < all.n; k++) {
		_cleanup_free_ char *id = xasprintf("sha256:%s", all.at[k]);
		struct image *i;
		if (!image_id_valid(id) || load(s, refs, id, &i) < 0)
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
	int r = begin(s, true, &a, &refs, &lock, err, err_len);
	if (r == 0)
		r = find(s, refs, ref, &a, &id, &name, err, err_len);
	if (r < 0)
		return r;
	json_set_str(&a, refs, arena_strdup(&a, buf_str(&b)), id);
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
	return 0;
}

static void unuse(const struct image_store *s, const char *hex, const char *user)
{
	_cleanup_free_ char *dir = image_path(s, "uses/%s", hex), *path = image_path(s, "uses/%s/%s", hex, user);

	unlink(path);
	rmdir(dir); /* stays while it has others */
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
			if (!keep(arg, id, users.at[k]))
				unuse(s, images.at[i], users.at[k]);
	}
	return 0;
}

/* ---- removal ---- */

static void drop_names(struct json *refs, const char *id)
{
	for (struct json *r = json_first(refs); r;) {
		struct json *next = json_next(refs, r);
		if (str_eq(json_str(r), id))
			json_remove_child(refs, r);
		r = next;
	}
}

/* Under the lock. *ret_gone: the image went, not only a name. */
static int remove_locked(struct image_store *s, struct json *refs, const char *id, const char *name, bool *ret_gone,
			 char *err, size_t err_len)
{
	_cleanup_free_ char *config = image_path(s, "configs/%s", id + strlen("sha256:"));
	_cleanup_arena_ struct arena a = ARENA_INIT;

	*ret_gone = !name;
	if (name) {
		json_remove(refs, name);
		/* Digests of a name go with its last tag, as nothing else shows them. */
		*ret_gone = !names_of(&a, refs, id, false)[0];
	}
	if (*ret_gone && image_used(s, id))
		return image_fail(err, err_len, -EBUSY, "image %s is in use", id);
	if (*ret_gone)
		drop_names(refs, id);
	int r = image_refs_write(s, refs);
	if (r == 0 && *ret_gone && unlink(config) < 0)
		r = -errno;
	return r < 0 ? image_fail(err, err_len, r, "image %s cannot be removed: %s", id, strerror(-r)) : 0;
}

int image_remove(struct image_store *s, const char *ref, char *err, size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *refs;
	const char *id, *name;
	bool gone = false;
	int lock, r = begin(s, true, &a, &refs, &lock, err, err_len);

	if (r == 0)
		r = find(s, refs, ref, &a, &id, &name, err, err_len);
	if (r == 0)
		r = remove_locked(s, refs, id, name, &gone, err, err_len);
	cleanup_close(&lock);
	if (r == 0 && gone)
		image_collect(s);
	return r;
}
