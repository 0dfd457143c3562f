/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests and indexes as registries send them: what is accepted has only digests that can be file names. */
/* sources: image/fail.c image/ref.c image/layer.c image/image_store.c image/config.c image/stream.c */
/* sources: image/blob.c image/manifest.c image/platform.c image/collect.c image/importers.c image/layer_store.c */
/* libs: -larchive -lcrypto */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct platform want;
	struct manifest m;
	char why[200];

	if (manifest_parse(&a, (const char *)data, size, &m, why, sizeof(why)) < 0)
		return 0;
	assert(m.n_parts <= (m.index ? MANIFEST_IMAGES_MAX : IMAGE_LAYERS_MAX));
	assert(m.index || (strlen(m.config.hex) == SHA256_HEX && image_hex_valid(m.config.hex, SHA256_HEX)));
	for (size_t i = 0; i < m.n_parts; i++)
		assert(strlen(m.parts[i].hex) == SHA256_HEX && image_hex_valid(m.parts[i].hex, SHA256_HEX));
	platform_set(&want, "linux", "amd64", "");
	if (m.index)
		manifest_pick(&m, &want);
	return 0;
}
