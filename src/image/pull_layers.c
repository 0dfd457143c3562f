/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of an image, a few at once. Each worker thread has a connection of its own and takes the next layer; a
 * second thread unpacks what has arrived.
 *
 *   here already ──> done                   lock of the layer ──> here now? done
 *                                                             ──> download into partial/ ∥ unpack, verify ──> blob
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "image/growing.h"
#include "image/layer_store.h"
#include "image/pull_internal.h"

#define WHY_MAX 400

struct layers {
	struct transfer *t;
	const struct layer_pull *all;
	size_t n;
	pthread_mutex_t lock;
	size_t next;
	int result; /* of the first that failed */
	char why[WHY_MAX + SHA256_HEX + 32];
	struct transport *transports[PULL_LAYERS_AT_ONCE];
};

/* One layer on its way. */
struct download {
	struct layers *all;
	struct transport *transport;
	const struct layer_pull *layer;
	struct growing data;
	uint64_t skip; /* bytes that the server sends again */
	int answer;    /* of the response's head: why the body isn't wanted */
	/* the unpacking thread's */
	int result;
	char why[WHY_MAX];
};

/* ---- the bytes ---- */

/* 206 must begin where we asked; 200 is everything from the start. */
static int on_head(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	struct download *d = arg;
	uint64_t have = growing_have(&d->data), first, total = d->data.total, length;
	const char *range = transport_header(headers, n, "content-range");
	const char *size = transport_header(headers, n, "content-length");
	char number[24];

	d->skip = 0;
	if (code == 206) {
		const char *at = range ? str_after(range, "bytes ") : NULL;
		size_t len = at ? strspn(at, "0123456789") : 0;
		if (!len || len >= sizeof(number))
			return -EPROTO;
		memcpy(number, at, len);
		number[len] = 0;
		return parse_u64(number, &first) == 0 && first == have ? 0 : -EPROTO;
	}
	d->skip = have;
	if (size && parse_u64(size, &length) == 0 && length != total)
		return -EBADMSG;
	return 0;
}

static int on_body(void *arg, const void *p, size_t len)
{
	struct download *d = arg;
	size_t skip = (size_t)MIN_OF(d->skip, (uint64_t)len);

	d->skip -= skip;
	int r = growing_write(&d->data, (const char *)p + skip, len - skip);
	if (r == 0)
		transfer_progress(d->all->t, d->layer->d.hex, IMAGE_STEP_MOVING, growing_have(&d->data), d->data.total);
	return r;
}

/* One request for what is missing. */
static int fetch(struct download *d, struct transport_reply *reply, char *err, size_t err_len)
{
	struct transfer *t = d->all->t;
	struct registry r = {.transport = d->transport, .auth = t->auth, .base = &t->base, .repository = t->repository};
	uint64_t have = growing_have(&d->data);
	struct url url;
	char range[40];
	int k = registry_url(&r, &url, "blobs/sha256:%s", d->layer->d.hex);

	if (k < 0)
		return image_fail(err, err_len, k, "the name is too long");
	struct transport_request q = {.method = "GET", .url = &url, .on_head = on_head, .on_body = on_body, .arg = d};
	if (have) {
		snprintf(range, sizeof(range), "bytes=%llu-", (unsigned long long)have);
		q.headers[q.n_headers++] = (struct http_header_pair){"range", range};
	}
	k = registry_do(&r, &q, reply, err, err_len);
	url_release(&url);
	if (k == -EBADMSG)
		return image_fail(err, err_len, k, "the registry sends another number of bytes than the manifest says");
	if (k == 0 && reply->code / 100 == 2 && growing_have(&d->data) < d->data.total)
		return image_fail(err, err_len, -ECONNRESET, "the connection ended within the layer");
	return k;
}

/* Until everything is there. Progress counts: only tries in a row that bring nothing are numbered. */
static int fetch_all(struct download *d, char *err, size_t err_len)
{
	int n = 0;

	while (growing_have(&d->data) < d->data.total) {
		_cleanup_(transport_reply_release) struct transport_reply reply = {0};
		uint64_t before = growing_have(&d->data);
		int r = fetch(d, &reply, err, err_len);
		if (growing_have(&d->data) >= before + (1u << 20))
			n = 0; /* less may be a server that is being a nuisance */
		if (r == 0 && reply.code / 100 == 2)
			continue;
		int64_t ms = registry_retry_ms(r, &reply, ++n);
		if (ms < 0)
			return r < 0 ? r : registry_failure(&reply, "layer", err, err_len);
		transfer_progress(d->all->t, d->layer->d.hex, IMAGE_STEP_RETRYING, growing_have(&d->data),
				  d->data.total);
		transport_wait_ms(d->transport, ms);
	}
	return 0;
}

/* ---- the content ---- */

static void *unpack(void *arg)
{
	struct download *d = arg;
	struct image_source src = {.read = growing_read, .abort = growing_abort, .arg = &d->data};
	struct image_store *s = d->all->t->store;
	char diff[SHA256_HEX + 1], stored[SHA256_HEX + 1];

	strcpy(diff, d->layer->diff);
	strcpy(stored, d->layer->d.hex);
	d->result = image_layer_there(s, diff) ? image_layer_verify(&src, diff, stored, d->why, sizeof(d->why))
					       : image_layer_make(s, &src, diff, stored, d->why, sizeof(d->why));
	if (d->result < 0)
		growing_fail(&d->data, -ECANCELED);
	return NULL;
}

