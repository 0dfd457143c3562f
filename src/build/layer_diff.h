/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step of a build changed, as a layer: the upper directory of an overlay becomes a tar in the form of the image
 * specification (layer.md: whiteouts, opaque directories), sorted by name, compressed without a time, so that equal
 * changes give equal bytes.
 */
#ifndef PROA_BUILD_LAYER_DIFF_H
#define PROA_BUILD_LAYER_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAYER_NO_EPOCH INT64_MIN

/*
 * Writes the tar, gzip'd, to out. epoch: times after it become it (SOURCE_DATE_EPOCH), LAYER_NO_EPOCH: as they are.
 * *ret_empty: nothing was changed. -ENOTSUP: the directory has what a layer cannot say (overlay redirects).
 */
int layer_diff_write(int upper, int out, int64_t epoch, bool *ret_empty, char *err, size_t err_len);

#endif
