/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushing: each blob that the registry lacks (asked by HEAD, mounted from the repository it came from, else uploaded in
 * chunks), then manifests, the index last. All byte for byte as in the store.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/pull_internal.h"

#define CHUNK_BYTES (8u << 20) /* of an upload: what is in memory, and what is sent again after a failure */

struct push {
	const char *image, *platform;
	const struct ref_parts *ref;
	struct transfer *t;
	struct transport *transport;
	struct arena arena;
	char *from; /* another repository of the same registry that has the image, or NULL */
	char digest[IMAGE_ID_LEN + 1];
};

static struct registry registry_of(struct push *p)
{
	return (struct registry){.transport = p->transport,
				 .auth = p->t->auth,
				 .base = &p->t->base,
				 .repository = p->t->repository,
				 .mount_from = p->from};
}

static int request(struct push *p, struct transport_request *q, struct transport_reply *reply, char *err,
		   size_t err_len)
{
	struct registry r = registry_of(p);
	return registry_try(&r, q, reply, err, err_len);
}

static int has(struct push *p, const char *kind, const char *hex, bool *ret, char *err, size_t err_len)
{
	_cleanup_(transport_reply_release) struct transport_reply reply = {0};
	struct registry r = registry_of(p);
	struct url url;
	int k = registry_url(&r, &url, "%s/sha256:%s", kind, hex);

	if (k < 0)
		return image_fail(err, err_len, k, "the name is too long");
	k = request(p, &(struct transport_request){.method = "HEAD", .url = &url}, &reply, err, err_len);
	url_release(&url);
	if (k == 0 && (reply.code == 401 || reply.code == 403))
		k = registry_failure(&reply, "blob", err, err_len);
	if (k == 0)
		*ret = reply.code == 200;
	return k;
}

/* Where the upload goes on. */
static int location_of(const struct transport_reply *reply, struct url *at, char *err, size_t err_len)
{
	const char *location = transport_header(reply->headers, reply->n_headers, "location");
	struct url next;

	if (!location || url_resolve(&reply->url, location, &next) < 0)
		return image_fail(err, err_len, -EPROTO, "the registry does not say where to upload to");
	if (reply->url.tls && !next.tls) {
		url_release(&next);
		return image_fail(err, err_len, -EPROTO, "the registry wants the upload over plain http");
	}
	url_release(at);
	*at = next;
	return 0;
}

/* *ret_done: the registry took it from the other repository. */
static int begin(struct push *p, const char *hex, struct url *at, bool *ret_done, char *err, size_t err_len)
{
	_cleanup_(transport_reply_release) struct transport_reply reply = {0};
	struct registry r = registry_of(p);
	_cleanup_buf_ struct buf from = BUF_INIT;
	struct url url;

	if (p->from) {
		buf_addf(&from, "?mount=sha256:%s&from=", hex);
		percent_encode(&from, p->from);
	}
	int k = registry_url(&r, &url, "blobs/uploads/%s", buf_str(&from));
	if (k < 0)
		return image_fail(err, err_len, k, "the name is too long");
	k = request(p, &(struct transport_request){.method = "POST", .url = &url, .stay = true}, &reply, err, err_len);
	url_release(&url);
	if (k < 0)
		return k;
	*ret_done = reply.code == 201;
	if (reply.code == 201)
		return 0;
	if (reply.code != 202)
		return registry_failure(&reply, "upload", err, err_len);
	return location_of(&reply, at, err, err_len);
}

