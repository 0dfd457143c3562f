/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROA_CMD_RUN_OPTIONS_H
#define PROA_CMD_RUN_OPTIONS_H

#include "local/local.h"

struct args;
struct arena;

/* Strings are the arena's or the command line's. 1, and it was told, when they mean nothing. */
int run_options_parse(const struct args *a, struct arena *arena, struct local_options *o);

#endif
