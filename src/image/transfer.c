/* SPDX-License-Identifier: Apache-2.0 */
/* Where to, and as whom: the endpoints and credentials of a transfer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/keyring.h"
#include "image/pull_internal.h"
#include "image/registries.h"

int ref_split(const char *ref, struct ref_parts *ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (image_ref_normalize(ref, &b) < 0 || image_id_valid(buf_str(&b)))
		return -EINVAL;
	char *text = b.data, *at = strchr(text, '@'), *slash = strchr(text, '/');
	char *colon = at ? NULL : strrchr(slash, ':');
	*ret = (struct ref_parts){.registry = xstrndup(text, (size_t)(slash - text)),
				  .tag = colon ? xstrdup(colon + 1) : NULL,
				  .digest = at ? xstrdup(at + 1) : NULL};
	if (at || colon)
		*(at ? at : colon) = 0;
	ret->repository = xstrdup(slash + 1);
	return 0;
}

void ref_parts_release(struct ref_parts *p)
{
	free(p->registry);
	free(p->repository);
	free(p->tag);
	free(p->digest);
}

void transfer_progress(struct transfer *t, const char *hex, enum image_step step, uint64_t done, uint64_t total)
{
	if (!t->options->progress)
		return;
	pthread_mutex_lock(&t->lock);
	t->options->progress(t->options->arg, hex, step, done, total);
	pthread_mutex_unlock(&t->lock);
}

struct each {
	struct image_store *store;
	const struct image_transfer *options;
	const char *actions;
	int (*fn)(struct transfer *t, void *arg, char *err, size_t err_len);
	void *arg;
};

static int with_credential(const struct each *e, const struct registry_endpoint *where, const struct url *base,
			   const struct credential *c, char *err, size_t err_len)
{
	struct transfer t = {.store = e->store, .options = e->options, .base = *base, .repository = where->repository};

	t.auth = registry_auth_new(c, e->actions);
	pthread_mutex_init(&t.lock, NULL);
	int r = e->fn(&t, e->arg, err, err_len);
	pthread_mutex_destroy(&t.lock);
	registry_auth_free(t.auth);
	return r;
}

/* A credential is for the host it was given for: a mirror gets those that match the mirror. */
static int with_endpoint(const struct each *e, const struct registries *registries, const struct ref_parts *p,
			 const struct registry_endpoint *where, char *err, size_t err_len)
{
	char authority[URL_HOST_MAX + 16];
	struct url base;
	int r;

	if (url_parse(where->url, &base) < 0)
		return image_fail(err, err_len, -EINVAL, "%s is not a URL", where->url);
	url_authority(&base, authority);
	_cleanup_free_ char *image = xasprintf("%s/%s", where->mirror ? authority : p->registry, where->repository);
	const struct credential *c = registries_auth(registries, authority);
	if (!c && !where->mirror)
		c = registries_auth(registries, p->registry);
	if (c) {
		r = with_credential(e, where, &base, c, err, err_len);
	} else {
		size_t i = 0;
		do {
			c = keyring_match(e->options->keyring, image, i++);
			r = with_credential(e, where, &base, c, err, err_len);
		} while (r == -EACCES && keyring_match(e->options->keyring, image, i));
	}
	url_release(&base);
	return r;
}

int transfer_each(struct image_store *s, const struct ref_parts *p, const struct image_transfer *o, bool mirrors,
		  const char *actions, int (*fn)(struct transfer *t, void *arg, char *err, size_t err_len), void *arg,
		  char *err, size_t err_len)
{
	struct registry_endpoint where[REGISTRY_ENDPOINTS_MAX];
	struct each e = {s, o, actions, fn, arg};
	struct registries *none = NULL;
	int r = o->registries ? 0 : registries_new(NULL, &none, err, err_len);

	if (r < 0)
		return r;
	const struct registries *registries = o->registries ? o->registries : none;
	struct image_transfer with = *o;
	with.registries = registries;
	e.options = &with;
	size_t n = registries_endpoints(registries, p->registry, p->repository, where);
	r = -ENOENT;
	for (size_t i = mirrors ? 0 : n - 1; i < n && r < 0; i++) {
		r = with_endpoint(&e, registries, p, &where[i], err, err_len);
		if (r < 0 && i + 1 < n)
			log_debug("mirror failed url=%s reason=\"%s\"", where[i].url, err);
		if (r == -ENOSPC || r == -EDQUOT)
			break; /* the next would fill the disk, too */
	}
	for (size_t i = 0; i < n; i++)
		registry_endpoint_release(&where[i]);
	registries_free(none);
	return r;
}
