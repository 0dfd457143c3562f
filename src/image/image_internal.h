/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the image store. Two locks, both flock on files of the store, taken anew by each call, so that they hold
 * between threads as well as processes:
 *   DIR/lock      exclusive while refs, images or uses change, shared while they are read; held shortly
 *   DIR/importing shared by importers all the time; exclusive (never waited for) to throw away what they left
 *   DIR/locks/X   exclusive by whoever makes layer X; importers only, so that the collector may unlink them
 *
 * Order of writing: blobs and layers, one syncfs, images/, refs.json. So what an image refers to is on disk before the
 * image is, and what no image refers to is garbage: of an importer that died, or of a power cut.
 */
#ifndef PROA_IMAGE_INTERNAL_H
#define PROA_IMAGE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/macros.h"
#include "image/image.h"
#include "image/importers.h"

struct json;

#define SHA256_HEX 64
#define IMAGE_ID_LEN (7 + SHA256_HEX) /* "sha256:" */

struct image_store {
	char *dir;
	struct importers *importers;
};

/* Sets err and returns r. */
int image_fail(char *err, size_t err_len, int r, const char *fmt, ...) PRINTF_LIKE(4, 5);
bool image_hex_valid(const char *s, size_t len); /* lower-case hexadecimal */
bool image_id_valid(const char *s);		 /* "sha256:<64 hex>" */

char *image_path(const struct image_store *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The descriptor that holds it: close it to unlock. Negative errno. */
int image_lock(const struct image_store *s, bool exclusive);
int image_lock_file(const struct image_store *s, const char *name, int how);
/* Waits for the layer's lock: the descriptor. hex names what is made: a diff_id or the digest of a blob. */
int image_lock_layer(const struct image_store *s, const char *hex);
/*
 * Layers and blobs that no image and no importer needs are removed, and, when nobody imports right now, leftovers of
 * unpacking. keep_downloads: what was downloaded lately stays, for a pull that goes on where another was killed. Takes
 * locks only to find out. Returns how many bytes that freed.
 */
uint64_t image_collect(struct image_store *s, bool keep_downloads);
/* What an image needs, by the hex of its id: layers by diff_id, blobs. -EBADMSG: it cannot be read. */
int image_parts_each(const struct image_store *s, const char *hex, void (*fn)(void *arg, const char *hex, bool layer),
		     void *arg);

/* What a name stands for ("sha256:…" of a manifest or index); -ENOENT and untouched for ids and others. */
int image_target(const struct image_store *s, const char *ref, char ret[IMAGE_ID_LEN + 1]);

/* -ENOSPC when the file system of fd has less left than IMAGE_ROOM_PERCENT; for every IMAGE_ROOM_STEP bytes written. */
int image_room(int fd);
#define IMAGE_ROOM_STEP (16u << 20)

/* ---- blobs ---- */
bool image_blob_there(const struct image_store *s, const char *hex, uint64_t *ret_size); /* ret_size may be NULL */
/* The same without relying on it: an importer's collector won't keep it for that. */
bool image_blob_size(const struct image_store *s, const char *hex, uint64_t *ret_size);
bool image_layer_size(const struct image_store *s, const char *diff_hex, uint64_t *ret_size); /* unpacked */
/* A file of the store that is complete and verified becomes a blob. */
int image_blob_adopt(const struct image_store *s, const char *path, const char *hex);
/* A blob that is JSON, checked against its digest. */
int image_blob_json(const struct image_store *s, const char *hex, struct arena *a, struct json **ret,
		    const char **ret_text, size_t *ret_len);

/* refs.json: an object of names -> {target, images} in a; {} when there is none. Under the lock. */
int image_refs_read(const struct image_store *s, struct arena *a, struct json **ret);
int image_refs_write(const struct image_store *s, const struct json *refs);
/* The hex digest of an image's manifest, or -ENOENT. */
int image_manifest_of(const struct image_store *s, const char *id, char ret_hex[SHA256_HEX + 1]);
int image_config_read(const struct image_store *s, const char *id, struct arena *a, struct json **ret);
/* What a configuration says, into i (whose arena it uses). */
int image_config_fill(const struct image_store *s, struct image *i, const struct json *config);
/* diff_ids of a configuration, checked: NULL-terminated, hex only, lowest layer first; NULL when malformed. */
const char **image_diff_ids(struct arena *a, const struct json *config, size_t *ret_n);

#endif
