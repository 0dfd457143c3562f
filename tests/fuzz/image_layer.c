/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers, compressed or not, unpacked by root's rules into a directory that is emptied each time. Nothing may appear
 * beside it: a marker directory around it is checked.
 */
/* sources: image/fail.c image/ref.c image/layer.c image/image_store.c image/config.c image/stream.c */
/* sources: image/blob.c image/manifest.c image/platform.c image/collect.c image/importers.c image/layer_store.c */
/* libs: -larchive -lcrypto */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "image/layer.h"
#include "image/stream.h"

static char around[64];

static void remove_around(void)
{
	fs_remove_tree(around);
}

static size_t entries_around(void)
{
	DIR *d = opendir(around);
	size_t n = 0;

	assert(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[300], stored[SHA256_HEX + 1], plain[SHA256_HEX + 1], root_path[80];
	struct image_stream *s;
	uint64_t bytes;

	if (!*around) {
		strcpy(around, access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz_layerXXXXXX" : "/tmp/fuzz_layerXXXXXX");
		assert(mkdtemp(around));
		atexit(remove_around);
	}
	snprintf(root_path, sizeof(root_path), "%s/fs", around);
	assert(mkdir(root_path, 0755) == 0);
	int root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = memfd_create("layer", MFD_CLOEXEC);
	assert(root >= 0 && fd >= 0 && fs_write_all(fd, data, size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	struct image_source src = image_source_fd(&fd);
	if (image_stream_new(&src, &s, err, sizeof(err)) == 0) {
		int r = image_layer_unpack(s, root, &bytes, err, sizeof(err));
		if (r == 0)
			image_stream_finish(s, stored, plain, err, sizeof(err));
		image_stream_free(s);
	}
	close(root);
	close(fd);
	assert(entries_around() == 3); /* ".", ".." and "fs" */
	fs_remove_tree(root_path);
	return 0;
}
