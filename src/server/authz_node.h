/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node authorizer: a node agent (user system:node:NAME in group system:nodes) may read its pods and what these
 * refer to, nothing else's, and write its own node, lease, pods' status and events. See the Kubernetes documentation,
 * "Using Node Authorization".
 */
#ifndef PROA_SERVER_AUTHZ_NODE_H
#define PROA_SERVER_AUTHZ_NODE_H

#include <stdbool.h>

struct authz_attributes;
struct store;
struct user;

/* The node's name when this is a node agent, else NULL. Points into the user. */
const char *authz_node_of(const struct user *u);
bool authz_node_allows(struct store *s, const char *node, const struct authz_attributes *at);

#endif