static int send(struct push *p, const char *method, struct url *at, const char *query, const void *data, size_t len,
		uint64_t offset, int expected, char *err, size_t err_len)
{
	_cleanup_(transport_reply_release) struct transport_reply reply = {0};
	struct url url = *at;
	char range[64];

	url.path = query ? xasprintf("%s%c%s", at->path, strchr(at->path, '?') ? '&' : '?', query) : xstrdup(at->path);
	struct transport_request q = {.method = method,
				      .url = &url,
				      .headers = {{"content-type", "application/octet-stream"}},
				      .n_headers = 1,
				      .body = data,
				      .body_len = len,
				      .stay = true};
	if (str_eq(method, "PATCH")) {
		snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)offset,
			 (unsigned long long)(offset + len - 1));
		q.headers[q.n_headers++] = (struct http_header_pair){"content-range", range};
	}
	struct registry r = registry_of(p);
	int k = registry_do(&r, &q, &reply, err, err_len);
	url_release(&url);
	if (k == 0 && reply.code != expected)
		k = registry_failure(&reply, "upload", err, err_len);
	else if (k == 0 && expected == 202)
		k = location_of(&reply, at, err, err_len);
	return k;
}

/* One blob: small ones at once, large ones in chunks. */
static int upload(struct push *p, const char *hex, int fd, uint64_t size, struct url *at, char *err, size_t err_len)
{
	_cleanup_free_ char *chunk = xmalloc(CHUNK_BYTES), *query = xasprintf("digest=sha256:%s", hex);
	uint64_t done = 0;

	for (;;) {
		size_t want = (size_t)MIN_OF(size - done, (uint64_t)CHUNK_BYTES), len = 0;
		for (ssize_t n = 1; len < want && n > 0; len += n > 0 ? (size_t)n : 0)
			n = pread(fd, chunk + len, want - len, (off_t)(done + len));
		if (len < want)
			return image_fail(err, err_len, -EIO, "the blob cannot be read");
		bool last = done + len == size;
		/* A blob of one chunk is sent monolithically; of several, the last one comes with the digest. */
		int r = last ? send(p, "PUT", at, query, chunk, len, done, 201, err, err_len)
			     : send(p, "PATCH", at, NULL, chunk, len, done, 202, err, err_len);
		if (r < 0)
			return r;
		done += len;
		transfer_progress(p->t, hex, IMAGE_STEP_MOVING, done, size);
		if (last)
			return 0;
	}
}

static int push_blob(struct push *p, const char *hex, char *err, size_t err_len)
{
	_cleanup_close_ int fd = image_blob_open(p->t->store, hex);
	struct url at = {0};
	bool there = false, mounted = false;
	uint64_t size = 0;
	int r;

	if (fd < 0 || !image_blob_there(p->t->store, hex, &size))
		return image_fail(err, err_len, -ENOENT, "blob sha256:%s is not in the image store", hex);
	transfer_progress(p->t, hex, IMAGE_STEP_WAITING, 0, size);
	r = has(p, "blobs", hex, &there, err, err_len);
	for (int n = 1; r == 0 && !there && !mounted; n++) {
		r = begin(p, hex, &at, &mounted, err, err_len);
		if (r == 0 && !mounted) {
			r = upload(p, hex, fd, size, &at, err, err_len);
			if (r == 0)
				break;
			/* An upload that broke begins again: what the registry has of it is not certain. */
			int64_t ms =
			    r == -EAGAIN || transport_transient(r) ? registry_retry_ms(-ECONNRESET, NULL, n) : -1;
			if (ms < 0)
				break;
			transfer_progress(p->t, hex, IMAGE_STEP_RETRYING, 0, size);
			transport_wait_ms(p->transport, ms);
			r = 0;
		}
	}
	url_release(&at);
	if (r < 0)
		return r;
	transfer_progress(p->t, hex, there || mounted ? IMAGE_STEP_EXISTS : IMAGE_STEP_DONE, size, size);
	return 0;
}

static int put_manifest(struct push *p, const char *reference, const struct manifest *m, const struct buf *text,
			char *err, size_t err_len)
{
	_cleanup_(transport_reply_release) struct transport_reply reply = {0};
	struct registry r = registry_of(p);
	struct url url;
	const char *type = !str_empty(m->media_type) ? m->media_type : m->index ? MEDIA_OCI_INDEX : MEDIA_OCI_MANIFEST;
	int k = registry_url(&r, &url, "manifests/%s", reference);

	if (k < 0)
		return image_fail(err, err_len, k, "the name is too long");
	k = request(p,
		    &(struct transport_request){.method = "PUT",
						.url = &url,
						.headers = {{"content-type", type}},
						.n_headers = 1,
						.body = text->data,
						.body_len = text->len,
						.stay = true},
		    &reply, err, err_len);
	url_release(&url);
	if (k == 0 && reply.code != 201)
		k = registry_failure(&reply, "manifest", err, err_len);
	return k;
}

