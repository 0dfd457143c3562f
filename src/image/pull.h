/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulling and pushing by the distribution specification. Both block until they are done, from a thread of their own
 * (not loop_work: they take minutes). Several may run at once, in several processes: what one downloads others wait
 * for.
 *
 * Of a pull, layers come in parallel, are unpacked while they arrive, and go on where a connection broke or an earlier
 * pull was killed. Nothing is used before its digest and size are verified; the image exists when all of it does.
 */
#ifndef PROA_IMAGE_PULL_H
#define PROA_IMAGE_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

struct keyring;
struct registries;
struct transport_limits;

#define PULL_LAYERS_AT_ONCE 3 /* docker's and containerd's number */

enum image_step {
	IMAGE_STEP_RESOLVING, /* hex NULL */
	IMAGE_STEP_WAITING,   /* another process or thread has it */
	IMAGE_STEP_MOVING,    /* done of total bytes */
	IMAGE_STEP_RETRYING,
	IMAGE_STEP_EXISTS, /* nothing to do */
	IMAGE_STEP_DONE,
};
struct image_transfer {
	const struct registries *registries;   /* NULL: nothing is configured */
	const struct keyring *keyring;	       /* NULL: anonymous */
	const struct transport_limits *limits; /* NULL: the usual ones */
	const char *platform;		       /* pull: as image_import_options; push: which of several */
	/* From several threads, one at a time. hex: the blob's. May be NULL. */
	void (*progress)(void *arg, const char *hex, enum image_step step, uint64_t done, uint64_t total);
	void *arg;
};

/*
 * ret_id (may be NULL): malloc'd image id (of the last platform). Negative errno: -EINVAL reference, -ENOENT no such
 * image or host, -EACCES, -EBADMSG lies or hostile content, -EKEYREJECTED, -ETIMEDOUT, -ECONNREFUSED, -EBUSY (429), …
 */
int image_pull(struct image_store *s, const char *ref, const struct image_transfer *t, char **ret_id, char *err,
	       size_t err_len);
/* image: what is pushed; ref: under which name. ret_digest (72 bytes, may be NULL): "sha256:…" of what the name is now.
 */
int image_push(struct image_store *s, const char *image, const char *ref, const struct image_transfer *t,
	       char *ret_digest, char *err, size_t err_len);

#endif
