/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's image pulls and its collection of images. Pulls take minutes, so each has a thread of its own, a few at
 * once, the others in line; results come back in the loop. What threads hold outlives the agent.
 */
#ifndef PROA_NODE_IMAGE_PULLS_H
#define PROA_NODE_IMAGE_PULLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_pulls;
struct image_store;
struct keyring;
struct loop;
struct registries;

#define PULLS_AT_ONCE 4			   /* each has three connections; more would only share the line and the disk */
#define IMAGE_GC_PERIOD_MS (5 * 60 * 1000) /* upstream's */
#define NODE_IMAGES_MAX 50		   /* upstream's nodeStatusMaxImages */
#define REGISTRIES_FILE "/etc/proa/registries.yaml"

/*
 * Reads a registries file (image/registries.h). One that isn't there is an empty one, unless it is needed. 0 or -1 with
 * a reason for a person.
 */
int registries_file_read(const char *path, bool needed, struct registries **ret, char *err, size_t err_len);

/* on_changed: images came or went; in the loop. registries: path of the file, read anew for each pull. */
struct image_pulls *image_pulls_new(struct loop *l, const struct image_store *s, const char *registries,
				    void (*on_changed)(void *arg), void *arg);
/* Pulls not yet done end with -ECANCELED; their threads end by themselves. NULL-safe. */
void image_pulls_free(struct image_pulls *p);

struct image_pull_result {
	int result;	       /* 0 or negative errno */
	const char *error;     /* for a person */
	const char *id;	       /* "sha256:…" */
	int64_t ms, waited_ms; /* of the pull itself, and with standing in line */
};
/* Takes the keyring (may be NULL). done is called in a later turn, exactly once. */
void image_pulls_start(struct image_pulls *p, const char *ref, struct keyring *keyring,
		       void (*done)(void *arg, const struct image_pull_result *r), void *arg);

/*
 * The images for the Node's status, as the JSON array of it, the largest first; made in a thread when something
 * changed. NULL: not known yet. Valid until the next turn.
 */
const char *image_pulls_node_images(const struct image_pulls *p);
void image_pulls_look(struct image_pulls *p); /* make it anew */

#endif
