/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a method, path and query to what is meant: a verb on a resource (built in or custom), or a plain path.
 * The attributes follow upstream's request-info rules, because authorization rules are written against them:
 *   /api/v1/namespaces/x            resource namespaces, ns and name both x
 *   /api/v1/namespaces/x/pods/y/log resource pods, subresource log
 *   /api/v1/nodes/x/proxy/a/b       subresource proxy, rest "a/b"
 *   ?watch=true, /api/v1/watch/…    verb watch instead of list
 * Everything lives in the arena given.
 */
#ifndef PROA_SERVER_ROUTE_H
#define PROA_SERVER_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct resource;
struct status;
struct subresource;

#define ROUTE_SEGMENTS_MAX 256 /* longest sensible: a proxied path; the header bound limits it anyway */
#define QUERY_PARAMS_MAX 256   /* exec with many command words; more is refused */

struct query_param {
	const char *name, *value;
};

struct query {
	struct query_param params[QUERY_PARAMS_MAX];
	size_t n;
};

struct route {
	bool resource_request;
	const char *method; /* as sent */
	const char *path;   /* decoded */
	const char *
	    verb; /* get, list, watch, create, update, patch, delete, deletecollection; else the method in lower case */
	const char *group, *version, *plural, *ns, *name, *subresource; /* "" when absent */
	const char *rest;		 /* undecoded path below proxy subresources, without leading slash; "" */
	const struct resource *resource; /* NULL: no such resource */
	const struct subresource *sub;	 /* NULL: none, or no such subresource (then subresource is not empty) */
	bool rest_slash;		 /* the path ended with a slash after the proxy subresource's own name */
};

/* Decodes a query; -1 with a 400. */
int query_parse(struct arena *a, const char *raw, struct query *ret, struct status *err);
const char *query_get(const struct query *q, const char *name); /* first value, or NULL */
bool query_bool(const struct query *q, const char *name);	/* absent, "0" and "false" are false, as upstream */
/* Parses the path; -1 with a 400 for a malformed escape. Resources that are not in the tables leave resource NULL. */
int route_parse(struct arena *a, const char *method, const char *raw_path, const struct query *q, struct route *ret,
		struct status *err);
/* Is the verb possible on what the route names? -1 with 404 or 405. */
int route_check(const struct route *rt, struct status *err);

#endif
