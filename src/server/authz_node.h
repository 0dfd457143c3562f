/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node authorizer: a node agent (user system:node:NAME in group system:nodes) may read its pods and what these
 * refer to, nothing else's, and write nodes, leases, pods' status and events, of which the NodeRestriction admission
 * plugin leaves it its own. See the Kubernetes documentation, "Using Node Authorization".
 *
 * What refers to what is found by looking at the pods of one namespace: agents ask when a pod starts, and an index of
 * every reference in the cluster would cost each pod some hundred bytes for that.
 */
#ifndef PROA_SERVER_AUTHZ_NODE_H
#define PROA_SERVER_AUTHZ_NODE_H

#include <stdbool.h>

struct authz_attributes;
struct store;
struct user;

/* The node's name when this is a node agent, else NULL. Points into the user. */
const char *authz_node_of(const struct user *u);
/* Is this any node agent, named or not? Upstream's NodeRestriction refuses those it cannot name. */
bool authz_is_node(const struct user *u);
/* reason (AUTHZ_REASON_MAX bytes) says why not, where there is more to say than no. */
bool authz_node_allows(struct store *s, const char *node, const struct authz_attributes *at, char *reason);

#endif
