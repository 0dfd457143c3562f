/* SPDX-License-Identifier: Apache-2.0 */
/* OCI layouts (image-spec: image-layout.md, image-index.md, manifest.md). Every blob is checked by its digest. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "image/import_internal.h"

static const char *digest_of(const struct json *descriptor)
{
	const char *digest = json_str(json_get(descriptor, "digest"));
	return image_id_valid(digest) ? str_after(digest, "sha256:") : NULL;
}

static const char *blob_path(struct importer *im, const char *hex)
{
	return arena_printf(&im->arena, "blobs/sha256/%s", hex);
}

static bool platform_matches(const struct importer *im, const struct json *descriptor)
{
	const struct json *p = json_get(descriptor, "platform");

	if (!p)
		return true;
	return str_eq(json_str(json_get(p, "os")), im->os) &&
	       str_eq(json_str(json_get(p, "architecture")), im->architecture) &&
	       (!im->variant || str_eq(json_str(json_get(p, "variant")), im->variant));
}

static int import_layers(struct importer *im, const struct json *manifest, const struct json *config)
{
	const struct json *layers = json_get(manifest, "layers");
	size_t n, k = 0;
	const char **diff_ids = image_diff_ids(&im->arena, config, &n);

	if (!diff_ids || n != json_len(layers))
		return IMPORT_FAIL(im, -EBADMSG, "the configuration's diff_ids don't match the manifest's layers");
	JSON_EACH(layer, layers) {
		const char *hex = digest_of(layer);
		char diff_id[SHA256_HEX + 1];
		if (!hex)
			return IMPORT_FAIL(im, -EBADMSG, "layer %zu has no sha256 digest", k);
		_cleanup_close_ int fd = import_open_file(im, blob_path(im, hex));
		if (fd < 0)
			return fd;
		strcpy(diff_id, diff_ids[k++]);
		int r = import_layer(im, fd, diff_id, hex);
		if (r < 0)
			return r;
	}
	return 0;
}

static int import_manifest(struct importer *im, const struct json *manifest, struct imported **ret)
{
	const char *hex = digest_of(json_get(manifest, "config")), *text;
	struct json *config;
	size_t len;

	if (!hex)
		return IMPORT_FAIL(im, -EBADMSG, "a manifest has no configuration with a sha256 digest");
	int r = import_read_json(im, blob_path(im, hex), hex, &config, &text, &len);
	if (r == 0)
		r = import_layers(im, manifest, config);
	if (r < 0)
		return r;
	*ret = import_image(im, text, len);
	return *ret ? 0 : -E2BIG;
}

/* Of an index inside the layout's own, one image is taken: the first that fits. */
static int import_descriptor(struct importer *im, const struct json *descriptor, int depth, struct imported **ret)
{
	const char *hex = digest_of(descriptor);
	struct json *blob;

	if (!hex)
		return IMPORT_FAIL(im, -EBADMSG, "a descriptor has no sha256 digest");
	if (depth > INDEX_DEPTH_MAX)
		return IMPORT_FAIL(im, -EBADMSG, "indexes are nested deeper than %d", INDEX_DEPTH_MAX);
	int r = import_read_json(im, blob_path(im, hex), hex, &blob, NULL, NULL);
	if (r < 0)
		return r;
	if (!json_get(blob, "manifests"))
		return import_manifest(im, blob, ret);
	JSON_EACH(inner, json_get(blob, "manifests")) {
		if (!platform_matches(im, inner))
			continue;
		r = import_descriptor(im, inner, depth + 1, ret);
		if (r < 0 || *ret)
			return r;
	}
	return 0;
}

/* ref.name may be a tag only, which says nothing without its repository. */
static const char *name_of(const struct json *descriptor)
{
	const struct json *notes = json_get(descriptor, "annotations");
	const char *full = json_str(json_get(notes, "io.containerd.image.name"));
	const char *ref = json_str(json_get(notes, "org.opencontainers.image.ref.name"));

	if (full)
		return full;
	return ref && strpbrk(ref, "/:") ? ref : NULL;
}

int import_oci(struct importer *im)
{
	struct json *index, *layout;
	int r = import_read_json(im, "oci-layout", NULL, &layout, NULL, NULL);

	if (r == 0 && !str_has_prefix(str_or(json_str(json_get(layout, "imageLayoutVersion")), ""), "1."))
		r = IMPORT_FAIL(im, -EBADMSG, "is not an OCI image layout of version 1");
	if (r == 0)
		r = import_read_json(im, "index.json", NULL, &index, NULL, NULL);
	if (r < 0)
		return r;
	JSON_EACH(descriptor, json_get(index, "manifests")) {
		struct imported *i = NULL;
		if (!platform_matches(im, descriptor))
			continue;
		r = import_descriptor(im, descriptor, 0, &i);
		if (r < 0)
			return r;
		if (!i)
			continue;
		strcpy(i->manifest, digest_of(descriptor));
		if (name_of(descriptor) && (r = import_add_name(im, i, name_of(descriptor))) < 0)
			return r;
	}
	return 0;
}
