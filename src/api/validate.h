/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validation of decoded and defaulted objects: metadata of every kind, and functions for kinds with rules of their own.
 * A failure is 422 Invalid with a cause for each field, in upstream's form: type FieldValueRequired, FieldValueInvalid,
 * FieldValueNotSupported, FieldValueForbidden, FieldValueDuplicate, FieldValueTooLong, FieldValueTooMany,
 * FieldValueTypeInvalid; field as "spec.containers[0].name".
 *
 * metadata.name must be final (generateName done) before validate_create.
 */
#ifndef PROA_API_VALIDATE_H
#define PROA_API_VALIDATE_H

struct json;
struct resource;
struct status;

#define VALIDATE_ANNOTATIONS_BYTES_MAX (256 * 1024) /* all keys and values, as upstream */
#define VALIDATE_CONFIG_BYTES_MAX (1024 * 1024)	    /* data of a ConfigMap or Secret, as upstream */

/* 0, or -1 with err. */
int validate_create(const struct resource *r, const struct json *tree, struct status *err);
/* subresource: NULL for the object itself, "status", "scale", "ephemeralcontainers", "resize", … */
int validate_update(const struct resource *r, const struct json *tree, const struct json *old, const char *subresource,
		    struct status *err);

/* Of a question about access, before it is answered. */
int validate_review(const struct resource *r, const struct json *tree, struct status *err);

/* Immutable parts of metadata that a client's update may leave out are taken from old (uid, creationTimestamp, …). */
struct arena;
void validate_inherit_metadata(struct arena *a, struct json *tree, const struct json *old);

#endif
