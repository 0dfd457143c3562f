/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image store: content-addressed, in a directory of root's (0700), shared by processes (agent and command line)
 * through file locks. An image is its configuration, identified by "sha256:<digest of the configuration>" as every
 * other tool does, and a list of unpacked layers, each a directory that overlayfs can take as a lowerdir, shared by all
 * images that have it.
 *
 *   DIR/lock                      flock: shared while reading refs, exclusive while changing them
 *   DIR/refs.json                 names -> image, replaced atomically
 *   DIR/configs/<hex>             the configuration, verbatim
 *   DIR/layers/<hex of diff_id>/  fs/ and size; renamed into place complete, never changed afterwards
 *   DIR/uses/<hex>/<user>         who needs the image (image_use)
 *   DIR/tmp/                      being unpacked; emptied by whoever opens the store and finds no importer alive
 *
 * Killed at any moment, the store is repaired by the next image_store_open: what isn't complete isn't there.
 * All calls block (disk): from a worker thread (loop_work) or a command's process; one store may be used by several
 * threads. They return 0 or negative errno with a reason in err, where there is one:
 *   -ENOENT no such image; -EINVAL malformed reference or argument; -EBUSY in use; -EBADMSG damaged, hostile or
 *   unknown content; -E2BIG over a limit below; -ENOSPC.
 * Nothing of a refused archive is left.
 */
#ifndef PROA_IMAGE_IMAGE_H
#define PROA_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct buf;
struct image_store;

#define IMAGE_LAYERS_MAX 125		 /* what docker allows; overlayfs takes 500 */
#define IMAGE_ENTRIES_MAX 2000000u	 /* of one layer: the largest known images have some 500,000 */
#define IMAGE_BYTES_MAX (64ull << 30)	 /* of one layer, unpacked: a bomb must not fill the disk unnoticed */
#define IMAGE_DEPTH_MAX 256		 /* directories in a path */
#define IMAGE_PATH_MAX 4096		 /* PATH_MAX: longer cannot be reached by a program */
#define IMAGE_JSON_MAX (8u << 20)	 /* configurations and manifests; containerd's limit */
#define IMAGE_XATTR_BYTES_MAX (1u << 20) /* of one entry, all together */
#define IMAGE_REF_MAX 512		 /* name 255, tag 128, digest 71 */

/* dir is created when absent. */
int image_store_open(const char *dir, struct image_store **ret, char *err, size_t err_len);
void image_store_close(struct image_store *s); /* NULL-safe */

/* ---- references ---- */

/*
 * "nginx" -> "docker.io/library/nginx:latest"; "ghcr.io/a/b@sha256:…" stays; "sha256:<64 hex>" (an image id) stays.
 * A name with tag and digest keeps the digest only, as containerd's CRI does. 0 or -EINVAL. Pure.
 */
int image_ref_normalize(const char *ref, struct buf *out);

/* ---- what an image is ---- */
struct image {
	struct arena arena; /* holds everything below */
	const char *id;	    /* "sha256:<64 hex>" */
	/* NULL-terminated lists, never NULL themselves. */
	const char *const *repo_tags;	 /* "docker.io/library/nginx:latest" */
	const char *const *repo_digests; /* "docker.io/library/nginx@sha256:…" */
	uint64_t size;			 /* bytes of its unpacked layers */
	int64_t created_ns;		 /* by its configuration, 0: unknown */
	const char *os, *architecture;
	/* The configuration's `config`. */
	const char *const *entrypoint, *const *cmd, *const *env; /* env: "K=V" */
	const char *working_dir;				 /* "" when unset, likewise the next ones */
	const char *user;					 /* "uid", "name", "uid:gid", "name:group" */
	const char *stop_signal;				 /* "SIGTERM", "15" */
	const char *const *exposed_ports;			 /* "80/tcp" */
	const struct image_label {
		const char *key, *value;
	} * labels;
	size_t n_labels;
	/* Absolute paths in the order overlayfs' lowerdir= wants: the uppermost layer first. */
	const char *const *layers;
	size_t n_layers;
};
void image_free(struct image *i); /* NULL-safe */

/* By name (normalised here), "name@sha256:…", image id, or its unambiguous hex prefix of >= 12 characters. -ENOENT. */
int image_resolve(struct image_store *s, const char *ref, struct image **ret, char *err, size_t err_len);
/* Every image, in order of id; stop by returning false. The image is the caller's no longer than the call. */
int image_list(struct image_store *s, bool (*fn)(void *arg, const struct image *i), void *arg, char *err,
	       size_t err_len);

/* ---- filling ---- */
struct image_import_options {
	const char *name;     /* reference to give it; NULL: those in the archive. Needed for a plain rootfs */
	const char *platform; /* "linux/amd64"; NULL: this machine's. Of an index, the matching manifest is taken */
};
/*
 * path: a docker archive (`docker save`), an OCI archive, an OCI layout directory, a plain rootfs tar or directory; the
 * kind is seen from the content, gzip and zstd from their magic. "-" is not special: archives are read twice.
 * ret_id (may be NULL): a malloc'd image id of the (last) image imported.
 */
int image_import(struct image_store *s, const char *path, const struct image_import_options *o, char **ret_id,
		 char *err, size_t err_len);
/* Another name for an image; replaces what had the name. */
int image_tag(struct image_store *s, const char *ref, const char *new_ref, char *err, size_t err_len);

/* ---- use and removal ---- */

/*
 * user (a pod's uid, [A-Za-z0-9._-]{1,128}) needs the image until image_unuse; kept on disk, so that other processes
 * and the next agent know. Using twice is once. The agent calls image_uses_keep after a start with those it still
 * knows.
 */
int image_use(struct image_store *s, const char *id, const char *user, char *err, size_t err_len);
int image_unuse(struct image_store *s, const char *id, const char *user);
int image_uses_keep(struct image_store *s, bool (*keep)(void *arg, const char *id, const char *user), void *arg);
/*
 * By name: the name is removed, and the image with its unshared layers when that was its last one. By id: image and all
 * names. -EBUSY when it would go and somebody uses it.
 */
int image_remove(struct image_store *s, const char *ref, char *err, size_t err_len);

#endif
