/* SPDX-License-Identifier: Apache-2.0 */
#include "image/manifest.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"

/* ref.name may be a tag only, which says nothing without its repository. */
static const char *name_of(struct arena *a, const struct json *descriptor)
{
	const struct json *notes = json_get(descriptor, "annotations");
	const char *full = json_str(json_get(notes, "io.containerd.image.name"));
	const char *ref = json_str(json_get(notes, "org.opencontainers.image.ref.name"));

	if (!full && ref && strpbrk(ref, "/:"))
		full = ref;
	return arena_strdup(a, full ? full : NULL);
}

static int descriptor_read(struct arena *a, const struct json *v, struct descriptor *ret, char *err, size_t err_len)
{
	const char *digest = json_str(json_get(v, "digest"));
	const struct json *size = json_get(v, "size"), *p = json_get(v, "platform");
	struct descriptor d = {.media_type = arena_strdup(a, str_or(json_str(json_get(v, "mediaType")), ""))};

	if (!image_id_valid(digest))
		return image_fail(err, err_len, -EBADMSG, "a descriptor has no sha256 digest");
	strcpy(d.hex, digest + strlen("sha256:"));
	if (size) {
		int64_t n = json_int(size, -1);
		if (!json_is_int(size) || n < 0 || (uint64_t)n > IMAGE_BYTES_MAX)
			return image_fail(err, err_len, -EBADMSG, "the size of %s is not a sensible number", digest);
		d.size = (uint64_t)n;
		d.sized = true;
	}
	if (json_is(p, JSON_OBJECT)) {
		d.has_platform = true;
		platform_set(&d.platform, json_str(json_get(p, "os")), json_str(json_get(p, "architecture")),
			     json_str(json_get(p, "variant")));
	}
	d.name = json_get(v, "annotations") ? name_of(a, v) : NULL;
	*ret = d;
	return 0;
}

static int parts_read(struct arena *a, const struct json *list, size_t max, struct manifest *m, char *err,
		      size_t err_len)
{
	if (json_len(list) > max)
		return image_fail(err, err_len, -EBADMSG, "a manifest lists %u parts, more than %zu", json_len(list),
				  max);
	m->parts = arena_zalloc(a, (json_len(list) + 1) * sizeof(*m->parts));
	JSON_EACH(v, list) {
		int r = descriptor_read(a, v, &m->parts[m->n_parts], err, err_len);
		if (r < 0)
			return r;
		m->n_parts++;
	}
	return 0;
}

int manifest_parse(struct arena *a, const char *text, size_t len, struct manifest *ret, char *err, size_t err_len)
{
	struct manifest m = {0};
	struct json_error je;
	struct json *v;

	if (json_parse(a, text, len, &v, &je) < 0)
		return image_fail(err, err_len, -EBADMSG, "a manifest is not JSON: %s at byte %zu", je.message,
				  je.offset);
	if (!json_is(v, JSON_OBJECT))
		return image_fail(err, err_len, -EBADMSG, "a manifest is not an object");
	if (json_int(json_get(v, "schemaVersion"), 2) == 1)
		return image_fail(err, err_len, -EBADMSG,
				  "its manifest has docker's schema 1, which is obsolete: push the image again with a "
				  "current tool");
	m.media_type = arena_strdup(a, str_or(json_str(json_get(v, "mediaType")), ""));
	const struct json *manifests = json_get(v, "manifests"), *layers = json_get(v, "layers");
	m.index = json_is(manifests, JSON_ARRAY);
	/* Both at once is how one digest could mean different things to different readers. */
	if (m.index && (layers || json_get(v, "config")))
		return image_fail(err, err_len, -EBADMSG, "a manifest is an index and an image at once");
	if (!m.index && !json_is(layers, JSON_ARRAY))
		return image_fail(err, err_len, -EBADMSG, "a manifest has neither layers nor manifests");
	int r = 0;
	if (!m.index)
		r = descriptor_read(a, json_get(v, "config"), &m.config, err, err_len);
	if (r == 0)
		r = parts_read(a, m.index ? manifests : layers, m.index ? MANIFEST_IMAGES_MAX : IMAGE_LAYERS_MAX, &m,
			       err, err_len);
	if (r == 0)
		*ret = m;
	return r;
}

const struct descriptor *manifest_pick(const struct manifest *index, const struct platform *want)
{
	const struct descriptor *best = NULL;
	int fit = 0;

	for (size_t i = 0; i < index->n_parts; i++) {
		const struct descriptor *d = &index->parts[i];
		int f = d->has_platform ? platform_fit(want, &d->platform) : 1;
		if (f > fit) {
			fit = f;
			best = d;
		}
	}
	return best;
}

static void descriptor_write(struct buf *out, const struct descriptor *d)
{
	buf_adds(out, "{\"mediaType\":");
	json_write_string(out, d->media_type, strlen(d->media_type));
	buf_addf(out, ",\"digest\":\"sha256:%s\",\"size\":%llu}", d->hex, (unsigned long long)d->size);
}

void manifest_write(struct buf *out, const struct descriptor *config, const struct descriptor *layers, size_t n)
{
	buf_adds(out, "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"config\":");
	descriptor_write(out, config);
	buf_adds(out, ",\"layers\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_addc(out, ',');
		descriptor_write(out, &layers[i]);
	}
	buf_adds(out, "]}");
}