static int push_manifest(struct push *p, const char *hex, const char *reference, char *err, size_t err_len)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *digest = xasprintf("sha256:%s", hex);
	struct manifest m;
	int r = image_blob_read(p->t->store, hex, &text);

	if (r < 0)
		return image_fail(err, err_len, r, "manifest %s is not in the image store%s", digest,
				  reference ? "" : ": pull it for all platforms before");
	r = manifest_parse(&p->arena, buf_str(&text), text.len, &m, err, err_len);
	for (size_t i = 0; r == 0 && i < m.n_parts; i++)
		r = m.index ? push_manifest(p, m.parts[i].hex, NULL, err, err_len)
			    : push_blob(p, m.parts[i].hex, err, err_len);
	if (r == 0 && !m.index)
		r = push_blob(p, m.config.hex, err, err_len);
	return r < 0 ? r : put_manifest(p, reference ? reference : digest, &m, &text, err, err_len);
}

static int push_to(struct transfer *t, void *arg, char *err, size_t err_len)
{
	struct push *p = arg;
	int r = transport_new(t->options->registries, t->options->limits, &p->transport);

	if (r < 0)
		return image_fail(err, err_len, r, "no event loop: %s", strerror(-r));
	p->t = t;
	r = push_manifest(p, p->digest + strlen("sha256:"), p->ref->tag, err, err_len);
	transport_free(TAKE_PTR(p->transport));
	return r;
}

/* The digest to push, and whether the registry may have its blobs in another repository. */
static int find(struct image_store *s, struct push *p, char *err, size_t err_len)
{
	bool all = str_eq(p->platform, IMAGE_PLATFORM_ALL);
	_cleanup_free_ char *prefix = xasprintf("%s/", p->ref->registry);
	struct image *i;
	int r = image_resolve_platform(s, p->image, all ? NULL : p->platform, &i, err, err_len);

	if (r < 0)
		return r;
	strcpy(p->digest, i->manifest);
	if (all)
		image_target(s, p->image, p->digest); /* stays what it is for an id */
	for (const char *const *name = i->repo_digests; *name && !p->from; name++) {
		const char *repository = str_after(*name, prefix);
		size_t len = repository ? strcspn(repository, "@") : 0;
		if (repository &&
		    !(strlen(p->ref->repository) == len && memcmp(repository, p->ref->repository, len) == 0))
			p->from = xstrndup(repository, len);
	}
	image_free(i);
	return 0;
}

int image_push(struct image_store *s, const char *image, const char *ref, const struct image_transfer *o,
	       char *ret_digest, char *err, size_t err_len)
{
	struct ref_parts parts;
	struct push p = {.image = image, .platform = o->platform, .ref = &parts};
	char why[600] = "";

	int r = ref_split(ref, &parts);
	if (r == 0 && parts.digest) {
		ref_parts_release(&parts);
		r = -EINVAL;
	}
	if (r < 0) {
		return image_fail(err, err_len, -EINVAL, "\"%.200s\" is not a name that can be pushed to", ref);
	}
	/* Whoever removes images meanwhile doesn't get at the blobs. */
	int importing = r = image_import_begin(s);
	if (r == 0)
		r = find(s, &p, why, sizeof(why));
	if (r == 0)
		r = transfer_each(s, &parts, o, false, "pull,push", push_to, &p, why, sizeof(why));
	if (importing == 0)
		image_import_end(s);
	if (r == 0 && ret_digest)
		strcpy(ret_digest, p.digest);
	if (r < 0)
		image_fail(err, err_len, r, "failed to push image \"%s/%s:%s\": %s", parts.registry, parts.repository,
			   parts.tag, why);
	free(p.from);
	arena_release(&p.arena);
	ref_parts_release(&parts);
	return r;
}
