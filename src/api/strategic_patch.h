/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strategic merge patch: a merge patch in which lists of the type table's patchStrategy merge are merged by their
 * patchMergeKey, with the directives $patch (replace, delete), $retainKeys, $deleteFromPrimitiveList/<field> and
 * $setElementOrder/<field>.
 */
#ifndef PROA_API_STRATEGIC_PATCH_H
#define PROA_API_STRATEGIC_PATCH_H

struct arena;
struct json;
struct status;
struct type;

/*
 * Edits doc in place; returns 0 with *ret, or -1 with err: 400 for malformed directives, 422 where the patch does not
 * fit. Fields the table doesn't know are merged as RFC 7386 does.
 */
int strategic_patch_apply(struct arena *a, const struct type *type, struct json *doc, const struct json *patch,
			  struct json **ret, struct status *err);

#endif
