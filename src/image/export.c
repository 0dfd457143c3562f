/* SPDX-License-Identifier: Apache-2.0 */
#include "image/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/export_out.h"
#include "image/image_internal.h"
#include "image/manifest.h"
#include "image/stream.h"

struct exporter {
	struct image_store *store;
	const struct image_export_options *options;
	struct export_out out;
	struct arena arena;
	struct json *top; /* index.json's manifests, or manifest.json */
	char *err;
	size_t err_len;
};

#define EXPORT_FAIL(x, r, ...) image_fail((x)->err, (x)->err_len, (r), __VA_ARGS__)

static int put_failed(struct exporter *x, int r)
{
	return r < 0 ? EXPORT_FAIL(x, r, "cannot be written: %s", strerror(-r)) : 0;
}

/* ---- OCI ---- */

static int put_blob(struct exporter *x, const char *hex)
{
	_cleanup_close_ int fd = image_blob_open(x->store, hex);
	_cleanup_free_ char *name = xasprintf("blobs/sha256/%s", hex);
	uint64_t size;

	if (fd < 0 || !image_blob_there(x->store, hex, &size))
		return EXPORT_FAIL(x, -ENOENT, "blob sha256:%s is not in the image store", hex);
	return put_failed(x, export_put_fd(&x->out, name, fd, size));
}

/* Whether all of it is here: an index may have been pulled for one platform. */
static bool complete(struct exporter *x, const char *hex, int depth)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct manifest m;
	char why[64];

	if (depth > 4 || image_blob_read(x->store, hex, &text) < 0 ||
	    manifest_parse(&x->arena, buf_str(&text), text.len, &m, why, sizeof(why)) < 0)
		return false;
	if (!m.index && !image_blob_there(x->store, m.config.hex, NULL))
		return false;
	for (size_t i = 0; i < m.n_parts; i++)
		if (m.index ? !complete(x, m.parts[i].hex, depth + 1)
			    : !image_blob_there(x->store, m.parts[i].hex, NULL))
			return false;
	return true;
}

static int put_manifest(struct exporter *x, const char *hex, struct manifest *ret, size_t *ret_len)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = image_blob_read(x->store, hex, &text);

	if (r < 0)
		return EXPORT_FAIL(x, r, "manifest sha256:%s cannot be read: %s", hex, strerror(-r));
	*ret_len = text.len;
	r = manifest_parse(&x->arena, buf_str(&text), text.len, ret, x->err, x->err_len);
	for (size_t i = 0; r == 0 && i < ret->n_parts; i++) {
		struct manifest inner;
		size_t len;
		r = ret->index ? put_manifest(x, ret->parts[i].hex, &inner, &len) : put_blob(x, ret->parts[i].hex);
	}
	if (r == 0 && !ret->index)
		r = put_blob(x, ret->config.hex);
	return r < 0 ? r : put_blob(x, hex);
}

/* One line of index.json; name NULL: none. */
static int add_manifest(struct exporter *x, const char *digest, const char *name, const struct image *platform)
{
	struct arena *a = &x->arena;
	struct manifest m;
	size_t len;
	int r = put_manifest(x, digest + strlen("sha256:"), &m, &len);

	if (r < 0)
		return r;
	struct json *d = json_append(x->top, json_new(a, JSON_OBJECT));
	json_set_str(a, d, "mediaType",
		     !str_empty(m.media_type) ? m.media_type
		     : m.index		      ? MEDIA_OCI_INDEX
					      : MEDIA_OCI_MANIFEST);
	json_set_str(a, d, "digest", digest);
	json_set_int(a, d, "size", (int64_t)len);
	if (platform) {
		struct json *p = json_object_in(a, d, "platform");
		json_set_str(a, p, "architecture", platform->architecture);
		json_set_str(a, p, "os", platform->os);
		if (*platform->variant)
			json_set_str(a, p, "variant", platform->variant);
	}
	if (name) {
		struct json *notes = json_object_in(a, d, "annotations");
		json_set_str(a, notes, "io.containerd.image.name", name);
		json_set_str(a, notes, "org.opencontainers.image.ref.name", strrchr(name, ':') + 1);
	}
	return 0;
}

struct platforms {
	struct exporter *x;
	const char *name;
	int result;
};

static bool add_platform(void *arg, const struct image *i)
{
	struct platforms *p = arg;

	for (const char *const *tag = i->repo_tags; *tag; tag++)
		if (str_eq(*tag, p->name))
			p->result = add_manifest(p->x, i->manifest, p->name, i);
	return p->result == 0;
}

