/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a watch sends: {"type":…,"object":…} lines, or protobuf frames. The frame of a change is made once for all
 * watches that want the same form of it and shared by reference; the cache lives for one turn of the loop.
 */
#ifndef PROA_SERVER_WATCH_FRAME_H
#define PROA_SERVER_WATCH_FRAME_H

#include <stdbool.h>
#include <stdint.h>

struct bytes;
struct loop;
struct object;
struct request;
struct resource;
struct status;

struct frame_cache;
struct frame_cache *frame_cache_new(struct loop *l);
void frame_cache_free(struct frame_cache *c);

enum frame_type { FRAME_ADDED, FRAME_MODIFIED, FRAME_DELETED, FRAME_BOOKMARK, FRAME_ERROR };

/* The form that one watch negotiated. */
struct frame_form {
	const struct request *request;
	const struct resource *row; /* the version of the objects */
	bool columns_sent;	    /* of a Table: they go with the first event only */
};

/* Each returns a reference; NULL when the kind has no protobuf message. */
struct bytes *frame_object(struct frame_form *f, enum frame_type type, struct object *o);
/* initial_end: with the annotation k8s.io/initial-events-end. */
struct bytes *frame_bookmark(struct frame_form *f, uint64_t rev, bool initial_end);
struct bytes *frame_error(struct frame_form *f, const struct status *err);

#endif
