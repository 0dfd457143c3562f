/* SPDX-License-Identifier: Apache-2.0 */
#include "server/route.h"

#include <ctype.h>
#include <strings.h>

#include "api/resource.h"
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"
#include "http/server.h"

/* ---- query ---- */

struct query_ctx {
	struct arena *arena;
	struct query *query;
	bool too_many;
};

static void add_param(void *arg, const char *name, const char *value)
{
	struct query_ctx *c = arg;
	if (c->query->n == QUERY_PARAMS_MAX) {
		c->too_many = true;
		return;
	}
	c->query->params[c->query->n++] =
	    (struct query_param){arena_strdup(c->arena, name), arena_strdup(c->arena, value)};
}

int query_parse(struct arena *a, const char *raw, struct query *ret, struct status *err)
{
	struct query_ctx c = {a, ret, false};
	ret->n = 0;
	if (!http_query_each(raw, add_param, &c))
		return status_set(err, 400, "invalid URL escape in the query");
	if (c.too_many)
		return status_set(err, 400, "more than %d query parameters", QUERY_PARAMS_MAX);
	return 0;
}

const char *query_get(const struct query *q, const char *name)
{
	for (size_t i = 0; i < q->n; i++)
		if (str_eq(q->params[i].name, name))
			return q->params[i].value;
	return NULL;
}

bool query_bool(const struct query *q, const char *name)
{
	const char *v = query_get(q, name);
	return v && !str_eq(v, "0") && strcasecmp(v, "false") != 0;
}

/* ---- path ---- */

static const char *lower_method(struct arena *a, const char *method)
{
	char *s = arena_strdup(a, method);
	for (char *p = s; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return s;
}

/* The value of metadata.name=… in a field selector, which upstream treats as the request's name. */
static const char *selector_name(struct arena *a, const char *selector)
{
	for (const char *p = selector; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		const char *v = str_after(p, "metadata.name=");
		if (!v)
			continue;
		if (*v == '=')
			v++;
		return arena_strndup(a, v, strcspn(v, ","));
	}
	return "";
}

static const char *resource_verb(const struct route *rt, const struct query *q)
{
	const char *m = rt->method;
	if (str_eq(m, "POST"))
		return "create";
	if (str_eq(m, "PUT"))
		return "update";
	if (str_eq(m, "PATCH"))
		return "patch";
	if (str_eq(m, "DELETE"))
		return *rt->name ? "delete" : "deletecollection";
	if (str_eq(m, "GET") || str_eq(m, "HEAD")) {
		if (*rt->name)
			return "get";
		return query_bool(q, "watch") ? "watch" : "list";
	}
	return "";
}

struct segments {
	char *at[ROUTE_SEGMENTS_MAX];	     /* decoded */
	const char *raw[ROUTE_SEGMENTS_MAX]; /* where each begins in the raw path */
	size_t n;
};

static int split(struct arena *a, const char *raw, struct segments *ret, struct status *err)
{
	ret->n = 0;
	for (const char *p = raw; *p;) {
		while (*p == '/')
			p++;
		if (!*p)
			break;
		size_t len = strcspn(p, "/");
		if (ret->n == ROUTE_SEGMENTS_MAX)
			return status_set(err, 414, "more than %d path segments", ROUTE_SEGMENTS_MAX);
		char *s = arena_strndup(a, p, len);
		if (percent_decode(s, false) < 0)
			return status_set(err, 400, "invalid URL escape in the path");
		ret->at[ret->n] = s;
		ret->raw[ret->n++] = p;
		p += len;
	}
	return 0;
}

/* What follows "/api/v1" or "/apis/group/version"; i: first segment after it. */
static void parse_resource(struct arena *a, const struct segments *s, size_t i, const struct query *q, struct route *rt)
{
	bool watch_prefix = false;
	if (str_eq(s->at[i], "watch") && i + 1 < s->n) {
		watch_prefix = true;
		i++;
	}
	if (str_eq(s->at[i], "namespaces") && i + 1 < s->n) {
		rt->ns = s->at[i + 1];
		/* "namespaces/x", "namespaces/x/status" and "namespaces/x/finalize" are about the namespace itself. */
		if (i + 2 < s->n && !str_eq(s->at[i + 2], "status") && !str_eq(s->at[i + 2], "finalize"))
			i += 2;
	}
	rt->resource_request = true;
	rt->plural = s->at[i++];
	if (i < s->n)
		rt->name = s->at[i++];
	if (i < s->n)
		rt->subresource = s->at[i++];
	if (i < s->n)
		rt->rest = s->raw[i];
	rt->verb = resource_verb(rt, q);
	if (watch_prefix && str_eq(rt->method, "GET"))
		rt->verb = "watch";
	if (!*rt->name &&
	    (str_eq(rt->verb, "list") || str_eq(rt->verb, "watch") || str_eq(rt->verb, "deletecollection")))
		rt->name = selector_name(a, query_get(q, "fieldSelector"));
	rt->resource = resource_find(rt->group, rt->version, rt->plural);
	if (rt->resource && *rt->subresource)
		rt->sub = resource_subresource(rt->resource, rt->subresource);
}

int route_parse(struct arena *a, const char *method, const char *raw_path, const struct query *q, struct route *ret,
		struct status *err)
{
	struct segments *s = arena_alloc(a, sizeof(*s));
	char *path = arena_strdup(a, raw_path);
	if (split(a, raw_path, s, err) < 0)
		return -1;
	if (percent_decode(path, false) < 0)
		return status_set(err, 400, "invalid URL escape in the path");
	*ret = (struct route){.method = method,
			      .path = path,
			      .group = "",
			      .version = "",
			      .plural = "",
			      .ns = "",
			      .name = "",
			      .subresource = "",
			      .rest = ""};
	ret->verb = lower_method(a, method);
	ret->rest_slash = str_has_suffix(raw_path, "/");
	if (s->n >= 3 && str_eq(s->at[0], "api")) {
		ret->version = s->at[1];
		parse_resource(a, s, 2, q, ret);
	} else if (s->n >= 4 && str_eq(s->at[0], "apis")) {
		ret->group = s->at[1];
		ret->version = s->at[2];
		parse_resource(a, s, 3, q, ret);
	}
	return 0;
}

static uint32_t verb_bit(const char *verb)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} bits[] = {{"create", VERB_CREATE}, {"delete", VERB_DELETE}, {"deletecollection", VERB_DELETECOLLECTION},
		    {"get", VERB_GET},	     {"list", VERB_LIST},     {"patch", VERB_PATCH},
		    {"update", VERB_UPDATE}, {"watch", VERB_WATCH}};
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (str_eq(bits[i].name, verb))
			return bits[i].bit;
	return 0;
}

