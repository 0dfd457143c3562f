/* SPDX-License-Identifier: Apache-2.0 */
/* Pulling: the manifest (of an index, the fitting one), the configuration, the layers, and writing it down. */
#include "image/pull.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/pull_internal.h"
#include "image/stream.h"

#define ACCEPT_ALL MEDIA_OCI_INDEX ", " MEDIA_DOCKER_LIST ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_MANIFEST
#define INDEX_DEPTH_MAX 4 /* an index in an index happens, more doesn't */

struct pull {
	const struct ref_parts *ref;
	struct platform platform;
	bool all_platforms;
	/* of one endpoint */
	struct transfer *t;
	struct transport *transport;
	struct arena arena;
	char target[IMAGE_ID_LEN + 1];
	VEC(struct image_record) records;
	const char *names[3];
	char *id; /* of the last one */
};

static struct registry registry_of(struct pull *p)
{
	return (struct registry){
	    .transport = p->transport, .auth = p->t->auth, .base = &p->t->base, .repository = p->t->repository};
}

static int get(struct pull *p, const char *kind, const char *reference, const char *accept,
	       struct transport_reply *reply, char *err, size_t err_len)
{
	struct registry r = registry_of(p);
	struct url url;
	int k = registry_url(&r, &url, "%s/%s", kind, reference);

	if (k < 0)
		return image_fail(err, err_len, k, "the name is too long");
	struct transport_request q = {
	    .method = "GET", .url = &url, .headers = {{"accept", accept}}, .n_headers = 1, .body_max = IMAGE_JSON_MAX};
	k = registry_try(&r, &q, reply, err, err_len);
	url_release(&url);
	if (k == 0 && reply->code != 200)
		k = registry_failure(reply, str_eq(kind, "blobs") ? "configuration" : reference, err, err_len);
	return k;
}

/* A manifest or configuration, verified, in the store. hex NULL: whatever the tag is now. */
static int get_blob(struct pull *p, const char *kind, const char *tag, const struct descriptor *d,
		    char ret_hex[SHA256_HEX + 1], const char **ret_text, size_t *ret_len, char *err, size_t err_len)
{
	_cleanup_(transport_reply_release) struct transport_reply reply = {0};
	_cleanup_free_ char *digest = d ? xasprintf("sha256:%s", d->hex) : NULL;
	_cleanup_buf_ struct buf here = BUF_INIT;

	if (d && image_blob_there(p->t->store, d->hex, NULL) && image_blob_read(p->t->store, d->hex, &here) == 0) {
		*ret_text = arena_strndup(&p->arena, buf_str(&here), here.len);
		*ret_len = here.len;
		strcpy(ret_hex, d->hex);
		return 0;
	}
	if (d && d->size > IMAGE_JSON_MAX)
		return image_fail(err, err_len, -E2BIG, "%s is larger than %u bytes", digest, IMAGE_JSON_MAX);
	int r = get(p, kind, digest ? digest : tag, str_eq(kind, "blobs") ? "*/*" : ACCEPT_ALL, &reply, err, err_len);
	if (r < 0)
		return r;
	*ret_text = arena_strndup(&p->arena, buf_str(&reply.body), reply.body.len);
	*ret_len = reply.body.len;
	const char *told = transport_header(reply.headers, reply.n_headers, "docker-content-digest");
	image_digest(*ret_text, *ret_len, ret_hex);
	if (d && !str_eq(d->hex, ret_hex))
		return image_fail(err, err_len, -EBADMSG,
				  "the registry sent something else: its digest is sha256:%s, not %s", ret_hex, digest);
	if (d && d->sized && d->size != *ret_len)
		return image_fail(err, err_len, -EBADMSG, "%s has %zu bytes, not %llu", digest, *ret_len,
				  (unsigned long long)d->size);
	if (!d && image_id_valid(told) && !str_eq(told + strlen("sha256:"), ret_hex))
		return image_fail(err, err_len, -EBADMSG,
				  "the manifest's digest is sha256:%s, but the registry says %s", ret_hex, told);
	r = image_blob_write(p->t->store, *ret_text, *ret_len, NULL);
	return r < 0 ? image_fail(err, err_len, r, "cannot be stored: %s", strerror(-r)) : 0;
}

static int pull_image(struct pull *p, const struct manifest *m, const char *manifest_hex, char *err, size_t err_len)
{
	char hex[SHA256_HEX + 1];
	struct json_error je;
	struct json *config;
	const char *text;
	size_t len, n;
	int r = get_blob(p, "blobs", NULL, &m->config, hex, &text, &len, err, err_len);

	if (r < 0)
		return r;
	if (json_parse(&p->arena, text, len, &config, &je) < 0 || !json_is(config, JSON_OBJECT) ||
	    !json_get(config, "rootfs"))
		return image_fail(err, err_len, -EBADMSG, "is not a container image%s%s",
				  *m->config.media_type ? ": its configuration is of type " : "", m->config.media_type);
	const char **diff_ids = image_diff_ids(&p->arena, config, &n);
	if (!diff_ids || n != m->n_parts)
		return image_fail(err, err_len, -EBADMSG,
				  "the configuration's diff_ids don't match the manifest's layers");
	struct layer_pull *layers = arena_zalloc(&p->arena, (n + 1) * sizeof(*layers));
	for (size_t i = 0; i < n; i++)
		layers[i] = (struct layer_pull){m->parts[i], diff_ids[i]};
	r = pull_layers(p->t, layers, n, err, err_len);
	if (r < 0)
		return r;
	struct image_record record = {.id = arena_printf(&p->arena, "sha256:%s", hex),
				      .manifest = arena_printf(&p->arena, "sha256:%s", manifest_hex),
				      .target = p->target,
				      .names = p->names};
	VEC_PUSH(&p->records, record);
	return 0;
}

