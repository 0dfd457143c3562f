/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a volume that change together (ConfigMap, Secret, downward API, projected), in upstream's layout:
 *
 *     DIR/..2026_11_23_01_57_00.123456789/   the files of one version
 *     DIR/..data -> ..2026_11_23_…           replaced by rename: the moment of change
 *     DIR/key -> ..data/key                  one link for each first path element
 *
 * A reader that goes through the links sees either all old files or all new ones. Nothing is written when the content
 * is already there.
 */
#ifndef PROA_NODE_ATOMIC_WRITER_H
#define PROA_NODE_ATOMIC_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/vec.h"

struct arena;
struct status;

struct payload_file {
	const char *path; /* relative; may have directories */
	const void *data;
	size_t len;
	mode_t mode;
	int64_t uid; /* -1: root */
};
/* Everything a file points to lives in the arena of whoever fills it. A path added again replaces the earlier one. */
struct payload {
	VEC(struct payload_file) files;
};

void payload_add(struct payload *p, const char *path, const void *data, size_t len, mode_t mode);
/* Relative, no "..", no leading "..": what may be a path in a volume. */
bool payload_path_valid(const char *path);

/* gid -1: root's. 0, or -errno with err set. *ret_changed (may be NULL) tells whether anything was written. */
int atomic_write_payload(const char *dir, const struct payload *p, int64_t gid, bool *ret_changed, struct status *err);

#endif
