/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images out of the store: OCI layouts (image-spec: image-layout.md), as a directory or tar, with the very manifests
 * and blobs they came with; docker archives, for `docker load`, with plain layers.
 */
#ifndef PROA_IMAGE_EXPORT_H
#define PROA_IMAGE_EXPORT_H

#include <stddef.h>

struct image_store;

enum image_format { IMAGE_FORMAT_OCI, IMAGE_FORMAT_OCI_DIR, IMAGE_FORMAT_DOCKER };

struct image_export_options {
	enum image_format format;
	const char *platform; /* as image_import_options; IMAGE_PLATFORM_ALL: OCI formats only */
};
/*
 * to: a file, replaced when it is complete; "-": standard output; a directory that is empty or absent for
 * IMAGE_FORMAT_OCI_DIR. Layers that several images share are written once.
 */
int image_export(struct image_store *s, const char *const *refs, size_t n, const char *to,
		 const struct image_export_options *o, char *err, size_t err_len);

#endif
