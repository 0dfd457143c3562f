/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What form an answer takes (Accept) and in what form a body came (Content-Type).
 * Upstream's media types: application/json, application/yaml, application/vnd.kubernetes.protobuf, with the parameters
 * as=Table|PartialObjectMetadata|PartialObjectMetadataList;g=meta.k8s.io;v=v1. The first acceptable type with the
 * highest q wins.
 */
#ifndef PROA_SERVER_NEGOTIATE_H
#define PROA_SERVER_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>

struct status;

enum output_format { OUTPUT_JSON, OUTPUT_YAML, OUTPUT_PROTOBUF };
enum output_as { AS_OBJECT, AS_TABLE, AS_PARTIAL, AS_PARTIAL_LIST };

struct output {
	enum output_format format;
	enum output_as as;
	const char *as_version; /* "v1" or "v1beta1" of meta.k8s.io; for AS_OBJECT NULL */
	bool pretty;
};

#define ACCEPT_RANGES_MAX 32 /* kubectl sends three */

/* accept may be NULL. -1 with 406. stream: watches cannot be YAML. tables: what is asked for can be shown as one. */
int negotiate_output(const char *accept, bool stream, bool tables, struct output *ret, struct status *err);
/* The form of a request body; content_type NULL or empty: JSON. -1 with 415. */
int negotiate_input(const char *content_type, enum output_format *ret, struct status *err);
const char *output_content_type(enum output_format f);
const char *output_stream_type(enum output_format f); /* of a watch */

#endif
