/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that touch files: overlays to work on, layers of what was changed. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build_internal.h"
#include "build/layer_diff.h"
#include "image/image.h"
#include "image/pull.h"

#define GZIP_LAYER MEDIA_OCI_LAYER "+gzip"

const char *step_dir(struct build *b, const char *name)
{
	const char *path = arena_printf(&b->arena, "%s/%u-%s", b->work, b->n_steps++, name);
	return mkdir(path, 0755) == 0 ? path : "/nonexistent";
}

/* ---- overlays ---- */

/* By descriptors, so that paths need not be escaped and the mount's options stay short. */
static int mount_layers(const char *const *dirs, const char *upper, const char *workdir, const char *at)
{
	_cleanup_buf_ struct buf o = BUF_INIT;
	VEC(int) fds = {0};
	const char *all[IMAGE_LAYERS_MAX + 4];
	size_t n = 0;
	int r = 0;
	for (; dirs[n] && n < IMAGE_LAYERS_MAX; n++)
		all[n] = dirs[n];
	size_t lower = n;
	if (upper) {
		all[n++] = upper;
		all[n++] = workdir;
	}
	if (!upper && lower == 1) /* overlayfs wants two; one read-only layer is just that */
		return mount(dirs[0], at, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
	buf_adds(&o, "lowerdir=");
	for (size_t i = 0; r == 0 && i < n; i++) {
		int fd = open(all[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0) {
			r = -errno;
			break;
		}
		VEC_PUSH(&fds, fd);
		const char *before = i == 0 ? "" : i < lower ? ":" : i == lower ? ",upperdir=" : ",workdir=";
		buf_addf(&o, "%s/proc/self/fd/%d", before, fd);
	}
	/* Renamed directories must be copied, for a layer has no other way to say it. */
	if (upper)
		buf_adds(&o, ",redirect_dir=off,metacopy=off");
	if (r == 0 && mount("overlay", at, "overlay", upper ? 0 : MS_RDONLY, buf_str(&o)) < 0)
		r = -errno;
	VEC_EACH(fd, &fds)
		close(*fd);
	VEC_RELEASE(&fds);
	return r;
}

int view_open(struct build *b, const char *const *dirs, const char **ret_path)
{
	const char *at = step_dir(b, "view");
	int r = mount_layers(dirs, NULL, NULL, at);
	if (r < 0)
		return build_fail(b, NULL, r, "layers cannot be mounted: %s", strerror(-r));
	*ret_path = at;
	int fd = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void view_close(struct build *b, int fd, const char *path)
{
	(void)b;
	if (fd >= 0)
		close(fd);
	if (path) {
		umount2(path, MNT_DETACH);
		rmdir(path);
	}
}

int view_open_writable(struct build *b, const char *dir, const char **ret_path)
{
	const char *upper = step_dir(b, "upper"), *workdir = step_dir(b, "work"), *at = step_dir(b, "over");
	struct stat st;
	/* The overlay's root is upper's. */
	int r = stat(dir, &st) < 0 || chown(upper, st.st_uid, st.st_gid) < 0 || chmod(upper, st.st_mode & 07777) < 0
		    ? -errno
		    : mount_layers((const char *const[]){dir, NULL}, upper, workdir, at);
	if (r < 0)
		return build_fail(b, NULL, r, "%s cannot be mounted: %s", dir, strerror(-r));
	*ret_path = at;
	return 0;
}

void view_close_writable(struct build *b, const char *path)
{
	(void)b; /* its directories go with the build's */
	if (path)
		umount2(path, MNT_DETACH);
}

/* ---- keys ---- */

void step_key(const struct stage *s, char ret[BUILD_KEY_MAX], const char *const *parts, size_t n)
{
	unsigned char sum[32];
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	EVP_DigestInit_ex(c, EVP_sha256(), NULL);
	EVP_DigestUpdate(c, s->key, strlen(s->key) + 1);
	for (size_t i = 0; i < n; i++)
		EVP_DigestUpdate(c, parts[i], strlen(parts[i]) + 1);
	EVP_DigestFinal_ex(c, sum, NULL);
	EVP_MD_CTX_free(c);
	for (int i = 0; i < 32; i++)
		snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

/* ---- layers ---- */

/* What upper has becomes the stage's next layer. */
static int add_layer(struct build *b, struct stage *s, struct step *step, const char *upper)
{
	struct arena *a = &b->arena;
	char why[BUILD_ERR_MAX] = "", diff[65] = "";
	struct descriptor d = {.media_type = GZIP_LAYER, .sized = true};
	bool empty;
	_cleanup_close_ int dir = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int file = open(b->work, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (dir < 0 || file < 0)
		return build_fail(b, step->ins, -errno, "%s: %s", b->work, strerror(errno));
	int r = layer_diff_write(dir, file, b->o->epoch, &empty, why, sizeof(why));
	if (r == 0 && !empty) {
		if (s->n_layers == IMAGE_LAYERS_MAX)
			return build_fail(b, step->ins, -E2BIG, "the image has more than %d layers", IMAGE_LAYERS_MAX);
		lseek(file, 0, SEEK_SET);
		r = image_layer_add(b->o->store, file, true, d.hex, diff, &d.size, why, sizeof(why));
	}
	if (r < 0)
		return build_fail(b, step->ins, r, "%s", why);
	stage_history(b, s, step->text, empty);
	if (empty)
		return 0;
	struct descriptor *layers = arena_alloc(a, (s->n_layers + 1) * sizeof(*layers));
	if (s->n_layers)
		memcpy(layers, s->layers, s->n_layers * sizeof(*layers));
	layers[s->n_layers++] = d;
	s->layers = layers;
	json_append(json_array_in(a, json_object_in(a, s->config, "rootfs"), "diff_ids"),
		    json_new_strf(a, "sha256:%s", diff));
	return 0;
}

/* Does the step on a new overlay. */
static int perform(struct build *b, struct stage *s, struct step *step)
{
	const char *upper = step_dir(b, "upper"), *workdir = step_dir(b, "work"), *at = step_dir(b, "root");
	int r;
	if (step->run) {
		r = step->run(b, s, step, upper, workdir);
	} else {
		r = mount_layers(s->dirs, upper, workdir, at);
		_cleanup_close_ int root = r < 0 ? -1 : open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (root < 0)
			return build_fail(b, step->ins, r < 0 ? r : -errno, "layers cannot be mounted: %s",
					  strerror(r < 0 ? -r : errno));
		r = step->work(b, s, step, root);
		close(TAKE_FD(root));
		umount2(at, MNT_DETACH);
	}
	if (r == 0)
		r = add_layer(b, s, step, upper);
	fs_remove_tree(upper);
	fs_remove_tree(workdir);
	rmdir(at);
	return r;
}

/* The stage goes on from the image that the step led to; what configuration says meanwhile stays. */
static int go_on(struct build *b, struct stage *s, const char *id)
{
	char key[BUILD_KEY_MAX];
	memcpy(key, s->key, sizeof(key));
	struct json *config = json_get(s->config, "config");
	const char *const *shell = s->shell;
	int r = stage_from_image(b, s, id);
	if (r == 0 && config)
		json_set(&b->arena, s->config, "config", json_clone(&b->arena, config));
	s->shell = shell;
	memcpy(s->key, key, sizeof(key));
	return r;
}

int step_do(struct build *b, struct stage *s, struct step *step)
{
	_cleanup_free_ char *known = cache_get(b, step->key);
	const char *id = known;
	int r = 0;
	if (known) {
		build_tell(b, "  cached");
	} else {
		r = perform(b, s, step);
		if (r == 0)
			r = stage_record(b, s, NULL, &id);
		if (r == 0)
			cache_put(b, step->key, id);
	}
	if (r == 0)
		r = go_on(b, s, id);
	memcpy(s->key, step->key, sizeof(s->key));
	return r;
}

/* ---- sources ---- */

static int open_image(struct build *b, const struct dockerfile_instruction *i, const char *ref, int *ret_fd,
		      const char **ret_view)
{
	struct image *image;
	char why[BUILD_ERR_MAX] = "";
	int r = image_resolve_platform(b->o->store, ref, b->o->platform, &image, why, sizeof(why));
	if (r == -ENOENT) {
		build_tell(b, "  pulling %s", ref);
		r = image_pull(b->o->store, ref, b->o->transfer, NULL, why, sizeof(why));
		if (r == 0)
			r = image_resolve_platform(b->o->store, ref, b->o->platform, &image, why, sizeof(why));
	}
	if (r < 0)
		return build_fail(b, i, r, "%s", why);
	*ret_fd = view_open(b, image->layers, ret_view);
	image_free(image);
	return *ret_fd < 0 ? *ret_fd : 0;
}

int build_source_open(struct build *b, const struct dockerfile_instruction *i, const char *from, int *ret_fd,
		      const char **ret_view, bool *ret_context)
{
	*ret_view = NULL;
	*ret_context = str_empty(from);
	if (*ret_context) {
		*ret_fd = fcntl(b->context, F_DUPFD_CLOEXEC, 3);
		return *ret_fd < 0 ? -errno : 0;
	}
	struct stage *stage = stage_find(b, from, b->stages.n);
	if (!stage)
		return open_image(b, i, from, ret_fd, ret_view);
	if (!stage->done)
		return build_fail(b, i, -EINVAL, "--from=%s: that stage comes later", from);
	*ret_fd = view_open(b, stage->dirs, ret_view);
	return *ret_fd < 0 ? *ret_fd : 0;
}

void build_source_close(struct build *b, int fd, const char *view)
{
	view_close(b, fd, view);
}
