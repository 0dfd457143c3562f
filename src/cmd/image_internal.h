/* SPDX-License-Identifier: Apache-2.0 */
/* What the `proa image` commands share: the store they work on, how registries are reached, progress, output. */
#ifndef PROA_CMD_IMAGE_INTERNAL_H
#define PROA_CMD_IMAGE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/cluster.h"
#include "cmd/command.h"
#include "node/image_pulls.h"

struct image;
struct image_store;
struct image_transfer;
struct keyring;
struct registries;

#define IMAGE_WHY_MAX 1024

#define IMAGE_DATA_DIR_FLAG                                                                                            \
	{                                                                                                              \
		"data-dir", "DIR", CLUSTER_DATA_DIR, "Directory of the cluster whose images these are."                \
	}
#define IMAGE_FORMAT_FLAG                                                                                              \
	{                                                                                                              \
		"format", "table|json", "table", "How to print."                                                       \
	}
#define IMAGE_REGISTRIES_FLAG                                                                                          \
	{                                                                                                              \
		"registries", "FILE", REGISTRIES_FILE, "Mirrors, certificates and credentials of registries."          \
	}

/* 0, or an exit status after telling why. */
int image_command_open(const struct args *a, struct image_store **ret);
/* "table" false, "json" true; -1 after telling that it is neither. */
int image_command_json(const struct args *a);
void image_human_size(uint64_t n, char out[32]);

/* How a transfer is made and shown. Release it after use, also after a failure. */
struct image_session {
	struct registries *registries;
	struct keyring *keyring;
	struct image_progress *progress;
};
/* ref: whose credentials are looked for, by docker's helpers, too. 0 or an exit status. */
int image_session_open(const struct args *a, const char *ref, bool quiet, struct image_session *s,
		       struct image_transfer *ret);
void image_session_close(struct image_session *s);
/* Docker's config.json and credential helpers of whoever runs the command. */
void image_docker_credentials(struct keyring *k, const char *ref);

struct image_progress *image_progress_new(void);
void image_progress_free(struct image_progress *p);
void image_progress_hook(struct image_progress *p, struct image_transfer *t);

extern const struct command command_image_build, command_image_pull, command_image_push, command_image_import,
    command_image_export, command_image_list, command_image_inspect, command_image_rm, command_image_prune,
    command_image_tag;

#endif
