/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Patch (RFC 6902). */
#ifndef PROA_API_JSON_PATCH_H
#define PROA_API_JSON_PATCH_H

#include <stddef.h>

struct arena;
struct json;
struct status;

#define JSON_PATCH_OPS_MAX 10000	     /* as upstream */
#define JSON_PATCH_COPY_BYTES_MAX (3u << 20) /* made by all copy operations together, as upstream */

/*
 * Applies the operations in order to doc, which is edited in place (and must be thrown away on failure); the root may
 * be replaced, so use *ret. Errors: 400 what is no list of objects, 413 too many operations, 422 an operation that
 * cannot be done or a test that failed.
 */
int json_patch_apply(struct arena *a, struct json *doc, const struct json *patch, struct json **ret,
		     struct status *err);

#endif
