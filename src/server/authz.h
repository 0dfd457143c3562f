/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authorizers in their order: the node authorizer (what a node may do follows from the pods that are bound to it),
 * then RBAC. The first that allows, allows.
 */
#ifndef PROA_SERVER_AUTHZ_H
#define PROA_SERVER_AUTHZ_H

#include "server/auth.h"

struct authz;
struct store;

extern const struct authorizer_ops authz_ops; /* self: struct authz */

struct authz *authz_new(struct store *s);
void authz_free(struct authz *a);

#endif