static int pull_manifest(struct pull *p, const struct descriptor *d, int depth, char *err, size_t err_len);

static int pull_index(struct pull *p, const struct manifest *m, int depth, char *err, size_t err_len)
{
	char text[3 * PLATFORM_PART_MAX];

	if (!p->all_platforms) {
		const struct descriptor *d = manifest_pick(m, &p->platform);
		return d ? pull_manifest(p, d, depth + 1, err, err_len)
			 : image_fail(err, err_len, -ENOENT, "no match for platform %s in its index",
				      platform_text(&p->platform, text));
	}
	for (size_t i = 0; i < m->n_parts; i++) {
		if (m->parts[i].has_platform && str_eq(m->parts[i].platform.os, "unknown"))
			continue; /* attestations */
		int r = pull_manifest(p, &m->parts[i], depth + 1, err, err_len);
		if (r < 0)
			return r;
	}
	return 0;
}

/* d NULL: what the reference says. */
static int pull_manifest(struct pull *p, const struct descriptor *d, int depth, char *err, size_t err_len)
{
	char hex[SHA256_HEX + 1];
	struct manifest m;
	const char *text;
	size_t len;

	if (depth > INDEX_DEPTH_MAX)
		return image_fail(err, err_len, -EBADMSG, "indexes are nested deeper than %d", INDEX_DEPTH_MAX);
	int r = get_blob(p, "manifests", p->ref->tag, d, hex, &text, &len, err, err_len);
	if (r == 0)
		r = manifest_parse(&p->arena, text, len, &m, err, err_len);
	if (r < 0)
		return r;
	if (depth == 0)
		snprintf(p->target, sizeof(p->target), "sha256:%s", hex);
	return m.index ? pull_index(p, &m, depth, err, err_len) : pull_image(p, &m, hex, err, err_len);
}

static int pull_from(struct transfer *t, void *arg, char *err, size_t err_len)
{
	struct pull *p = arg;
	struct descriptor top = {.media_type = ""};
	size_t n = 0;

	p->t = t;
	p->records.n = 0;
	arena_release(&p->arena);
	int r = transport_new(t->options->registries, t->options->limits, &p->transport);
	if (r < 0)
		return image_fail(err, err_len, r, "no event loop: %s", strerror(-r));
	transfer_progress(t, NULL, IMAGE_STEP_RESOLVING, 0, 0);
	if (p->ref->digest)
		strcpy(top.hex, p->ref->digest + strlen("sha256:"));
	/* The names are filled in when the target is known; the records point to them. */
	memset(p->names, 0, sizeof(p->names));
	r = pull_manifest(p, p->ref->digest ? &top : NULL, 0, err, err_len);
	transport_free(TAKE_PTR(p->transport));
	if (r == 0 && !p->records.n)
		r = image_fail(err, err_len, -ENOENT, "its index has no images");
	if (r < 0)
		return r;
	if (p->ref->tag)
		p->names[n++] = arena_printf(&p->arena, "%s/%s:%s", p->ref->registry, p->ref->repository, p->ref->tag);
	p->names[n] = arena_printf(&p->arena, "%s/%s@%s", p->ref->registry, p->ref->repository, p->target);
	r = image_record(t->store, p->records.at, p->records.n, err, err_len);
	if (r == 0)
		p->id = xstrdup(VEC_LAST(&p->records).id);
	return r;
}

static int pull(struct image_store *s, struct pull *p, const struct image_transfer *o, char *err, size_t err_len)
{
	int r = image_import_begin(s);

	if (r < 0)
		return image_fail(err, err_len, r, "the image store cannot be locked: %s", strerror(-r));
	r = transfer_each(s, p->ref, o, true, "pull", pull_from, p, err, err_len);
	image_import_end(s);
	return r;
}

int image_pull(struct image_store *s, const char *ref, const struct image_transfer *o, char **ret_id, char *err,
	       size_t err_len)
{
	struct ref_parts parts;
	struct pull p = {.ref = &parts, .all_platforms = str_eq(o->platform, IMAGE_PLATFORM_ALL)};
	char why[600] = "";

	if (ref_split(ref, &parts) < 0)
		return image_fail(err, err_len, -EINVAL, "\"%.200s\" is not a valid image reference", ref);
	int r = 0;
	if (parts.digest && !image_id_valid(parts.digest))
		r = image_fail(why, sizeof(why), -EINVAL, "only sha256 digests can be pulled");
	else if (platform_parse(p.all_platforms ? NULL : o->platform, &p.platform) < 0)
		r = image_fail(why, sizeof(why), -EINVAL, "\"%.60s\" is not a platform such as linux/amd64",
			       o->platform);
	if (r == 0)
		r = pull(s, &p, o, why, sizeof(why));
	if (r == -EBADMSG || r == -E2BIG)
		image_collect(s, false); /* nothing is left of what was refused */
	if (r == 0 && ret_id)
		*ret_id = TAKE_PTR(p.id);
	free(p.id);
	VEC_RELEASE(&p.records);
	arena_release(&p.arena);
	if (r < 0)
		image_fail(err, err_len, r, "failed to pull and unpack image \"%s/%s%c%s\": %s", parts.registry,
			   parts.repository, parts.digest ? '@' : ':', parts.digest ? parts.digest : parts.tag, why);
	ref_parts_release(&parts);
	return r;
}
