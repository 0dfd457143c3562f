/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that are no resources: discovery, OpenAPI, version, health, metrics. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "api/discovery.h"
#include "api/openapi.h"
#include "api/protobuf.h"
#include "api/resource.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"
#include "http/server.h"
#include "server/document.h"
#include "server/encode.h"
#include "server/health.h"
#include "server/server_internal.h"

/* ---- documents ---- */

/* A document that changes rarely: with an ETag, and 304 when the client has it already. */
static void reply_document(struct request *r, struct buf *doc, const char *content_type)
{
	char etag[DISCOVERY_ETAG_MAX];
	const char *have = http_header(r->http, "if-none-match");
	discovery_etag(doc, etag);
	http_add_header(r->http, "etag", etag);
	http_add_header(r->http, "vary", "Accept");
	if (have && strstr(have, etag)) {
		http_reply(r->http, 304, NULL, NULL, 0);
		return;
	}
	reply_body(r, 200, content_type, buf_str(doc), doc->len);
}

/* Discovery is asked for in protobuf and YAML too. */
static void reply_discovery(struct request *r, struct buf *doc)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct json *tree;
	struct json_error bad;
	if (negotiate_output(http_header(r->http, "accept"), false, true, &r->out, &err) < 0) {
		reply_status(r, &err);
		return;
	}
	r->out.as = AS_OBJECT;
	if (r->out.format == OUTPUT_JSON || json_parse(&r->arena, buf_str(doc), doc->len, &tree, &bad) < 0 ||
	    encode_tree(r->out.format, false, tree, &out) < 0)
		reply_document(r, doc, "application/json");
	else
		reply_document(r, &out, output_content_type(r->out.format));
}

/* "v2" or "v2beta1" when the client prefers aggregated discovery in JSON, else NULL. */
static const char *aggregated_version(const struct request *r)
{
	const char *accept = http_header(r->http, "accept");
	for (const char *p = accept; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		_cleanup_buf_ struct buf range = BUF_INIT;
		buf_add(&range, p, strcspn(p, ","));
		const char *s = buf_str(&range);
		if (!strstr(s, "application/json") || !strstr(s, "g=apidiscovery.k8s.io") ||
		    !strstr(s, "as=APIGroupDiscoveryList"))
			continue;
		if (strstr(s, "v=v2beta1"))
			return "v2beta1";
		if (strstr(s, "v=v2"))
			return "v2";
	}
	return NULL;
}

static void reply_aggregated(struct request *r, bool core, const char *version)
{
	_cleanup_buf_ struct buf doc = BUF_INIT;
	discovery_aggregated(server_resources(r->server), core, version, &doc);
	char *type =
	    arena_printf(&r->arena, "application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList", version);
	reply_document(r, &doc, type);
}

/* "apps" or "apps/v1" behind /apis/; "v1" behind /api/. */
static bool handle_group(struct request *r, const char *rest, bool core)
{
	_cleanup_buf_ struct buf doc = BUF_INIT;
	const struct resource_set *set = server_resources(r->server);
	char *group = arena_strdup(&r->arena, rest);
	size_t len = strlen(group);
	if (len && group[len - 1] == '/')
		group[len - 1] = 0;
	char *slash = strchr(group, '/');
	int e;
	if (core) {
		e = slash ? -ENOENT : discovery_resources(set, "", group, &doc);
	} else if (!slash) {
		e = discovery_group(set, group, &doc);
	} else {
		*slash = 0;
		e = strchr(slash + 1, '/') ? -ENOENT : discovery_resources(set, group, slash + 1, &doc);
	}
	if (e < 0)
		return false;
	reply_discovery(r, &doc);
	return true;
}

static bool handle_discovery(struct request *r, const char *path)
{
	_cleanup_buf_ struct buf doc = BUF_INIT;
	const char *version = aggregated_version(r), *rest;
	if (str_eq(path, "/api") || str_eq(path, "/api/")) {
		if (version) {
			reply_aggregated(r, true, version);
			return true;
		}
		discovery_core_versions(r->server->config.advertise_address ? server_address(r->server) : NULL, &doc);
		reply_discovery(r, &doc);
		return true;
	}
	if (str_eq(path, "/apis") || str_eq(path, "/apis/")) {
		if (version) {
			reply_aggregated(r, false, version);
			return true;
		}
		discovery_groups(server_resources(r->server), &doc);
		reply_discovery(r, &doc);
		return true;
	}
	if ((rest = str_after(path, "/api/")))
		return handle_group(r, rest, true);
	if ((rest = str_after(path, "/apis/")))
		return handle_group(r, rest, false);
	return false;
}

