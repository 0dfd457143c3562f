/* SPDX-License-Identifier: Apache-2.0 */
#include "build/sources.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/pattern.h"
#include "image/image.h"
#include "runtime/rootfs.h"

static int fail(char *err, size_t err_len, int r, const char *path, const char *what)
{
	snprintf(err, err_len, "%s: %s", *path ? path : ".", what ? what : strerror(-r));
	return r;
}

void sources_release(struct sources *t)
{
	VEC_RELEASE(&t->entries);
	arena_release(&t->arena);
}

/* ---- listing ---- */

struct lister {
	struct sources *all;
	int root;
	const struct source_options *o;
	const char
	    *base; /* the source that is being listed, or the directory that it is in: what --exclude is relative to */
	size_t pivot; /* of names with parents, what is not kept: "a/./b" is b below a */
	char *err;
	size_t err_len;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted names of a directory, in the arena of all. */
static int read_names(struct lister *l, const char *path, const char ***ret, size_t *ret_n)
{
	VEC(const char *) names = {0};
	int fd = root_open(l->root, path, O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return fail(l->err, l->err_len, fd < 0 ? fd : -errno, path, NULL);
	}
	for (struct dirent *e; (e = readdir(d));)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			VEC_PUSH(&names, arena_strdup(&l->all->arena, e->d_name));
	closedir(d);
	if (names.n)
		qsort(names.at, names.n, sizeof(*names.at), by_name);
	*ret = names.at;
	*ret_n = names.n;
	return 0;
}

static const char *join(struct lister *l, const char *dir, const char *name)
{
	return *dir ? arena_printf(&l->all->arena, "%s/%s", dir, name) : arena_strdup(&l->all->arena, name);
}

static bool left_out(const struct lister *l, const char *path)
{
	size_t n = l->o->parents ? 0 : strlen(l->base);
	const char *below = !n ? path : strncmp(path, l->base, n) == 0 && path[n] == '/' ? path + n + 1 : "";
	return (*path && patterns_exclude(l->o->ignore, path)) || (*below && patterns_exclude(l->o->exclude, below));
}

static const char *directory_of(struct lister *l, const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? arena_strndup(&l->all->arena, path, (size_t)(slash - path)) : "";
}

/* Nothing below an excluded directory can come back, unless there are patterns that keep. */
static bool may_keep(const struct lister *l)
{
	return (l->o->ignore && l->o->ignore->any_keep) || (l->o->exclude && l->o->exclude->any_keep);
}

static int add(struct lister *l, const char *path, const char *to, const struct stat *st, bool alone)
{
	struct source_entry e = {.path = path, .to = to, .st = *st, .alone = alone};
	if (l->all->entries.n == SOURCES_ENTRIES_MAX)
		return fail(l->err, l->err_len, -E2BIG, path, "too many files");
	VEC_PUSH(&l->all->entries, e);
	return 0;
}

static int list_dir(struct lister *l, const char *path, const char *to, int depth);

/* Without following: a link inside a directory is copied as a link. */
static int list_one(struct lister *l, const char *dir, const char *name, const char *to, int depth)
{
	const char *path = join(l, dir, name);
	struct stat st;
	_cleanup_close_ int parent = root_open(l->root, dir, O_PATH | O_DIRECTORY);
	if (parent < 0)
		return fail(l->err, l->err_len, parent, path, NULL);
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(l->err, l->err_len, -errno, path, NULL);
	bool out = left_out(l, path);
	if (S_ISDIR(st.st_mode)) {
		size_t before = l->all->entries.n;
		if (out && !may_keep(l))
			return 0;
		if (add(l, path, to, &st, false) < 0)
			return -E2BIG;
		int r = list_dir(l, path, to, depth + 1);
		if (out && l->all->entries.n == before + 1)
			l->all->entries.n = before; /* nothing of it was kept */
		return r;
	}
	return out || S_ISSOCK(st.st_mode) ? 0 : add(l, path, to, &st, false);
}

static int list_dir(struct lister *l, const char *path, const char *to, int depth)
{
	const char **names = NULL;
	size_t n = 0;
	if (depth > IMAGE_DEPTH_MAX)
		return fail(l->err, l->err_len, -E2BIG, path, "too deep");
	int r = read_names(l, path, &names, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = list_one(l, path, names[i], join(l, to, names[i]), depth);
	free(names);
	return r;
}

/* A source that exists. A link named itself is followed, inside the root. */
static int list_source(struct lister *l, const char *path)
{
	struct stat st;
	_cleanup_close_ int fd = root_open(l->root, path, O_PATH);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(l->err, l->err_len, fd < 0 ? fd : -errno, path, fd == -ENOENT ? "not found" : NULL);
	const char *slash = strrchr(path, '/');
	const char *kept = path + MIN_OF(l->pivot, strlen(path));
	const char *name = l->o->parents ? kept : slash ? slash + 1 : path;
	l->base = S_ISDIR(st.st_mode) ? path : directory_of(l, path);
	if (S_ISDIR(st.st_mode)) {
		l->all->n_dirs++;
		return list_dir(l, path, l->o->parents ? kept : "", 0);
	}
	if (left_out(l, path))
		return fail(l->err, l->err_len, -ENOENT, path, "excluded by the ignore file");
	l->all->n_files++;
	return add(l, path, name, &st, true);
}

/* Components with wildcards are compared with the names in their directory; others are simply there or not. */
static int list_matching(struct lister *l, const char *dir, const char *rest, bool *found, int depth)
{
	size_t n = strcspn(rest, "/");
	const char *more = rest[n] == '/' ? rest + n + 1 : NULL;
	char *part = arena_strndup(&l->all->arena, rest, n);
	bool deep = str_eq(part, "**");
	if (depth > IMAGE_DEPTH_MAX)
		return 0;
	int r = deep && more ? list_matching(l, dir, more, found, depth + 1) : 0;
	if (r < 0)
		return r;
	const char **names = NULL;
	size_t n_names = 0;
	_cleanup_close_ int there = root_open(l->root, dir, O_PATH | O_DIRECTORY);
	if (there < 0)
		return 0;
	r = read_names(l, dir, &names, &n_names);
	for (size_t i = 0; r == 0 && i < n_names; i++) {
		const char *path = join(l, dir, names[i]);
		struct stat st;
		if (!deep && !pattern_match_part(part, n, names[i], strlen(names[i])))
			continue;
		bool is_dir = fstatat(there, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
		if (more || deep) {
			if (is_dir)
				r = list_matching(l, path, deep ? rest : more, found, depth + 1);
			if (!deep || more || r < 0)
				continue;
		}
		l->base = dir;
		if (left_out(l, path) && !(is_dir && may_keep(l)))
			continue;
		*found = true;
		r = list_source(l, path);
	}
	free(names);
	return r;
}

int sources_list(struct sources *t, int root, const char *source, const struct source_options *o, char *err,
		 size_t err_len)
{
	const char *path = path_clean(&t->arena, source), *dot = o->parents ? strstr(source, "/./") : NULL;
	const char *before = dot ? path_clean(&t->arena, arena_strndup(&t->arena, source, (size_t)(dot - source))) : "";
	struct lister l = {t, root, o, "", *before ? strlen(before) + 1 : 0, err, err_len};
	bool found = false;
	if (!*path || !pattern_has_wildcard(path))
		return list_source(&l, path);
	int r = list_matching(&l, "", path, &found, 0);
	return r < 0 ? r : found ? 0 : fail(err, err_len, -ENOENT, source, "no such file");
}

/* ---- digest ---- */

static int digest_content(EVP_MD_CTX *c, int root, const struct source_entry *e)
{
	char chunk[64 * 1024];
	_cleanup_close_ int fd = root_open(root, e->path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		EVP_DigestUpdate(c, chunk, (size_t)n);
	}
}

static int read_link(int root, const char *path, char *out, size_t size)
{
	_cleanup_close_ int fd = root_open(root, path, O_PATH | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", out, size - 1);
	if (n < 0)
		return fd < 0 ? fd : -errno;
	out[n] = 0;
	return 0;
}

int sources_digest(const struct sources *t, int root, bool keep_owner, char ret[65], char *err, size_t err_len)
{
	unsigned char sum[32];
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int r = 0;
	EVP_DigestInit_ex(c, EVP_sha256(), NULL);
	for (size_t i = 0; r == 0 && i < t->entries.n; i++) {
		const struct source_entry *e = &t->entries.at[i];
		char head[128], link[4096];
		int n = snprintf(head, sizeof(head), "%o %u:%u %llu ", e->st.st_mode, keep_owner ? e->st.st_uid : 0,
				 keep_owner ? e->st.st_gid : 0,
				 S_ISREG(e->st.st_mode) ? (unsigned long long)e->st.st_size : 0ull);
		EVP_DigestUpdate(c, head, (size_t)n);
		EVP_DigestUpdate(c, e->to, strlen(e->to) + 1);
		if (S_ISREG(e->st.st_mode))
			r = digest_content(c, root, e);
		else if (S_ISLNK(e->st.st_mode) && (r = read_link(root, e->path, link, sizeof(link))) == 0)
			EVP_DigestUpdate(c, link, strlen(link) + 1);
		if (r < 0)
			fail(err, err_len, r, e->path, NULL);
	}
	EVP_DigestFinal_ex(c, sum, NULL);
	EVP_MD_CTX_free(c);
	for (int i = 0; i < 32; i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
	return r;
}
