/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image store: content-addressed, in a directory of root's (0700), shared by processes (agent and command line)
 * through file locks. An image is its configuration, identified by "sha256:<digest of the configuration>" as every
 * other tool does, and a list of unpacked layers, each a directory that overlayfs can take as a lowerdir, shared by all
 * images that have it.
 *
 *   DIR/lock                      flock: shared while reading refs, exclusive while changing them
 *   DIR/refs.json                 name -> {target: digest of a manifest or index, images: [image id]}, replaced
 * atomically DIR/images/<hex>              an image by the hex of its id: the digest of its manifest DIR/blobs/<hex>
 * manifests, indexes, configurations and layers, byte for byte as they came DIR/layers/<hex of diff_id>/  fs/ and size;
 * renamed into place complete, never changed afterwards DIR/locks/<hex>               flock: whoever makes this layer;
 * others wait and find it made DIR/partial/<hex>             a download that was cut off, to be resumed
 *   DIR/uses/<hex>/<user>         who needs the image (image_use)
 *   DIR/pins/<importer>           what importers found or made and no image needs yet
 *   DIR/tmp/                      being unpacked or deleted; emptied by whoever opens the store and finds no importer
 *
 * Layers stay in blobs/ as well, compressed: an image can be pushed, exported and verified with the digests it came
 * with, at the price of about 40 % more disk (containerd's choice, too).
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

#define IMAGE_LAYERS_MAX 125	      /* what docker allows; overlayfs takes 500 */
#define IMAGE_ENTRIES_MAX 2000000u    /* of one layer: the largest known images have some 500,000 */
#define IMAGE_BYTES_MAX (64ull << 30) /* of one layer, unpacked: a bomb must not fill the disk unnoticed */
#define IMAGE_RATIO_MAX 1000 /* a layer's bytes to its compressed ones, beyond 1 GB: gzip of zeros alone has 1,030 */
#define IMAGE_ROOM_PERCENT 2 /* of the disk, and of its inodes, stay free: the node's own state is there, too */
#define IMAGE_DIR_NAMES_MAX (64u << 20)	 /* bytes of a layer's directory names: 500,000 of 128 bytes */
#define IMAGE_DEPTH_MAX 256		 /* directories in a path */
#define IMAGE_PATH_MAX 4096		 /* PATH_MAX: longer cannot be reached by a program */
#define IMAGE_JSON_MAX (8u << 20)	 /* configurations and manifests; containerd's limit */
#define IMAGE_XATTR_BYTES_MAX (1u << 20) /* of one entry, all together */
#define IMAGE_REF_MAX 512		 /* name 255, tag 128, digest 71 */
#define IMAGE_PLATFORM_ALL "all"

/* dir is created when absent. */
int image_store_open(const char *dir, struct image_store **ret, char *err, size_t err_len);
void image_store_close(struct image_store *s);			  /* NULL-safe */
struct image_store *image_store_dup(const struct image_store *s); /* the same store, closed on its own */

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
	const char *manifest;		 /* "sha256:…" of its manifest, a blob */
	uint64_t size;			 /* bytes of its unpacked layers */
	int64_t created_ns;		 /* by its configuration, 0: unknown */
	const char *os, *architecture, *variant;
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

/*
 * By name (normalised here), "name@sha256:…", image id, or its unambiguous hex prefix of >= 12 characters. -ENOENT.
 * Of a name with several platforms this machine's is taken, or the one asked for.
 */
int image_resolve_platform(struct image_store *s, const char *ref, const char *platform, struct image **ret, char *err,
			   size_t err_len);
int image_resolve(struct image_store *s, const char *ref, struct image **ret, char *err, size_t err_len);
/* Every image, in order of id; stop by returning false. The image is the caller's no longer than the call. */
int image_list(struct image_store *s, bool (*fn)(void *arg, const struct image *i), void *arg, char *err,
	       size_t err_len);

/* ---- filling: -ENOSPC while IMAGE_ROOM_PERCENT of the disk are still free ---- */
struct image_import_options {
	const char *name; /* reference to give it; NULL: those in the archive. Needed for a plain rootfs */
	/* "linux/amd64", "linux/arm/v7"; NULL: this machine's; IMAGE_PLATFORM_ALL. Of an index the fitting one is
	 * taken. */
	const char *platform;
};
/*
 * path: a docker archive (`docker save`), an OCI archive, an OCI layout directory, a plain rootfs tar or directory; the
 * kind is seen from the content, gzip and zstd from their magic. "-" is not special: archives are read twice.
 * ret_id (may be NULL): a malloc'd image id of the (last) image imported.
 */
int image_import(struct image_store *s, const char *path, const struct image_import_options *o, char **ret_id,
		 char *err, size_t err_len);
/*
 * What has been pulled, imported or built: blobs that are in the store already, made an image. For whoever fills the
 * store; from image_import_begin to image_import_end the collector lets be whatever was looked at or made.
 */
struct image_record {
	const char *id, *manifest; /* "sha256:…" of configuration and manifest */
	const char *target;	   /* "sha256:…" that the names stand for: an index, or the manifest */
	const char *const *names;  /* normalised, with tag or digest; NULL-terminated */
};
int image_record(struct image_store *s, const struct image_record *records, size_t n, char *err, size_t err_len);
/* Nested and from several threads as one likes. Negative errno. */
int image_import_begin(struct image_store *s);
void image_import_end(struct image_store *s);

/* Bytes that are a blob from now on; ret_hex (65 bytes, may be NULL): its digest. Durable before it is recorded. */
int image_blob_write(struct image_store *s, const void *p, size_t len, char *ret_hex);
int image_blob_open(const struct image_store *s, const char *hex); /* a descriptor to read; negative errno */
/* The configuration or manifest of an image, verbatim. */
int image_blob_read(const struct image_store *s, const char *hex, struct buf *out);
/*
 * Reads a tar (plain, gzip or zstd) from fd into the store: as a blob and unpacked. stored and diff (65 bytes each):
 * hex digests of the bytes as they are and of the plain tar; what they must be, or "" for any, and filled in. ret_size:
 * bytes of the blob. own: the file is the caller's, who won't change it any more.
 */
int image_layer_add(struct image_store *s, int fd, bool own, char *stored, char *diff, uint64_t *ret_size, char *err,
		    size_t err_len);

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
/*
 * The same for as long as a process lives (`proa run`, builds): a locked file, which the kernel lets go of with the
 * process. Returns the descriptor to close when done, or negative errno. name as user above.
 */
int image_lease(struct image_store *s, const char *id, const char *name, char *err, size_t err_len);
/*
 * Users that keep denies are dropped: what died without image_unuse. Leases aren't asked about. Containers without a
 * cluster share the store with the agent, which knows them by IMAGE_USER_LOCAL and lets them be.
 */
#define IMAGE_USER_LOCAL "local-"
int image_uses_keep(struct image_store *s, bool (*keep)(void *arg, const char *id, const char *user), void *arg);
/*
 * By name: the name is removed, and the image with its unshared layers when that was its last one. By id: image and all
 * names. -EBUSY when it would go and somebody uses it.
 */
int image_remove(struct image_store *s, const char *ref, char *err, size_t err_len);

/*
 * Collection by disk, as the kubelet's: when more than high_percent of the file system is used, images that nobody uses
 * go, those used longest ago first, until low_percent is. Images younger than min_age_s stay; those unused for longer
 * than max_age_s (0: never) go whatever the disk has. Slow on purpose (a thread of its own with the lowest priorities).
 */
struct image_gc_policy {
	unsigned high_percent, low_percent; /* high 100: not by disk */
	int64_t min_age_s, max_age_s;
};
#define IMAGE_GC_HIGH_PERCENT 85 /* upstream's defaults */
#define IMAGE_GC_LOW_PERCENT 80
#define IMAGE_GC_MIN_AGE_S 120
struct image_gc_result {
	unsigned removed;
	uint64_t wanted, freed; /* bytes */
};
int image_gc(struct image_store *s, const struct image_gc_policy *p, struct image_gc_result *ret, char *err,
	     size_t err_len);

/* Images without a name that nobody uses; all: every image that nobody uses. fn (may be NULL) hears of each. */
int image_prune(struct image_store *s, bool all, void (*fn)(void *arg, const struct image *i), void *arg,
		uint64_t *ret_freed, char *err, size_t err_len);

#endif
