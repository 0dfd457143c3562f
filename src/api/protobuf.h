/* SPDX-License-Identifier: Apache-2.0 */
/*
 * application/vnd.kubernetes.protobuf: JSON trees to and from the wire form of k8s.io/api's messages, by the numbers of
 * the type tables. A body is the four bytes "k8s\0" and then a runtime.Unknown message: typeMeta {apiVersion, kind},
 * raw (the object's message, which lacks both), contentEncoding and contentType (empty).
 *
 * Decoding: unknown fields are skipped; fields come out as Go's JSON encoding would write them (omitempty); later
 * values of a single field win, messages merge. Limits: PROTOBUF_DEPTH_MAX nested messages. Input is never trusted.
 */
#ifndef PROA_API_PROTOBUF_H
#define PROA_API_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;
struct json;
struct status;
struct type;

#define PROTOBUF_DEPTH_MAX                                                                                             \
	128 /* deepest legitimate object (a nested CRD schema) is below; recursion fits the stack                      \
	     */

/* Whether a body begins with the envelope. */
bool protobuf_is_envelope(const void *p, size_t len);
/*
 * An enveloped object to its tree, with apiVersion and kind. The type is found by these among the built-in kinds;
 * fallback, when not NULL, is used for kinds that aren't found. 400 with what is wrong.
 */
int protobuf_decode(struct arena *a, const void *p, size_t len, const struct type *fallback, struct json **ret,
		    struct status *err);
/* A bare message of that type; 0 or -EINVAL. */
int protobuf_decode_message(struct arena *a, const void *p, size_t len, const struct type *type, struct json **ret);

/*
 * Appends the enveloped form. type NULL: found by apiVersion and kind. -ENOENT when no type is known (custom
 * resources: the caller answers in JSON or 406), -EINVAL when a value doesn't fit the type.
 */
int protobuf_encode(const struct json *tree, const struct type *type, struct buf *out);
int protobuf_encode_message(const struct json *tree, const struct type *type, struct buf *out);

/*
 * A list in pieces, which follow each other: the head, knowing how many bytes the items have together; each item; the
 * tail. list is the list without items. As above -ENOENT, -EINVAL.
 */
int protobuf_list_head(const struct json *list, size_t items_len, struct buf *out);
int protobuf_list_item(const struct json *tree, const struct type *type, struct buf *out);
void protobuf_list_tail(struct buf *out);

/*
 * One frame of a watch stream: four bytes of length, most significant first, then a WatchEvent {type, object} whose
 * object is an enveloped body.
 */
void protobuf_watch_frame(const char *event_type, const void *envelope, size_t len, struct buf *out);

#endif