static void reply_cached(struct request *r, const struct document *d)
{
	const char *have = http_header(r->http, "if-none-match");
	http_add_header(r->http, "etag", d->etag);
	http_add_header(r->http, "vary", "Accept");
	if (have && strstr(have, d->etag))
		http_reply(r->http, 304, NULL, NULL, 0);
	else
		reply_parts(r, 200, d->content_type, &d->body, 1);
}

/* Makes the document of an OpenAPI path; false: there is none. */
static bool make_openapi(struct request *r, const char *path, bool protobuf, struct buf *doc)
{
	const struct resource_set *set = server_resources(r->server);
	const char *rest, *slash;
	if (protobuf)
		openapi_v2_protobuf(set, doc);
	else if (str_eq(path, "/openapi/v2"))
		openapi_v2(set, doc);
	else if (str_eq(path, "/openapi/v3") || str_eq(path, "/openapi/v3/"))
		openapi_v3_index(set, doc);
	else if ((rest = str_after(path, "/openapi/v3/api/")))
		return openapi_v3_document(set, "", rest, doc) == 0;
	else if ((rest = str_after(path, "/openapi/v3/apis/")) && (slash = strchr(rest, '/')))
		return openapi_v3_document(set, arena_strndup(&r->arena, rest, (size_t)(slash - rest)), slash + 1,
					   doc) == 0;
	else
		return false;
	return true;
}

static bool handle_openapi(struct request *r, const char *path)
{
	_cleanup_buf_ struct buf doc = BUF_INIT;
	struct document_cache *cache = r->server->documents;
	const char *accept = http_header(r->http, "accept");
	/* Old clients write the type with an @, newer ones as RFC 2045 allows it. */
	bool protobuf = str_eq(path, "/openapi/v2") && accept &&
			(strstr(accept, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf") ||
			 strstr(accept, OPENAPI_V2_PROTOBUF_TYPE));
	const char *type = protobuf ? OPENAPI_V2_PROTOBUF_TYPE : "application/json";
	if (!str_after(path, "/openapi/"))
		return false;
	const char *name = protobuf ? "v2 in protobuf" : path;
	const struct document *d = document_get(cache, name);
	if (!d && make_openapi(r, path, protobuf, &doc))
		d = document_put(cache, name, type, &doc);
	if (d)
		reply_cached(r, d);
	return d != NULL;
}

/* ---- service account issuer discovery (OpenID Connect Discovery 1.0) ---- */

static bool handle_issuer(struct request *r, const char *path)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const struct auth *auth = &r->server->config.auth;
	struct arena *a = &r->arena;
	bool keys = str_eq(path, "/openid/v1/jwks") || str_eq(path, "/openid/v1/jwks/");
	if (!keys && !str_eq(path, "/.well-known/openid-configuration") &&
	    !str_eq(path, "/.well-known/openid-configuration/"))
		return false;
	if (!auth->authn || !auth->authn->key_set)
		return false;
	struct json *o = keys ? auth->authn->key_set(auth->authn_self, a) : json_new(a, JSON_OBJECT);
	if (!keys) {
		const char *address = r->server->advertise_address;
		const char *host = address ? arena_printf(a, strchr(address, ':') ? "[%s]:%d" : "%s:%d", address,
							  r->server->config.advertise_port)
					   : server_address(r->server);
		json_set_str(a, o, "issuer", auth->authn->issuer(auth->authn_self));
		json_set(a, o, "jwks_uri", json_new_strf(a, "https://%s/openid/v1/jwks", host));
		json_append(json_array_in(a, o, "response_types_supported"), json_new_str(a, "id_token"));
		json_append(json_array_in(a, o, "subject_types_supported"), json_new_str(a, "public"));
		struct json *algs = json_array_in(a, o, "id_token_signing_alg_values_supported");
		JSON_EACH(k, json_get(auth->authn->key_set(auth->authn_self, a), "keys")) {
			bool told = false;
			JSON_EACH(known, algs)
				told |= str_eq(json_str(known), json_path_str(k, "alg"));
			if (!told)
				json_append(algs, json_new_str(a, json_path_str(k, "alg")));
		}
	}
	r->cache_control = "public, max-age=3600"; /* as upstream: keys outlive that by far */
	json_write(&out, o);
	reply_body(r, 200, keys ? "application/jwk-set+json" : "application/json", buf_str(&out), out.len);
	return true;
}

