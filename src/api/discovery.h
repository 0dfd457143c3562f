/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery documents: which groups, versions and resources are served, in the plain form (APIVersions, APIGroupList,
 * APIGroup, APIResourceList) and the aggregated one (apidiscovery.k8s.io/v2 APIGroupDiscoveryList). Source of the
 * shapes: the API reference. Each call appends a complete JSON document to out; the same set gives the same bytes, so
 * that a hash of them serves as ETag.
 */
#ifndef PROA_API_DISCOVERY_H
#define PROA_API_DISCOVERY_H

#include <stdbool.h>

struct buf;
struct resource_set;

/* /api; server_address is host:port as the client may reach it, NULL: none is said. */
void discovery_core_versions(const char *server_address, struct buf *out);
/* /apis */
void discovery_groups(const struct resource_set *set, struct buf *out);
/* /apis/GROUP; -ENOENT when no version of it is served. */
int discovery_group(const struct resource_set *set, const char *group, struct buf *out);
/* /api/v1 (group "") and /apis/GROUP/VERSION; -ENOENT when it isn't served. */
int discovery_resources(const struct resource_set *set, const char *group, const char *version, struct buf *out);
/*
 * /api (core) and /apis (all others) when the client accepts g=apidiscovery.k8s.io;as=APIGroupDiscoveryList.
 * version is the v it asks for: "v2" or "v2beta1", which have the same content.
 */
void discovery_aggregated(const struct resource_set *set, bool core, const char *version, struct buf *out);

#define DISCOVERY_ETAG_MAX 20
/* A quoted ETag of a document's bytes: the same everywhere, not secret. Returns out. */
char *discovery_etag(const struct buf *document, char out[DISCOVERY_ETAG_MAX]);

#endif
