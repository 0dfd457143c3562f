/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the default roles and bindings (rbac_bootstrap.h) into the store at every start. */
#ifndef PROA_SERVER_RBAC_INSTALL_H
#define PROA_SERVER_RBAC_INSTALL_H

struct registry;
struct status;

/*
 * Creates what is missing; adds missing rules and subjects to what is there, unless its annotation
 * rbac.authorization.kubernetes.io/autoupdate is "false" (as upstream does). done once, in a later turn; err: the first
 * failure, or NULL. The namespaces kube-system and kube-public must exist.
 */
void rbac_install(struct registry *r, void (*done)(void *arg, const struct status *err), void *arg);

#endif
