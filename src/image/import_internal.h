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
#include "image/stream.h"

#define INDEX_DEPTH_MAX 4     /* an index in an index happens, more doesn't */
#define IMPORT_IMAGES_MAX 256 /* of one archive; docker save of many is a few dozens */

/* An image that is complete but for being written down. */
struct imported {
	const char *config; /* text */
	size_t config_len;
	char hex[SHA256_HEX + 1];	      /* its digest */
	char manifest[SHA256_HEX + 1];	      /* of what the archive's index names; "" in docker archives */
	const char *names[IMPORT_IMAGES_MAX]; /* normalised */
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
	const char *os, *architecture, *variant; /* variant NULL: any */
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
 * Unpacks a layer unless the store has it. diff_id: expected digest of the plain tar, or "" for any, then filled in.
 * stored: expected digest of the bytes as they are, or NULL.
 */
int import_layer(struct importer *im, int fd, char diff_id[SHA256_HEX + 1], const char *stored);
struct imported *import_image(struct importer *im, const char *config, size_t len); /* NULL: too many, err set */
int import_add_name(struct importer *im, struct imported *i, const char *ref);

int import_oci(struct importer *im);	/* import_oci.c */
int import_docker(struct importer *im); /* import_docker.c */
int import_rootfs(struct importer *im, int fd);
/* Writes the directory as a tar into fd, in order of name, so that the same tree gives the same bytes. rootfs_tar.c */
int import_tar_of_directory(struct importer *im, const char *path, int fd);

#endif
