/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of volumes, of Pods and of PersistentVolumes: one table. */
#ifndef PROA_API_VALIDATE_VOLUME_SOURCES_H
#define PROA_API_VALIDATE_VOLUME_SOURCES_H

#include <stdbool.h>

struct check;
struct json;
struct pod_check;

struct volume_context {
	struct check *c;
	struct pod_check *pod; /* NULL: a PersistentVolume */
	const char *name;      /* of the volume */
	bool persistent;
};

/* That holder (at path at) has exactly one source, and a good one. */
void check_volume_sources(const struct volume_context *v, const char *at, const struct json *holder);
/* Whether a member of a PersistentVolumeSpec is a source. */
bool is_volume_source(const char *member);

/* validate_volume_projected.c: volumes made of the API's objects. at is the source's path. */
void check_key_paths(const struct volume_context *v, const char *at, const struct json *source);
void check_downward_items(const struct volume_context *v, const char *at, const struct json *source);
void check_projected(const struct volume_context *v, const char *at, const struct json *source);
void check_mode(struct check *c, const char *at, const struct json *o, const char *key);

#endif
