/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to and from the JSON tree. Scalars are typed as kubectl's parser does (sigs.k8s.io/yaml, YAML 1.1 with its
 * booleans, octal, hexadecimal and underscored numbers). Keys become strings. Anchors, aliases and merge keys (<<) work
 * within limits; the first key of a duplicate is reported and the last wins.
 */
#ifndef PROA_API_YAML_H
#define PROA_API_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"

#define YAML_BYTES_MAX (8u << 20) /* beyond the largest request body */
#define YAML_DEPTH_MAX 128	  /* libyaml's time grows with the square of nesting */
#define YAML_NODES_MAX 1000000	  /* nodes of the result, aliases expanded: the defence against exponential aliases */
#define YAML_COPIED_BYTES_MAX (16u << 20) /* text that aliases repeat: one scalar may be long */

struct yaml_error {
	size_t line; /* from 1 */
	char message[160];
};

/* One document; an empty one gives null. More than one document is an error. 0 or -EINVAL with err (may be NULL) set;
 * err's line is that of the key while dup is called. */
int yaml_parse(struct arena *a, const char *text, size_t len, json_duplicate_fn dup, void *arg, struct json **ret,
	       struct yaml_error *err);
/* All documents of a stream as the children of an array; empty documents are left out. */
int yaml_parse_all(struct arena *a, const char *text, size_t len, struct json **ret_array, struct yaml_error *err);

/* Block style as kubectl -o yaml prints it: keys sorted, strings quoted where another reader would type them otherwise.
 */
void yaml_write(struct buf *out, const struct json *v);

#endif
