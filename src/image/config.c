/* SPDX-License-Identifier: Apache-2.0 */
/* Image configurations (OCI image specification, config.md; docker's are the same where it matters). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image_internal.h"

int image_manifest_of(const struct image_store *s, const char *id, char ret_hex[SHA256_HEX + 1])
{
	_cleanup_free_ char *path = image_path(s, "images/%s", str_after(id, "sha256:"));
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = fs_read(path, 2 * SHA256_HEX, &b);

	if (r < 0)
		return r;
	if (!image_id_valid(buf_str(&b)))
		return -EBADMSG;
	strcpy(ret_hex, buf_str(&b) + strlen("sha256:"));
	return 0;
}

int image_config_read(const struct image_store *s, const char *id, struct arena *a, struct json **ret)
{
	return image_blob_json(s, str_after(id, "sha256:"), a, ret, NULL, NULL);
}

const char **image_diff_ids(struct arena *a, const struct json *config, size_t *ret_n)
{
	const struct json *ids = json_path(config, "rootfs.diff_ids");
	size_t n = 0;

	if (json_len(ids) > IMAGE_LAYERS_MAX)
		return NULL;
	const char **out = arena_zalloc(a, (json_len(ids) + 1) * sizeof(*out));
	JSON_EACH(id, ids) {
		if (!image_id_valid(json_str(id)))
			return NULL;
		out[n++] = arena_strdup(a, str_after(json_str(id), "sha256:"));
	}
	*ret_n = n;
	return out;
}

static const char *const *strings(struct arena *a, const struct json *list)
{
	const char **out = arena_zalloc(a, (json_len(list) + 1) * sizeof(*out));
	size_t n = 0;

	if (json_is(list, JSON_ARRAY))
		JSON_EACH(v, list)
			if (json_str(v))
				out[n++] = arena_strdup(a, json_str(v));
	return out;
}

static const char *const *member_names(struct arena *a, const struct json *object)
{
	const char **out = arena_zalloc(a, (json_len(object) + 1) * sizeof(*out));
	size_t n = 0;

	if (json_is(object, JSON_OBJECT))
		JSON_EACH(v, object)
			out[n++] = arena_strdup(a, v->key);
	return out;
}

static const char *text(struct arena *a, const struct json *object, const char *key)
{
	return arena_strdup(a, str_or(json_str(json_get(object, key)), ""));
}

static void fill_labels(struct image *i, const struct json *labels)
{
	struct image_label *out = arena_zalloc(&i->arena, (json_len(labels) + 1) * sizeof(*out));

	i->labels = out;
	if (json_is(labels, JSON_OBJECT))
		JSON_EACH(l, labels)
			if (json_str(l))
				out[i->n_labels++] = (struct image_label){arena_strdup(&i->arena, l->key),
									  arena_strdup(&i->arena, json_str(l))};
}

static bool above(const char *const *ids, size_t k, size_t n)
{
	for (size_t j = k + 1; j < n; j++)
		if (strcmp(ids[j], ids[k]) == 0)
			return true;
	return false;
}

/*
 * The uppermost layer first, as overlayfs lists them; the configuration has the lowest first. One that occurs again
 * above is left out: overlayfs refuses a directory twice, and what is in it shows from above anyway.
 */
/* Its root is marked opaque: nothing of the layers below shows. overlayfs doesn't ask that of a root. */
static bool hides_all_below(const char *path)
{
	char y;
	return lgetxattr(path, "trusted.overlay.opaque", &y, 1) == 1 && y == 'y';
}

static int fill_layers(const struct image_store *s, struct image *i, const struct json *config)
{
	size_t n;
	const char **ids = image_diff_ids(&i->arena, config, &n);

	if (!ids)
		return -EBADMSG;
	const char **paths = arena_zalloc(&i->arena, (n + 1) * sizeof(*paths));
	bool hidden = false;
	for (size_t k = n; k-- > 0;) {
		if (above(ids, k, n))
			continue;
		uint64_t size;
		paths[i->n_layers] = arena_printf(&i->arena, "%s/layers/%s/fs", s->dir, ids[k]);
		if (!image_layer_size(s, ids[k], &size))
			return -EBADMSG;
		i->size += size;
		if (hidden)
			paths[i->n_layers] = NULL;
		else
			hidden = hides_all_below(paths[i->n_layers++]);
	}
	i->layers = paths;
	return 0;
}

int image_config_fill(const struct image_store *s, struct image *i, const struct json *config)
{
	const struct json *c = json_get(config, "config");
	struct arena *a = &i->arena;

	i->os = text(a, config, "os");
	i->architecture = text(a, config, "architecture");
	i->variant = text(a, config, "variant");
	if (json_path_str(config, "created"))
		time_parse(json_path_str(config, "created"), &i->created_ns);
	i->entrypoint = strings(a, json_get(c, "Entrypoint"));
	i->cmd = strings(a, json_get(c, "Cmd"));
	i->env = strings(a, json_get(c, "Env"));
	i->working_dir = text(a, c, "WorkingDir");
	i->user = text(a, c, "User");
	i->stop_signal = text(a, c, "StopSignal");
	i->exposed_ports = member_names(a, json_get(c, "ExposedPorts"));
	fill_labels(i, json_get(c, "Labels"));
	return fill_layers(s, i, config);
}

void image_free(struct image *i)
{
	if (!i)
		return;
	arena_release(&i->arena);
	free(i);
}
