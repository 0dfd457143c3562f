/* SPDX-License-Identifier: Apache-2.0 */
/* Image references and the paths of archives: what is accepted must be accepted again, unchanged. */
/* sources: image/fail.c image/ref.c image/layer.c image/image_store.c image/config.c image/stream.c */
/* sources: image/blob.c image/manifest.c image/platform.c image/collect.c image/importers.c image/layer_store.c */
/* libs: -larchive -lcrypto */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image.h"
#include "image/layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	_cleanup_buf_ struct buf once = BUF_INIT, twice = BUF_INIT;
	char path[IMAGE_PATH_MAX + 1], again[IMAGE_PATH_MAX + 1];

	if (image_ref_normalize(text, &once) == 0) {
		assert(image_ref_normalize(buf_str(&once), &twice) == 0);
		assert(str_eq(buf_str(&once), buf_str(&twice)));
	}
	if (image_layer_path(text, path) == 0) {
		assert(path[0] != '/' && !str_eq(path, "..") && !str_has_prefix(path, "../") && !strstr(path, "/../"));
		assert(image_layer_path(path, again) == 0 && str_eq(path, again));
	}
	return 0;
}
