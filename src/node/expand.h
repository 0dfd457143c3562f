/* SPDX-License-Identifier: Apache-2.0 */
/*
 * $(VAR) references in command, args, env values and subPathExpr (Kubernetes, "Define Dependent Environment
 * Variables"): a reference to a known variable is replaced, one to an unknown variable stays as written, and "$$"
 * stands for one "$", so that "$$(VAR)" is the literal "$(VAR)". Replaced text is not looked at again.
 */
#ifndef PROA_NODE_EXPAND_H
#define PROA_NODE_EXPAND_H

#include <stdbool.h>

struct arena;

/* The value of a variable or NULL. */
typedef const char *(*expand_lookup)(void *arg, const char *name);

/* In a. *ret_missing (may be NULL) is the first name that was unknown, else NULL: subPathExpr makes that an error. */
char *expand(struct arena *a, const char *s, expand_lookup lookup, void *arg, const char **ret_missing);

#endif
