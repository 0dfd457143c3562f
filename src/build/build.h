/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images from Dockerfiles. A build works through the stages that its target needs; each instruction that touches files
 * works on an overlay over the layers so far, and what it changed becomes the next layer. After each such step the
 * image so far is recorded without a name under the step's key, a digest over everything that the step depends on:
 * the base image, the instruction, its variables, the contents it copies. The same key finds it again, also when a
 * later step failed; `proa image prune` forgets it.
 *
 * The calling thread must be the process's only one at build_isolate: mounts are made in a mount namespace of the
 * process's own, so that nothing of them is left however it ends.
 */
#ifndef PROA_BUILD_BUILD_H
#define PROA_BUILD_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_store;
struct image_transfer;

struct build_pair {
	const char *name, *value;
};

struct build_options {
	struct image_store *store;
	const char *context;	 /* directory */
	const char *dockerfile;	 /* path; NULL: "Dockerfile" in the context; "-": standard input */
	const char *target;	 /* a stage's name or number; NULL: the last one */
	const char *const *tags; /* NULL-terminated; none: the image has no name */
	const char *platform;	 /* NULL: this machine's */
	const struct build_pair *args;
	size_t n_args;
	const struct build_pair *labels;
	size_t n_labels;
	const struct build_pair *secrets; /* id → file */
	size_t n_secrets;
	bool no_cache, pull;   /* pull: base images even when they are here */
	bool no_network;       /* for RUN; else the network of this process */
	int64_t epoch;	       /* SOURCE_DATE_EPOCH, or LAYER_NO_EPOCH */
	const char *state_dir; /* cache keys, cache mounts, work in progress: DIR/build */
	const char *shim;      /* proa-shim */
	const struct image_transfer *transfer;
	/* What is going on, a line at a time, and what programs print as it comes. */
	void (*tell)(void *arg, const char *line);
	void (*output)(void *arg, const char *p, size_t len);
	void *arg;
};

/* Once, before any thread is started and anything is opened. 0 or negative errno: not root. */
int build_isolate(void);
/* 0 with a malloc'd image id; negative errno with a reason; err names the line of the Dockerfile. */
int build_image(const struct build_options *o, char **ret_id, char *err, size_t err_len);

#endif
