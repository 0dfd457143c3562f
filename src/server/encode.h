/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of objects that lists, watches and single answers share (reply.c). */
#ifndef PROA_SERVER_ENCODE_H
#define PROA_SERVER_ENCODE_H

#include <stdbool.h>

#include "server/negotiate.h"

struct arena;
struct buf;
struct json;
struct object;
struct request;
struct table_meta;

/* 0, or -ENOENT when protobuf is asked for and the kind has no message. */
int encode_tree(enum output_format format, bool pretty, const struct json *tree, struct buf *out);
/* A Table with o's row (NULL: none) of r's resource. */
void encode_table_object(const struct request *r, struct object *o, const struct table_meta *meta, struct buf *out);
/* meta.k8s.io PartialObjectMetadata of an object; metadata is copied. */
struct json *partial_metadata(struct arena *a, const struct json *tree, const char *version);

#endif
