/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Merge Patch (RFC 7386). */
#ifndef PROA_API_MERGE_PATCH_H
#define PROA_API_MERGE_PATCH_H

struct arena;
struct json;

/* Edits doc in place where it can and returns the result; patch is not changed (values are cloned). doc may be NULL. */
struct json *merge_patch_apply(struct arena *a, struct json *doc, const struct json *patch);
/* The merge patch that makes `from` into `to`; an empty object when they are equal. */
struct json *merge_patch_create(struct arena *a, const struct json *from, const struct json *to);

#endif
