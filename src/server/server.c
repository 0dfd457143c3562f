/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life, a request's life, and the chain from one to the handler. */
#include "io/tls.h"
#include "server/server.h"

#include <stdlib.h>
#include <strings.h>

#include "api/resource.h"
#include "api/warnings.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/server.h"
#include "io/loop.h"
#include "server/audit.h"
#include "server/document.h"
#include "server/impersonate.h"
#include "server/flow.h"
#include "server/flow_objects.h"
#include "server/registry.h"
#include "server/server_internal.h"
#include "server/splice.h"
#include "store/store.h"

/* ---- requests ---- */

struct request *request_ref(struct request *r)
{
	r->refs++;
	return r;
}

void request_unref(struct request *r)
{
	if (--r->refs)
		return;
	list_remove(&r->link);
	arena_release(&r->arena);
	free(r);
}

static void request_closed(void *arg, bool aborted)
{
	struct request *r = arg;
	(void)aborted;
	audit_stage(r, AUDIT_COMPLETE);
	r->gone = true;
	if (r->on_gone)
		r->on_gone(r);
	r->on_gone = NULL;
	flow_done(&r->ticket);
	request_unref(r);
}

static struct request *request_new(struct server *s, struct http_request *http)
{
	struct request *r = NEW(struct request);
	r->server = s;
	r->http = http;
	r->refs = 1;
	r->started_ns = env->monotonic_ns();
	list_add_tail(&s->requests, &r->link);
	http_on_close(http, request_closed, r);
	return r;
}

/* ---- the chain ---- */

static int authenticate(struct request *r, struct status *err)
{
	const struct auth *auth = &r->server->config.auth;
	if (!auth->authn) {
		r->user = *user_new(&r->arena, USER_ANONYMOUS, GROUP_UNAUTHENTICATED, NULL, NULL);
		return 0;
	}
	int e = auth->authn->authenticate(auth->authn_self, r->http, &r->arena, &r->user, err);
	audit_received(r);
	(*(e == 0 ? &r->server->metrics.authenticated : &r->server->metrics.unauthenticated))++;
	return e;
}

static int forbid(struct request *r, const struct authz_attributes *at, const char *reason, struct status *err)
{
	status_set(err, 403, "%s", auth_forbidden_message(&r->arena, at, reason));
	if (at->resource_request)
		status_details(err, at->group, at->resource, at->name);
	return -1;
}

int request_check_access(struct request *r, const struct authz_attributes *at, struct status *err)
{
	char reason[AUTHZ_REASON_MAX];
	return auth_allowed(&r->server->config.auth, at, reason) ? 0 : forbid(r, at, reason, err);
}

struct authz_attributes route_attributes(const struct user *user, const struct route *rt)
{
	return (struct authz_attributes){.user = user,
					 .verb = rt->verb,
					 .group = rt->group,
					 .version = rt->version,
					 .resource = rt->plural,
					 .subresource = rt->subresource,
					 .ns = rt->ns,
					 .name = rt->name,
					 .path = rt->path,
					 .resource_request = rt->resource_request};
}

struct authz_attributes request_attributes(const struct request *r)
{
	const struct route *rt = &r->route;
	struct authz_attributes at = route_attributes(&r->user, rt);

	if (rt->resource_request &&
	    (str_eq(rt->verb, "list") || str_eq(rt->verb, "watch") || str_eq(rt->verb, "deletecollection"))) {
		at.field_selector = query_get(&r->query, "fieldSelector");
		at.label_selector = query_get(&r->query, "labelSelector");
	}
	return at;
}

static int authorize(struct request *r, struct status *err)
{
	struct authz_attributes at = request_attributes(r);
	char reason[AUTHZ_REASON_MAX];
	bool allowed = auth_allowed(&r->server->config.auth, &at, reason);
	audit_verdict(r, allowed, reason);
	return allowed ? 0 : forbid(r, &at, reason, err);
}

static int prepare(struct request *r, struct status *err)
{
	/* Errors before negotiation are told in JSON. */
	if (query_parse(&r->arena, http_query(r->http), &r->query, err) < 0 ||
	    route_parse(&r->arena, http_method(r->http), http_path(r->http), &r->query, &r->route, err) < 0 ||
	    authenticate(r, err) < 0 || impersonate(r, err) < 0 || authorize(r, err) < 0)
		return -1;
	return 0;
}

