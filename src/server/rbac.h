/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May they? Role-based access control (rbac.authorization.k8s.io/v1): an index of all bindings by subject and of all
 * roles by name, kept from the store's changes. system:masters may do everything, without a lookup.
 */
#ifndef PROA_SERVER_RBAC_H
#define PROA_SERVER_RBAC_H

#include "server/auth.h"

struct rbac;
struct store;

extern const struct authorizer_ops rbac_ops; /* self: struct rbac */

struct rbac *rbac_new(struct store *s);
void rbac_free(struct rbac *r);

#endif