static int add_oci(struct exporter *x, const struct image *i, const char *name)
{
	char target[IMAGE_ID_LEN + 1];

	if (!str_eq(x->options->platform, IMAGE_PLATFORM_ALL) || !name || image_target(x->store, name, target) < 0)
		return add_manifest(x, i->manifest, name, NULL);
	if (complete(x, target + strlen("sha256:"), 0))
		return add_manifest(x, target, name, NULL);
	struct platforms p = {.x = x, .name = name};
	int r = image_list(x->store, add_platform, &p, x->err, x->err_len);
	return r < 0 ? r : p.result;
}

static int end_oci(struct exporter *x)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json *index = json_new(&x->arena, JSON_OBJECT);

	json_set_int(&x->arena, index, "schemaVersion", 2);
	json_set_str(&x->arena, index, "mediaType", MEDIA_OCI_INDEX);
	json_set(&x->arena, index, "manifests", x->top);
	json_write(&b, index);
	int r = export_put(&x->out, "oci-layout", layout, strlen(layout));
	return put_failed(x, r < 0 ? r : export_put(&x->out, "index.json", b.data, b.len));
}

/* ---- docker ---- */

static int inflate(struct exporter *x, int from, int to, const char *diff, uint64_t *ret_size)
{
	struct image_source src = image_source_fd(&from);
	char stored[SHA256_HEX + 1], plain[SHA256_HEX + 1];
	_cleanup_free_ char *chunk = xmalloc(1 << 20);
	struct image_stream *s;
	int r = image_stream_new(&src, &s, x->err, x->err_len);

	if (r < 0)
		return r;
	for (ssize_t n = 1; r == 0 && n;) {
		n = image_stream_read(s, chunk, 1 << 20, x->err, x->err_len);
		r = n < 0 ? -EBADMSG : put_failed(x, fs_write_all(to, chunk, (size_t)n));
		*ret_size += n > 0 ? (uint64_t)n : 0;
	}
	if (r == 0)
		r = image_stream_finish(s, stored, plain, x->err, x->err_len);
	image_stream_free(s);
	if (r == 0 && !str_eq(plain, diff))
		r = EXPORT_FAIL(x, -EBADMSG, "layer sha256:%s is damaged", diff);
	return r;
}

/* The header wants the size first, so a layer is decompressed into a file before. */
static int put_layer(struct exporter *x, const char *hex, const char *diff)
{
	_cleanup_free_ char *name = xasprintf("%s/layer.tar", diff), *tmp = image_path(x->store, "tmp/export-XXXXXX");
	_cleanup_close_ int from = image_blob_open(x->store, hex), to = -1;
	uint64_t size = 0;

	if (export_has(&x->out, name))
		return 0;
	if (from < 0)
		return EXPORT_FAIL(x, from, "blob sha256:%s is not in the image store", hex);
	to = mkostemp(tmp, O_CLOEXEC);
	if (to < 0)
		return EXPORT_FAIL(x, -errno, "%s: %s", tmp, strerror(errno));
	unlink(tmp);
	int r = inflate(x, from, to, diff, &size);
	return r < 0 ? r : put_failed(x, export_put_fd(&x->out, name, to, size));
}

static int add_docker(struct exporter *x, const struct image *i, const char *name)
{
	const char *hex = i->id + strlen("sha256:");
	_cleanup_buf_ struct buf text = BUF_INIT, config = BUF_INIT;
	struct arena *a = &x->arena;
	struct manifest m;
	struct json *c;
	const char **diff = NULL;
	size_t n = 0;
	int r = image_blob_read(x->store, i->manifest + strlen("sha256:"), &text);

	if (r == 0)
		r = image_blob_read(x->store, hex, &config);
	if (r == 0)
		r = image_config_read(x->store, i->id, a, &c);
	if (r < 0)
		return EXPORT_FAIL(x, r, "image %s cannot be read: %s", i->id, strerror(-r));
	r = manifest_parse(a, buf_str(&text), text.len, &m, x->err, x->err_len);
	if (r == 0 && (!(diff = image_diff_ids(a, c, &n)) || n != m.n_parts))
		r = EXPORT_FAIL(x, -EBADMSG, "image %s is damaged", i->id);
	const char *config_name = arena_printf(a, "%s.json", hex);
	struct json *entry = NULL, *layers;
	/* Another name of an image that is there already. */
	JSON_EACH(e, x->top)
		if (str_eq(json_str(json_get(e, "Config")), config_name))
			entry = e;
	if (r == 0 && !entry) {
		entry = json_append(x->top, json_new(a, JSON_OBJECT));
		json_set_str(a, entry, "Config", config_name);
		json_array_in(a, entry, "RepoTags");
		layers = json_array_in(a, entry, "Layers");
		r = put_failed(x, export_put(&x->out, config_name, config.data, config.len));
		for (size_t k = 0; r == 0 && k < n; k++) {
			json_append(layers, json_new_strf(a, "%s/layer.tar", diff[k]));
			r = put_layer(x, m.parts[k].hex, diff[k]);
		}
	}
	if (r == 0 && name)
		json_append(json_array_in(a, entry, "RepoTags"), json_new_str(a, name));
	return r;
}

