/* SPDX-License-Identifier: Apache-2.0 */
/* OCI layouts (image-spec: image-layout.md, image-index.md, manifest.md). Every blob is checked by its digest. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "image/import_internal.h"

static const char *blob_path(struct importer *im, const char *hex)
{
	return arena_printf(&im->arena, "blobs/sha256/%s", hex);
}

static int import_layers(struct importer *im, struct manifest *m, const struct json *config)
{
	size_t n;
	const char **diff_ids = image_diff_ids(&im->arena, config, &n);

	if (!diff_ids || n != m->n_parts)
		return IMPORT_FAIL(im, -EBADMSG, "the configuration's diff_ids don't match the manifest's layers");
	for (size_t k = 0; k < n; k++) {
		char diff_id[SHA256_HEX + 1];
		_cleanup_close_ int fd = import_open_file(im, blob_path(im, m->parts[k].hex));
		if (fd < 0)
			return fd;
		strcpy(diff_id, diff_ids[k]);
		int r = import_layer(im, fd, im->dir < 0, diff_id, &m->parts[k]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_manifest(struct importer *im, const char *hex, struct manifest *ret, const char **ret_text,
			 size_t *ret_len)
{
	struct json *v;
	int r = import_read_json(im, blob_path(im, hex), hex, &v, ret_text, ret_len);

	return r < 0 ? r : manifest_parse(&im->arena, *ret_text, *ret_len, ret, im->err, im->err_len);
}

/* top: what the layout's index names. wanted: its platform was looked at already. */
static int import_manifest(struct importer *im, struct manifest *m, const char *manifest, size_t manifest_len,
			   const struct descriptor *top, bool wanted)
{
	struct json *config;
	const char *text;
	size_t len;
	int r = import_read_json(im, blob_path(im, m->config.hex), m->config.hex, &config, &text, &len);

	if (r < 0 || (!wanted && im->options->platform && !import_platform_wanted(im, config)))
		return r;
	r = import_layers(im, m, config);
	if (r < 0)
		return r;
	struct imported *i = import_image(im, text, len, manifest, manifest_len, m->parts, m->n_parts);
	if (!i)
		return -E2BIG;
	snprintf(i->target, sizeof(i->target), "sha256:%s", top->hex);
	return top->name ? import_add_name(im, i, top->name) : 0;
}

static int import_descriptor(struct importer *im, const struct descriptor *d, const struct descriptor *top, int depth);

/* Of an index inside the layout's own, the image that fits best is taken, or all. */
static int import_index(struct importer *im, const struct manifest *m, const struct descriptor *top, int depth)
{
	if (!im->all_platforms) {
		const struct descriptor *d = manifest_pick(m, &im->platform);
		return d ? import_descriptor(im, d, top, depth + 1) : 0;
	}
	for (size_t k = 0; k < m->n_parts; k++) {
		/* Attestations and the like have no platform that anything runs on. */
		if (m->parts[k].has_platform && str_eq(m->parts[k].platform.os, "unknown"))
			continue;
		int r = import_descriptor(im, &m->parts[k], top, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int import_descriptor(struct importer *im, const struct descriptor *d, const struct descriptor *top, int depth)
{
	struct manifest m;
	const char *text;
	size_t len;

	if (depth > INDEX_DEPTH_MAX)
		return IMPORT_FAIL(im, -EBADMSG, "indexes are nested deeper than %d", INDEX_DEPTH_MAX);
	int r = read_manifest(im, d->hex, &m, &text, &len);
	if (r < 0)
		return r;
	if (!m.index)
		return import_manifest(im, &m, text, len, top, d->has_platform);
	r = image_blob_write(im->store, text, len, NULL);
	return r < 0 ? IMPORT_FAIL(im, r, "an index cannot be written: %s", strerror(-r))
		     : import_index(im, &m, top, depth);
}

int import_oci(struct importer *im)
{
	struct json *index, *layout;
	struct manifest m;
	const char *text;
	size_t len;
	int r = import_read_json(im, "oci-layout", NULL, &layout, NULL, NULL);

	if (r == 0 && !str_has_prefix(str_or(json_str(json_get(layout, "imageLayoutVersion")), ""), "1."))
		r = IMPORT_FAIL(im, -EBADMSG, "is not an OCI image layout of version 1");
	if (r == 0)
		r = import_read_json(im, "index.json", NULL, &index, &text, &len);
	if (r == 0)
		r = manifest_parse(&im->arena, text, len, &m, im->err, im->err_len);
	if (r == 0 && !m.index)
		r = IMPORT_FAIL(im, -EBADMSG, "index.json is not an index");
	for (size_t k = 0; r == 0 && k < m.n_parts; k++) {
		const struct descriptor *d = &m.parts[k];
		if (!d->has_platform || im->all_platforms || platform_fit(&im->platform, &d->platform))
			r = import_descriptor(im, d, d, 0);
	}
	return r;
}