const char *go_arch(const char *machine)
{
	static const struct {
		const char *machine, *arch;
	} rows[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"}, {"ppc64le", "ppc64le"}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_eq(machine, rows[i].machine))
			return rows[i].arch;
	return machine;
}

static void handle_version(struct request *r)
{
	struct utsname u;
	struct arena *a = &r->arena;
	struct json *v = json_new(a, JSON_OBJECT);
	uname(&u);
	json_set_str(a, v, "major", KUBERNETES_MAJOR);
	json_set_str(a, v, "minor", KUBERNETES_MINOR);
	json_set_str(a, v, "emulationMajor", KUBERNETES_MAJOR);
	json_set_str(a, v, "emulationMinor", KUBERNETES_MINOR);
	json_set_str(a, v, "minCompatibilityMajor", KUBERNETES_MAJOR);
	json_set_str(a, v, "minCompatibilityMinor", KUBERNETES_MIN_COMPATIBILITY_MINOR);
	json_set_str(a, v, "gitVersion", KUBERNETES_VERSION);
	json_set_str(a, v, "gitCommit", "");
	json_set_str(a, v, "gitTreeState", "clean");
	json_set_str(a, v, "buildDate", "1970-01-01T00:00:00Z");
	json_set_str(a, v, "goVersion", "none");
	json_set_str(a, v, "compiler", "cc " __VERSION__);
	json_set(a, v, "platform", json_new_strf(a, "linux/%s", go_arch(u.machine)));
	r->out.pretty = true;
	reply_tree(r, 200, v);
}

static void handle_metrics(struct request *r)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	metrics_write(r->server, &out);
	reply_body(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&out), out.len);
}

/* ---- all ---- */

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_path(struct request *r, struct json *o, const char *path)
{
	json_append(json_array_in(&r->arena, o, "paths"), json_new_str(&r->arena, path));
}

/* Every path that leads on, in order. */
static void handle_index(struct request *r)
{
	static const char *const before[] = {"/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/"};
	static const char *const after[] = {"/healthz",	   "/livez",	      "/metrics", "/openapi/v2",
					    "/openapi/v3", "/openid/v1/jwks", "/readyz",  "/version"};
	_cleanup_buf_ struct buf groups = BUF_INIT;
	struct json *o = json_new(&r->arena, JSON_OBJECT), *list = NULL;
	struct json_error bad;
	VEC(const char *) paths = {0};

	discovery_groups(server_resources(r->server), &groups);
	if (json_parse(&r->arena, groups.data, groups.len, &list, &bad) == 0)
		JSON_EACH(g, json_get(list, "groups")) {
			VEC_PUSH(&paths, arena_printf(&r->arena, "/apis/%s", json_path_str(g, "name")));
			JSON_EACH(v, json_get(g, "versions"))
				VEC_PUSH(&paths, arena_printf(&r->arena, "/apis/%s", json_path_str(v, "groupVersion")));
		}
	if (paths.n)
		qsort(paths.at, paths.n, sizeof(*paths.at), compare_paths);
	for (size_t i = 0; i < ARRAY_SIZE(before); i++)
		add_path(r, o, before[i]);
	for (size_t i = 0; i < paths.n; i++)
		add_path(r, o, paths.at[i]);
	for (size_t i = 0; i < ARRAY_SIZE(after); i++)
		add_path(r, o, after[i]);
	VEC_RELEASE(&paths);
	reply_tree(r, 200, o);
}

/* Documents about the API may only be read; the other paths answer whatever the method is, as upstream's do. */
static bool is_read_only(struct request *r, const char *path)
{
	_cleanup_buf_ struct buf document = BUF_INIT;
	const struct resource_set *set = server_resources(r->server);
	const char *version = str_after(path, "/api/"), *group = str_after(path, "/apis/");
	const char *slash = group ? strchr(group, '/') : NULL;

	if (str_eq(path, "/version") || str_eq(path, "/api") || str_eq(path, "/apis"))
		return true;
	if (version)
		return discovery_resources(set, "", version, &document) == 0;
	return slash && discovery_resources(set, arena_strndup(&r->arena, group, (size_t)(slash - group)), slash + 1,
					    &document) == 0;
}

bool handle_path(struct request *r)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	const char *path = r->route.path, *rest;
	static const char *const health[] = {"healthz", "livez", "readyz"};
	if (!str_eq(r->route.verb, "get") && !str_eq(r->route.verb, "head") && is_read_only(r, path)) {
		status_set(&err, 405, "the server does not allow this method on the requested resource");
		reply_status(r, &err);
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(health); i++)
		if (*path == '/' && (rest = str_after(path + 1, health[i])))
			return handle_health(r, health[i], rest);
	if (str_eq(path, "/version") || str_eq(path, "/version/"))
		handle_version(r);
	else if (str_eq(path, "/metrics"))
		handle_metrics(r);
	else if (str_eq(path, "/"))
		handle_index(r);
	else
		return handle_discovery(r, path) || handle_openapi(r, path) || handle_issuer(r, path);
	return true;
}