static int download(struct download *d, int fd, uint64_t have, char *err, size_t err_len)
{
	pthread_t thread;

	growing_init(&d->data, fd, have, d->layer->d.size);
	int r = -pthread_create(&thread, NULL, unpack, d);
	if (r == 0) {
		r = fetch_all(d, err, err_len);
		if (r < 0)
			growing_fail(&d->data, r);
		pthread_join(thread, NULL);
		/* It stopped the download, or it has the last word. */
		if (d->result < 0 && (r == 0 || r == -ECANCELED))
			r = image_fail(err, err_len, d->result, "%s", d->why);
	} else {
		image_fail(err, err_len, r, "cannot start a thread: %s", strerror(-r));
	}
	growing_release(&d->data);
	return r;
}

/* Under the layer's lock. */
static int make(struct layers *all, struct transport *transport, const struct layer_pull *layer, char *err,
		size_t err_len)
{
	struct image_store *s = all->t->store;
	_cleanup_free_ char *path = image_path(s, "partial/%s", layer->d.hex);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct download d = {.all = all, .transport = transport, .layer = layer};
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return image_fail(err, err_len, -errno, "%s: %s", path, strerror(errno));
	uint64_t have = (uint64_t)st.st_size > layer->d.size ? 0 : (uint64_t)st.st_size;
	for (;;) {
		if (have == 0 && ftruncate(fd, 0) < 0)
			return image_fail(err, err_len, -errno, "%s: %s", path, strerror(errno));
		r = download(&d, fd, have, err, err_len);
		if (r != -EBADMSG || !have)
			break;
		have = 0; /* what an earlier pull left was bad: once more, from the start */
	}
	if (r == -EBADMSG || r == -E2BIG)
		unlink(path);
	return r < 0 ? r : image_blob_adopt(s, path, layer->d.hex);
}

/* The blob is here, its content isn't. */
static int unpack_blob(struct image_store *s, const struct layer_pull *layer, char *err, size_t err_len)
{
	_cleanup_close_ int fd = image_blob_open(s, layer->d.hex);
	struct image_source src = image_source_fd(&fd);
	char diff[SHA256_HEX + 1], stored[SHA256_HEX + 1];

	if (fd < 0)
		return image_fail(err, err_len, fd, "its blob cannot be read: %s", strerror(-fd));
	strcpy(diff, layer->diff);
	strcpy(stored, layer->d.hex);
	return image_layer_make(s, &src, diff, stored, err, err_len);
}

static int get_layer(struct layers *all, struct transport *transport, const struct layer_pull *layer, char *err,
		     size_t err_len)
{
	struct image_store *s = all->t->store;
	const char *hex = layer->d.hex;
	uint64_t size = layer->d.size;

	if (!layer->d.sized)
		return image_fail(err, err_len, -EBADMSG, "the manifest does not say its size");
	if (image_layer_there(s, layer->diff) && image_blob_there(s, hex, NULL)) {
		transfer_progress(all->t, hex, IMAGE_STEP_EXISTS, size, size);
		return 0;
	}
	transfer_progress(all->t, hex, IMAGE_STEP_WAITING, 0, size);
	_cleanup_close_ int lock = image_lock_layer(s, hex);
	if (lock < 0)
		return image_fail(err, err_len, lock, "cannot be locked: %s", strerror(-lock));
	bool blob = image_blob_there(s, hex, NULL);
	bool there = image_layer_there(s, layer->diff);
	int r = there && blob ? 0
		: blob	      ? unpack_blob(s, layer, err, err_len)
			      : make(all, transport, layer, err, err_len);
	if (r == 0)
		transfer_progress(all->t, hex, there && blob ? IMAGE_STEP_EXISTS : IMAGE_STEP_DONE, size, size);
	return r;
}

/* ---- the threads ---- */

/* The first failure is the one that is told; it ends the others. */
static void failed(struct layers *all, const struct layer_pull *layer, int r, const char *why)
{
	pthread_mutex_lock(&all->lock);
	if (all->result == 0) {
		all->result = r;
		snprintf(all->why, sizeof(all->why), "layer sha256:%s: %s", layer->d.hex, why);
		for (size_t i = 0; i < ARRAY_SIZE(all->transports); i++)
			if (all->transports[i])
				transport_abort(all->transports[i]);
	}
	pthread_mutex_unlock(&all->lock);
}

struct worker {
	struct layers *all;
	struct transport *transport;
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct layers *all = w->all;
	char why[WHY_MAX];

	for (;;) {
		pthread_mutex_lock(&all->lock);
		const struct layer_pull *layer = all->result == 0 && all->next < all->n ? &all->all[all->next++] : NULL;
		pthread_mutex_unlock(&all->lock);
		if (!layer)
			return NULL;
		why[0] = 0;
		int r = get_layer(all, w->transport, layer, why, sizeof(why));
		if (r < 0)
			failed(all, layer, r, why);
	}
}

int pull_layers(struct transfer *t, const struct layer_pull *layers, size_t n, char *err, size_t err_len)
{
	struct layers all = {.t = t, .all = layers, .n = n};
	struct worker workers[PULL_LAYERS_AT_ONCE] = {0};
	size_t want = MIN_OF(n, (size_t)PULL_LAYERS_AT_ONCE), started = 0;
	int r = 0;

	pthread_mutex_init(&all.lock, NULL);
	for (size_t i = 0; i < want && r == 0; i++)
		r = transport_new(t->options->registries, t->options->limits, &all.transports[i]);
	for (; r == 0 && started < want; started += r == 0) {
		workers[started] = (struct worker){.all = &all, .transport = all.transports[started]};
		r = -pthread_create(&workers[started].thread, NULL, work, &workers[started]);
	}
	for (size_t i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	for (size_t i = 0; i < want; i++)
		transport_free(all.transports[i]);
	pthread_mutex_destroy(&all.lock);
	if (r < 0)
		return image_fail(err, err_len, r, "cannot start a thread: %s", strerror(-r));
	return all.result < 0 ? image_fail(err, err_len, all.result, "%s", all.why) : 0;
}
