/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of steps: a small file each, STATE/keys/<key>, with the id of the image that the step led to. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build_internal.h"
#include "image/image.h"

static char *key_path(const struct build *b, const char *key)
{
	return xasprintf("%s/keys/%s", b->o->state_dir, key);
}

char *cache_get(struct build *b, const char *key)
{
	_cleanup_free_ char *path = key_path(b, key);
	_cleanup_buf_ struct buf id = BUF_INIT;
	struct image *image;
	char why[64];
	if (b->o->no_cache || fs_read(path, 128, &id) < 0)
		return NULL;
	if (image_resolve_platform(b->o->store, buf_str(&id), IMAGE_PLATFORM_ALL, &image, why, sizeof(why)) < 0)
		return NULL; /* pruned meanwhile */
	image_free(image);
	return buf_steal(&id, NULL);
}

void cache_put(struct build *b, const char *key, const char *image_id)
{
	_cleanup_free_ char *dir = xasprintf("%s/keys", b->o->state_dir);
	_cleanup_free_ char *path = key_path(b, key);
	/* A key that could not be written is a step that is done again. */
	if (fs_mkdir_p(dir, 0700) == 0)
		(void)fs_write_replace(path, image_id, strlen(image_id), 0600);
}