/* Below a group that is served, what isn't there is told as a Status. */
static bool is_below_group(struct request *r)
{
	const char *group = str_after(r->route.path, "/apis/");
	_cleanup_buf_ struct buf document = BUF_INIT;

	if (!group || !strchr(group, '/'))
		return str_has_prefix(r->route.path, "/api/");
	return discovery_group(server_resources(r->server), arena_strndup(&r->arena, group, strcspn(group, "/")),
			       &document) == 0;
}

static void dispatch(struct request *r, struct status *err)
{
	const struct route *rt = &r->route;
	bool watch = str_eq(rt->verb, "watch");
	if (rt->resource_request ? !rt->resource : !handle_path(r)) {
		if (is_below_group(r))
			status_set(err, 404, "the server could not find the requested resource");
		else
			reply_text(r, 404, "404 page not found\n");
		return;
	}
	if (!rt->resource_request)
		return;
	if (route_check(rt, err) < 0)
		return;
	if (proxy_is(rt)) {
		handle_proxy(r);
		return;
	}
	bool tables = rt->resource->list_type; /* reviews aren't shown as one */
	if (negotiate_output(http_header(r->http, "accept"), watch, tables, &r->out, err) < 0)
		return;
	const char *pretty = query_get(&r->query, "pretty");
	if (pretty)
		r->out.pretty = query_bool(&r->query, "pretty") || !*pretty;
	if (str_eq(rt->verb, "get"))
		handle_get(r);
	else if (str_eq(rt->verb, "list"))
		handle_list(r);
	else if (watch)
		handle_watch(r);
	else
		handle_write(r);
}

/* ---- priority and fairness ---- */

static void run(void *arg)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct request *r = request_ref(arg); /* it may be answered and closed before we return */
	dispatch(r, &err);
	if (status_failed(&err))
		reply_status(r, &err);
	if (str_eq(r->route.verb, "watch") || (r->route.resource && proxy_is(&r->route)))
		audit_stage(r, AUDIT_STARTED);
	if (str_eq(r->route.verb, "watch"))
		flow_done(&r->ticket); /* it has begun; from now on it only waits */
	request_unref(r);
}

static void refuse(void *arg)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	status_set(&err, 429, "too many requests, please try again later");
	err.retry_after_s = 1;
	reply_status(arg, &err);
}

/* A list costs by what it goes through. */
static unsigned seats_of(struct request *r)
{
	const struct resource *row = r->route.resource;
	int64_t limit = 0;
	if (!str_eq(r->route.verb, "list") || !row || !row->storage_prefix)
		return 1;
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	resource_key(row, *r->route.ns ? r->route.ns : NULL, NULL, &prefix);
	uint64_t n = store_count(r->server->store, buf_str(&prefix));
	const char *text = query_get(&r->query, "limit");
	if (text && parse_i64(text, &limit) == 0 && limit > 0 && (uint64_t)limit < n)
		n = (uint64_t)limit;
	n = (n + FLOW_LIST_OBJECTS_A_SEAT - 1) / FLOW_LIST_OBJECTS_A_SEAT;
	return n < 1 ? 1 : n > FLOW_LIST_SEATS_MAX ? FLOW_LIST_SEATS_MAX : (unsigned)n;
}

static void admit(struct request *r)
{
	const struct route *rt = &r->route;
	struct flow_request q = {
	    .user = &r->user,
	    .verb = rt->verb,
	    .group = rt->group,
	    .resource = *rt->subresource ? arena_printf(&r->arena, "%s/%s", rt->plural, rt->subresource) : rt->plural,
	    .ns = rt->ns,
	    .path = rt->path,
	    .resource_request = rt->resource_request,
	    .seats = seats_of(r)};
	r->ticket.run = run;
	r->ticket.refuse = refuse;
	r->ticket.arg = r;
	enum flow_answer answer = flow_admit(r->server->flow, &q, &r->ticket);
	if (r->ticket.schema_uid) {
		http_add_header(r->http, "x-kubernetes-pf-flowschema-uid", r->ticket.schema_uid);
		http_add_header(r->http, "x-kubernetes-pf-prioritylevel-uid", r->ticket.level_uid);
	}
	const char *outdated = rt->resource ? resource_warning(rt->resource) : NULL;
	if (outdated)
		http_add_header(r->http, "warning", arena_printf(&r->arena, "299 - \"%s\"", outdated));
	if (answer == FLOW_REFUSED) {
		refuse(r);
	} else if (answer == FLOW_RUN) {
		int64_t begin = env->monotonic_ns();
		struct flow *f = r->server->flow;
		run(r);
		flow_spent(f, env->monotonic_ns() - begin);
	}
}

