/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an object may say and is likely not meant, or has no effect any more: each a text for a Warning header, as
 * "spec.containers[0].env[1]: hides previous definition of …". The object was found valid before.
 *
 * Pods are told of when they are created, templates of them also when the spec around them changes, services, volumes
 * and claims with every write.
 */
#ifndef PROA_API_WARNINGS_H
#define PROA_API_WARNINGS_H

struct arena;
struct json;
struct resource;

typedef void warning_fn(void *arg, const char *text);

/* old: NULL on create. Texts are in a. */
void object_warnings(struct arena *a, const struct resource *r, const struct json *tree, const struct json *old,
		     warning_fn *fn, void *arg);

/* What is told to whoever uses the resource in any way: that it is on its way out. NULL: nothing. */
const char *resource_warning(const struct resource *r);

#endif
