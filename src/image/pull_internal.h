/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of pulling and pushing share. */
#ifndef PROA_IMAGE_PULL_INTERNAL_H
#define PROA_IMAGE_PULL_INTERNAL_H

#include <pthread.h>

#include "image/image_internal.h"
#include "image/manifest.h"
#include "image/pull.h"
#include "image/registry.h"

/* A reference in parts: "docker.io", "library/nginx", "latest" or NULL, "sha256:…" or NULL. */
struct ref_parts {
	char *registry, *repository, *tag, *digest;
};
int ref_split(const char *ref, struct ref_parts *ret); /* normalises; -EINVAL */
void ref_parts_release(struct ref_parts *p);

/* A transfer with one endpoint and one credential. */
struct transfer {
	struct image_store *store;
	const struct image_transfer *options;
	struct url base;
	const char *repository;
	struct registry_auth *auth;
	pthread_mutex_t lock; /* progress */
};
void transfer_progress(struct transfer *t, const char *hex, enum image_step step, uint64_t done, uint64_t total);

struct layer_pull {
	struct descriptor d;
	const char *diff; /* hex */
};
/* Gets the layers, in parallel. 0 or negative errno with a reason. pull_layers.c */
int pull_layers(struct transfer *t, const struct layer_pull *layers, size_t n, char *err, size_t err_len);

/*
 * Calls fn for each endpoint and credential until one succeeds, in the order of pulls: mirrors first. mirrors false:
 * only the registry itself (push). transfer.c
 */
int transfer_each(struct image_store *s, const struct ref_parts *p, const struct image_transfer *o, bool mirrors,
		  const char *actions, int (*fn)(struct transfer *t, void *arg, char *err, size_t err_len), void *arg,
		  char *err, size_t err_len);

#endif