/* arg: a reference to the request. */
static void begin(void *arg)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct request *r = arg;
	if (r->gone) /* while it waited */
		;
	else if (prepare(r, &err) < 0)
		reply_status(r, &err);
	else if (r->route.resource && proxy_is(&r->route))
		run(r); /* long-running: exec, logs, proxies */
	else
		admit(r);
	request_unref(r);
}

static void handle(struct http_request *http, void *arg)
{
	struct server *s = arg;
	struct request *r = request_ref(request_new(s, http));
	const struct auth *auth = &s->config.auth;
	audit_choose_id(r);
	if (!auth->authn || !auth->authn->await || !auth->authn->await(auth->authn_self, http, begin, r))
		begin(r);
}

/* ---- the server ---- */

static void bookmark_tick(void *arg)
{
	struct server *s = arg;
	watch_bookmarks(s);
	if (s->n_bookmark_watches)
		loop_timer_start(s->bookmarks, BOOKMARK_MS);
}

const struct resource_set *server_resources(const struct server *s)
{
	static const struct resource_set none = {0};
	(void)s;
	return &none;
}

int server_new(const struct server_config *c, struct server **ret, struct status *err)
{
	struct server *s = NEW(struct server);
	s->config = *c;
	s->advertise_address = xstrdup(c->advertise_address);
	s->client_ca_pem = xstrdup(c->client_ca_pem);
	s->loop = c->loop;
	s->store = c->store;
	s->registry = c->registry;
	metrics_init(&s->metrics);
	list_init(&s->requests);
	offloads_init(&s->offloads);
	list_init(&s->watches);
	list_init(&s->splices);
	s->frames = frame_cache_new(c->loop);
	s->documents = document_cache_new(c->loop);
	s->flow = flow_new(c->loop, c->store);
	s->bookmarks = loop_timer_new(c->loop, bookmark_tick, s);
	struct http_server_config h = {
	    .loop = c->loop, .address = c->address, .tls = c->tls, .limits = c->limits, .handler = handle, .arg = s};
	int e = http_server_new(&h, &s->http);
	if (e < 0) {
		status_set(err, 500, "cannot listen on %s: %s", c->address, strerror(-e));
		s->http = NULL;
		server_free(s);
		return -1;
	}
	*ret = s;
	return 0;
}

const char *server_address(const struct server *s)
{
	return http_server_address(s->http);
}

struct registry *server_registry(const struct server *s)
{
	return s->registry;
}

void server_set_ready(struct server *s, bool ready)
{
	s->ready = ready;
}

void server_add_check(struct server *s, const char *name, const char *(*check)(void *arg), void *arg)
{
	struct server_check c = {xstrdup(name), check, arg};
	VEC_PUSH(&s->checks, c);
}

void server_drain(struct server *s, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	s->draining = true;
	watch_end_all(s);
	http_server_drain(s->http, grace_ms, done, arg);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	watch_abort_all(s);
	if (s->http)
		http_server_free(s->http);
	splice_close_all(&s->splices);
	offloads_release(&s->offloads);
	tls_context_free(s->proxy_tls);
	flow_upkeep_free(s->flow_upkeep);
	flow_free(s->flow);
	loop_timer_free(s->bookmarks);
	frame_cache_free(s->frames);
	document_cache_free(s->documents);
	metrics_release(&s->metrics);
	VEC_EACH(c, &s->checks)
		free(c->name);
	VEC_RELEASE(&s->checks);
	free(s->advertise_address);
	free(s->client_ca_pem);
	free(s);
}
