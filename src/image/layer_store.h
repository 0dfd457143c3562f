/* SPDX-License-Identifier: Apache-2.0 */
/* Layers become part of the store: unpacked beside it, verified, renamed into place. */
#ifndef PROA_IMAGE_LAYER_STORE_H
#define PROA_IMAGE_LAYER_STORE_H

#include "image/image_internal.h"
#include "image/stream.h"

bool image_layer_there(const struct image_store *s, const char *diff_hex);
/*
 * Unpacks a layer and installs it. diff and stored: what the digests of the plain tar and of the source's bytes must
 * be, or "" for any; filled in. The caller has image_importing. 0 or negative errno with a reason.
 */
int image_layer_make(struct image_store *s, const struct image_source *src, char diff[SHA256_HEX + 1],
		     char stored[SHA256_HEX + 1], char *err, size_t err_len);
/* The same digests, nothing unpacked: of another compression of a layer that is there. */
int image_layer_verify(const struct image_source *src, char diff[SHA256_HEX + 1], char stored[SHA256_HEX + 1],
		       char *err, size_t err_len);

#endif
