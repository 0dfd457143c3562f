/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests and indexes, OCI's and docker's (image-spec: manifest.md, image-index.md; docker schema 2 and manifest
 * lists). Everything that comes from outside is checked here: digests are sha256, sizes are numbers within limits.
 * Pure: text in, descriptors out.
 */
#ifndef PROA_IMAGE_MANIFEST_H
#define PROA_IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image_internal.h"
#include "image/platform.h"

struct arena;
struct buf;

#define MANIFEST_IMAGES_MAX 1024 /* of one index; the largest known have a few dozens */
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

struct descriptor {
	const char *media_type; /* "" when there is none */
	char hex[SHA256_HEX + 1];
	uint64_t size;
	bool sized; /* size was given */
	bool has_platform;
	struct platform platform;
	const char *name; /* annotation: what to call it, or NULL */
};

struct manifest {
	bool index;
	const char *media_type;
	struct descriptor config; /* of an image manifest */
	struct descriptor *parts; /* its layers, lowest first; or the index' manifests */
	size_t n_parts;
};

/* Strings and parts are in a. 0 or -EBADMSG with a reason in err. */
int manifest_parse(struct arena *a, const char *text, size_t len, struct manifest *ret, char *err, size_t err_len);
/* The part of an index that fits best, or NULL. */
const struct descriptor *manifest_pick(const struct manifest *index, const struct platform *want);
/* Writes an OCI manifest. */
void manifest_write(struct buf *out, const struct descriptor *config, const struct descriptor *layers, size_t n);

#endif
