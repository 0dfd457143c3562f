/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One import on its way. Layers are installed as they are unpacked; configurations and names only when everything of
 * the archive was good, so that a refused one leaves nothing that somebody could see (and image_collect takes its
 * layers).
 */
#ifndef PROA_IMAGE_IMPORT_INTERNAL_H
#define PROA_IMAGE_IMPORT_INTERNAL_H

#include "base/arena.h"
#include "base/map.h"
#include "image/image_internal.h"
#include "image/manifest.h"
#include "image/platform.h"
#include "image/stream.h"

#define INDEX_DEPTH_MAX 4      /* an index in an index happens, more doesn't */
#define IMPORT_FILES_MAX 20000 /* of an archive of images: 125 layers of each, and their manifests */
#define IMPORT_IMAGES_MAX 256  /* of one archive; docker save of many is a few dozens */

/* An image that is complete but for being written down. */
struct imported {
	char id[IMAGE_ID_LEN + 1];
	char manifest[IMAGE_ID_LEN + 1];	  /* its manifest's digest */
	char target[IMAGE_ID_LEN + 1];		  /* what its names stand for */
	bool original;				  /* the manifest is the archive's, so "name@digest" is true */
	const char *names[2 * IMPORT_IMAGES_MAX]; /* normalised, NULL-terminated */
	size_t n_names;
};

struct importer {
	struct image_store *store;
	const struct image_import_options *options;
	struct arena arena;
	char *tmp;	  /* DIR/tmp/import-XXXXXX, its own */
	int dir;	  /* of an OCI layout directory, else -1 */
	struct map files; /* path in the archive -> file in tmp, or "@" and another path (links); values in arena */
	unsigned n_files, n_layers;
	struct platform platform;
	bool all_platforms;
	struct imported *images[IMPORT_IMAGES_MAX];
	size_t n_images;
	char *err;
	size_t err_len;
};

#define IMPORT_FAIL(im, r, ...) image_fail((im)->err, (im)->err_len, (r), __VA_ARGS__)

/* A file of the archive or layout: descriptor or -1 with err set (*ret_r the errno). */
int import_open_file(struct importer *im, const char *path);
/* The same, parsed; hex NULL or what its SHA-256 must be. */
int import_read_json(struct importer *im, const char *path, const char *hex, struct json **ret, const char **ret_text,
		     size_t *ret_len);
/*
 * Takes a layer into the store. diff: expected digest of the plain tar, or "" for any, filled in; d->hex: expected
 * digest of the bytes as they are, or "", filled in, with size and (when it has none) media type.
 */
int import_layer(struct importer *im, int fd, bool own, char diff[SHA256_HEX + 1], struct descriptor *d);
/* The configuration wants another platform than asked for. */
bool import_platform_wanted(const struct importer *im, const struct json *config);
/*
 * The image of a configuration and its layers. manifest NULL: one is made. NULL: too many or not written, err set.
 */
struct imported *import_image(struct importer *im, const char *config, size_t len, const char *manifest,
			      size_t manifest_len, const struct descriptor *layers, size_t n_layers);
int import_add_name(struct importer *im, struct imported *i, const char *ref);

int import_oci(struct importer *im);	/* import_oci.c */
int import_docker(struct importer *im); /* import_docker.c */
int import_rootfs(struct importer *im, int fd, bool own);
/* Writes the directory as a tar into fd, in order of name, so that the same tree gives the same bytes. rootfs_tar.c */
int import_tar_of_directory(struct importer *im, const char *path, int fd);

#endif