static int end_docker(struct exporter *x)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	json_write(&b, x->top);
	return put_failed(x, export_put(&x->out, "manifest.json", b.data, b.len));
}

/* ---- both ---- */

static int add_image(struct exporter *x, const char *ref)
{
	const char *platform = x->options->platform;
	_cleanup_buf_ struct buf name = BUF_INIT;
	const char *tagged = NULL;
	struct image *i;
	int r = image_resolve_platform(x->store, ref, str_eq(platform, IMAGE_PLATFORM_ALL) ? NULL : platform, &i,
				       x->err, x->err_len);

	if (r < 0)
		return r;
	/* By name: that name. By id: without one. */
	if (image_ref_normalize(ref, &name) == 0)
		for (const char *const *t = i->repo_tags; *t; t++)
			if (str_eq(*t, buf_str(&name)))
				tagged = buf_str(&name);
	r = x->options->format == IMAGE_FORMAT_DOCKER ? add_docker(x, i, tagged) : add_oci(x, i, tagged);
	image_free(i);
	return r;
}

static int add_all(struct exporter *x, const char *const *refs, size_t n)
{
	int r = 0;

	x->top = json_new(&x->arena, JSON_ARRAY);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_image(x, refs[i]);
	if (r == 0)
		r = x->options->format == IMAGE_FORMAT_DOCKER ? end_docker(x) : end_oci(x);
	return r < 0 ? r : put_failed(x, export_end(&x->out));
}

/* rmdir is the test of emptiness that cannot be raced. */
static int to_directory(struct exporter *x, const char *const *refs, size_t n, const char *to)
{
	if ((rmdir(to) < 0 && errno != ENOENT) || mkdir(to, 0755) < 0)
		return EXPORT_FAIL(x, -errno, "%s: %s", to, strerror(errno));
	_cleanup_close_ int dir = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return EXPORT_FAIL(x, -errno, "%s: %s", to, strerror(errno));
	x->out.fd = dir;
	return add_all(x, refs, n);
}

static int to_file(struct exporter *x, const char *const *refs, size_t n, const char *to)
{
	_cleanup_free_ char *tmp = xasprintf("%s.XXXXXX", to);
	_cleanup_close_ int fd = mkostemp(tmp, O_CLOEXEC);

	if (fd < 0)
		return EXPORT_FAIL(x, -errno, "%s: %s", to, strerror(errno));
	mode_t mask = umask(0);
	umask(mask);
	fchmod(fd, 0666 & ~mask);
	x->out.fd = fd;
	int r = add_all(x, refs, n);
	if (r == 0 && rename(tmp, to) < 0)
		r = EXPORT_FAIL(x, -errno, "%s: %s", to, strerror(errno));
	if (r < 0)
		unlink(tmp);
	return r;
}

int image_export(struct image_store *s, const char *const *refs, size_t n, const char *to,
		 const struct image_export_options *o, char *err, size_t err_len)
{
	struct exporter x = {.store = s,
			     .options = o,
			     .out = {.fd = STDOUT_FILENO, .tar = o->format != IMAGE_FORMAT_OCI_DIR},
			     .err = err,
			     .err_len = err_len};
	/* Whoever removes images meanwhile doesn't get at the blobs. */
	int r = image_import_begin(s);

	if (r < 0)
		return image_fail(err, err_len, r, "the image store cannot be locked: %s", strerror(-r));
	if (o->format == IMAGE_FORMAT_DOCKER && str_eq(o->platform, IMAGE_PLATFORM_ALL))
		r = EXPORT_FAIL(&x, -EINVAL, "a docker archive has no place for several platforms: export as OCI");
	else if (o->format == IMAGE_FORMAT_OCI_DIR)
		r = to_directory(&x, refs, n, to);
	else
		r = str_eq(to, "-") ? add_all(&x, refs, n) : to_file(&x, refs, n, to);
	image_import_end(s);
	map_release(&x.out.written, NULL);
	arena_release(&x.arena);
	return r;
}
