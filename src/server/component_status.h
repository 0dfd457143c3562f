/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ComponentStatus: the only kind that is read and not stored. What upstream asks over the network is one process here,
 * ours: whoever gets an answer has the store, the scheduler and the controllers running. Names are upstream's.
 */
#ifndef PROA_SERVER_COMPONENT_STATUS_H
#define PROA_SERVER_COMPONENT_STATUS_H

#include <stddef.h>

struct arena;
struct json;

#define COMPONENT_STATUSES 3

struct json *component_status(struct arena *a, size_t i); /* i below COMPONENT_STATUSES; in the order of their names */
struct json *component_status_named(struct arena *a, const char *name); /* NULL: there is none */

#endif
