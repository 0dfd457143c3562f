/* SPDX-License-Identifier: Apache-2.0 */
/* Lists as answers, in every form. */
#ifndef PROA_SERVER_LIST_WRITE_H
#define PROA_SERVER_LIST_WRITE_H

#include <stddef.h>

struct object;
struct request;
struct table_meta;

/* Answers with these objects, in their order; they are borrowed, and taken references to if that lasts longer. */
void list_reply(struct request *r, struct object *const *found, size_t n, const struct table_meta *meta);

#endif