static int not_found(struct status *err)
{
	return status_set(err, 404, "the server could not find the requested resource");
}

int route_check(const struct route *rt, struct status *err)
{
	const struct resource *r = rt->resource;
	if (!r)
		return not_found(err);
	if (*rt->subresource && (!rt->sub || (*rt->rest && !str_eq(rt->subresource, "proxy"))))
		return not_found(err);
	bool collection =
	    !*rt->name || str_eq(rt->verb, "list") || str_eq(rt->verb, "watch") || str_eq(rt->verb, "deletecollection");
	bool self_ns = str_eq(r->plural, "namespaces") && !*r->group;
	if (!r->namespaced && *rt->ns && !self_ns)
		return not_found(err);
	/* Across namespaces there are only lists and watches. */
	if (r->namespaced && !*rt->ns && !collection)
		return not_found(err);
	uint32_t bit = verb_bit(rt->verb);
	if (rt->sub) {
		/* A connection (exec, proxy) may come with any method that its verbs list, one of which is get or
		 * create. */
		if (bit & rt->sub->verbs)
			return 0;
		/* What is behind a proxy may know a method that the API has no verb for. */
		if (str_eq(rt->subresource, "proxy") && str_eq(rt->method, "OPTIONS"))
			return 0;
		return status_set(err, 405, "the server does not allow this method on the requested resource");
	}
	/* POST is for the collection, PUT and PATCH for one object. */
	if (str_eq(rt->verb, "create") ? *rt->name : !*rt->name && (bit & (VERB_UPDATE | VERB_PATCH)))
		bit = 0;
	if (r->namespaced && !*rt->ns)
		bit &= VERB_LIST | VERB_WATCH;
	if (str_eq(rt->verb, "watch") && (r->verbs & VERB_LIST))
		bit = VERB_WATCH;
	if (!(bit & r->verbs))
		return status_set(err, 405, "the server does not allow this method on the requested resource");
	return 0;
}
