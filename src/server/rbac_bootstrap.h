/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default roles and bindings that every cluster has (Kubernetes documentation, "Using RBAC Authorization", default
 * roles and role bindings; names, verbs and resources are upstream's).
 */
#ifndef PROA_SERVER_RBAC_BOOTSTRAP_H
#define PROA_SERVER_RBAC_BOOTSTRAP_H

struct arena;
struct json;

/*
 * Calls fn for each default object, roles before bindings; plural is its resource in rbac.authorization.k8s.io and ns
 * "" for the cluster-scoped ones. The object carries the label kubernetes.io/bootstrapping=rbac-defaults and the
 * annotation rbac.authorization.kubernetes.io/autoupdate=true. It is in a.
 */
void rbac_bootstrap_each(struct arena *a,
			 void (*fn)(void *arg, const char *plural, const char *ns, struct json *object), void *arg);

#endif
