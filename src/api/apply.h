/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-side apply and field ownership (metadata.managedFields, FieldsV1). Lists are merged by the type table's list
 * types; without a type the structure is deduced: maps are granular, lists atomic.
 */
#ifndef PROA_API_APPLY_H
#define PROA_API_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct json;
struct resource;
struct status;

#define APPLY_UPDATE_MANAGERS_MAX                                                                                      \
	10			    /* Update entries kept; older ones are merged into "ancient-changes", as upstream */
#define APPLY_MANAGER_BYTES_MAX 128 /* as upstream */

struct apply_request {
	const struct resource *resource;
	const char *manager;	 /* field manager */
	const char *subresource; /* NULL or "": none */
	const char *api_version; /* of the applied or written object, "apps/v1" */
	int64_t now_ns;
	bool force;
};

/*
 * Merges applied (as it was sent) into live and returns the new object, to be decoded, with its managedFields. live
 * NULL: the object is created. Neither input is changed. Errors: 400 (managedFields set, another version), 500 what
 * doesn't fit the type, as upstream, 409 Conflict with a cause FieldManagerConflict for each field, unless force.
 */
int apply_patch(struct arena *a, const struct apply_request *r, const struct json *live, const struct json *applied,
		struct json **ret, struct status *err);

/*
 * Ownership after a write that is not apply (operation Update): what differs from old (NULL: created) becomes the
 * manager's, and is taken from those it differs for. Edits tree's managedFields in place: the client's value is used
 * when it sent one (an empty list resets), old's otherwise. A write that changes nothing keeps old's entries and times.
 */
void apply_track_update(struct arena *a, const struct apply_request *r, const struct json *old, struct json *tree);

/* When nothing but times of managedFields differs from old, takes these from old: then nothing is to be written. */
void apply_ignore_times(struct arena *a, const struct json *old, struct json *tree);

/* managedFields sent by a client: 422 causes are added to err when malformed. 0 or -1. */
int apply_check_managed_fields(const struct json *managed_fields, struct status *err);

#endif
