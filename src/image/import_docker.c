/* SPDX-License-Identifier: Apache-2.0 */
/* What `docker save` and `podman save` write: manifest.json, a list of images by paths in the archive. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "image/import_internal.h"

static int import_layers(struct importer *im, const struct json *layers, const struct json *config,
			 struct descriptor **ret, size_t *ret_n)
{
	size_t n, k = 0;
	const char **diff_ids = image_diff_ids(&im->arena, config, &n);

	if (!diff_ids || n != json_len(layers))
		return IMPORT_FAIL(im, -EBADMSG, "the configuration's diff_ids don't match the manifest's layers");
	*ret = arena_zalloc(&im->arena, (n + 1) * sizeof(**ret));
	*ret_n = n;
	JSON_EACH(layer, layers) {
		char diff_id[SHA256_HEX + 1];
		_cleanup_close_ int fd = import_open_file(im, str_or(json_str(layer), ""));
		if (fd < 0)
			return fd;
		strcpy(diff_id, diff_ids[k]);
		int r = import_layer(im, fd, im->dir < 0, diff_id, &(*ret)[k++]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int import_one(struct importer *im, const struct json *entry)
{
	const char *path = json_str(json_get(entry, "Config")), *text;
	struct json *config;
	size_t len;

	if (!path)
		return IMPORT_FAIL(im, -EBADMSG, "manifest.json is not docker's: an image has no Config");
	int r = import_read_json(im, path, NULL, &config, &text, &len);
	if (r < 0)
		return r;
	if (im->options->platform && !import_platform_wanted(im, config))
		return 0;
	struct descriptor *layers = NULL;
	size_t n_layers = 0;
	r = import_layers(im, json_get(entry, "Layers"), config, &layers, &n_layers);
	if (r < 0)
		return r;
	struct imported *i = import_image(im, text, len, NULL, 0, layers, n_layers);
	if (!i)
		return -E2BIG;
	JSON_EACH(tag, json_get(entry, "RepoTags"))
		if (json_str(tag) && (r = import_add_name(im, i, json_str(tag))) < 0)
			return r;
	return 0;
}

int import_docker(struct importer *im)
{
	struct json *list;
	int r = import_read_json(im, "manifest.json", NULL, &list, NULL, NULL);

	if (r < 0)
		return r;
	if (!json_is(list, JSON_ARRAY))
		return IMPORT_FAIL(im, -EBADMSG, "manifest.json is not docker's: it is not a list");
	JSON_EACH(entry, list)
		if ((r = import_one(im, entry)) < 0)
			return r;
	return 0;
}
