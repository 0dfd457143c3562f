/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is answered by somebody else: logs, exec, attach and port-forward by the node agent (paths of the kubelet's
 * API), the proxy subresources by a node agent, a pod or a service. Upgrades become two streams joined; anything else
 * is one HTTP call whose answer is passed on as it comes, at the pace of the slower side.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "api/meta.h"
#include "api/object.h"
#include "api/resource.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/client.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tls.h"
#include "server/log_options.h"
#include "server/registry.h"
#include "server/server_internal.h"
#include "server/splice.h"
#include "store/store.h"

#define KUBELET_PORT 10250
#define PROXY_HEADERS_MAX 64
#define PROXY_QUEUE_BYTES (1u << 20) /* waiting for the client before the node is no longer read */

/* Where to, and with what. */
struct target {
	const char *address;	 /* host:port */
	const char *host;	 /* name that is verified */
	struct tls_context *tls; /* NULL: plain */
	const char *path;	 /* with query; NULL: nobody to ask, the answer is empty */
};

struct proxy {
	struct request *request;
	struct target target;
	struct http_client *client;
	struct http_call *call;
	struct loop_defer *end; /* the client is freed outside its own callbacks */
	bool begun, paused, ended;
	struct http_header_pair headers[PROXY_HEADERS_MAX];
	size_t n_headers;
};

bool proxy_is(const struct route *rt)
{
	static const char *const names[] = {"exec", "attach", "portforward", "log", "proxy", NULL};
	return rt->sub && str_in(rt->subresource, names);
}

/* ---- where to ---- */

static int node_address(struct request *r, const char *node, struct target *t, struct status *err)
{
	const struct resource *nodes = resource_by_plural("", "nodes");
	struct object *o = registry_get(r->server->registry, nodes, "", node, err);
	if (!o)
		return -1;
	struct json *tree = object_tree(o, &r->arena);
	int64_t port = json_path_int(tree, "status.daemonEndpoints.kubeletEndpoint.Port", KUBELET_PORT);
	JSON_EACH(a, json_path(tree, "status.addresses")) {
		const char *ip = json_path_str(a, "address");
		if (!str_eq(json_path_str(a, "type"), "InternalIP") || str_empty(ip))
			continue;
		t->host = ip;
		t->address = arena_printf(&r->arena, strchr(ip, ':') ? "[%s]:%" PRId64 : "%s:%" PRId64, ip, port);
		t->tls = r->server->config.node_tls;
		return 0;
	}
	return status_set(err, 500, "no preferred addresses found; known addresses: []");
}

static const char *container_names(struct arena *a, const struct json *spec)
{
	const char *text = "";
	JSON_EACH(c, json_get(spec, "containers"))
		text = arena_printf(a, "%s%s%s", text, *text ? " " : "", str_or(json_path_str(c, "name"), ""));
	return text;
}

static bool has_container(const struct json *spec, const char *name)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(c, json_get(spec, lists[i]))
			if (str_eq(json_path_str(c, "name"), name))
				return true;
	return false;
}

static int choose_container(struct request *r, const struct json *pod, const char **ret, struct status *err)
{
	const struct json *spec = json_get(pod, "spec");
	const char *name = query_get(&r->query, "container");
	if (str_empty(name)) {
		const char *usual = meta_annotation(pod, "kubectl.kubernetes.io/default-container");
		if (json_len(json_get(spec, "containers")) == 1)
			name = json_path_str(json_first(json_get(spec, "containers")), "name");
		else if (usual && has_container(spec, usual))
			name = usual;
		else
			return status_set(err, 400,
					  "a container name must be specified for pod %s, choose one of: [%s]",
					  r->route.name, container_names(&r->arena, spec));
	}
	if (!has_container(spec, name))
		return status_set(err, 400, "container %s is not valid for pod %s", name, r->route.name);
	*ret = name;
	return 0;
}

static void add_param(struct buf *out, char *separator, const char *name, const char *value)
{
	buf_addc(out, *separator);
	*separator = '&';
	buf_adds(out, name);
	buf_addc(out, '=');
	percent_encode(out, value);
}

static void log_params(struct request *r, struct buf *out)
{
	static const char *const passed[] = {"follow",	  "previous",	"sinceSeconds", "sinceTime", "timestamps",
					     "tailLines", "limitBytes", "stream",	NULL};
	char separator = '?';
	for (size_t i = 0; i < r->query.n; i++)
		if (str_in(r->query.params[i].name, passed))
			add_param(out, &separator, r->query.params[i].name, r->query.params[i].value);
}

static void exec_params(struct request *r, struct buf *out)
{
	static const char *const names[][2] = {
	    {"stdin", "input"}, {"stdout", "output"}, {"stderr", "error"}, {"tty", "tty"}};
	char separator = '?';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (query_bool(&r->query, names[i][0]))
			add_param(out, &separator, names[i][1], "1");
	for (size_t i = 0; i < r->query.n; i++)
		if (str_eq(r->query.params[i].name, "command"))
			add_param(out, &separator, "command", r->query.params[i].value);
}

static void forward_params(struct request *r, struct buf *out)
{
	char separator = '?';
	for (size_t i = 0; i < r->query.n; i++)
		if (str_eq(r->query.params[i].name, "ports") || str_eq(r->query.params[i].name, "port"))
			add_param(out, &separator, "port", r->query.params[i].value);
}

static struct json *get_pod(struct request *r, struct status *err)
{
	struct object *o = registry_get(r->server->registry, r->route.resource, r->route.ns, r->route.name, err);
	return o ? object_tree(o, &r->arena) : NULL;
}

/* Of a pod's node: log, exec, attach, portforward. */
static int agent_target(struct request *r, struct target *t, struct status *err)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	const char *sub = r->route.subresource, *container = NULL;
	if (str_eq(sub, "log") && log_options_check(&r->query, r->route.name, err) < 0)
		return -1;
	struct json *pod = get_pod(r, err);
	if (!pod)
		return -1;
	const char *node = json_path_str(pod, "spec.nodeName");
	bool forward = str_eq(sub, "portforward"), log = str_eq(sub, "log");
	if (!forward && choose_container(r, pod, &container, err) < 0)
		return -1;
	if (str_empty(node) && log)
		return 0; /* nothing was written yet */
	if (str_empty(node))
		return status_set(err, 400, "pod %s does not have a host assigned", r->route.name);
	if (node_address(r, node, t, err) < 0)
		return -1;
	const char *endpoint = log ? "containerLogs" : forward ? "portForward" : sub;
	buf_addf(&path, "/%s/%s/%s", endpoint, r->route.ns, r->route.name);
	if (container)
		buf_addf(&path, "/%s", container);
	if (log)
		log_params(r, &path);
	else if (forward)
		forward_params(r, &path);
	else
		exec_params(r, &path);
	t->path = arena_strdup(&r->arena, buf_str(&path));
	return 0;
}

/* What a proxied name consists of: "name", "name:port" or "scheme:name:port"; absent parts are "". */
struct proxied {
	const char *scheme, *name, *port;
};

static int split_name(struct request *r, struct proxied *ret, struct status *err)
{
	static const char *const schemes[] = {"", "http", "https", NULL};
	static const char *const kinds[][2] = {{"nodes", "node"}, {"pods", "pod"}, {"services", "service"}};
	char *s = arena_strdup(&r->arena, r->route.name), *first = strchr(s, ':');
	char *second = first ? strchr(first + 1, ':') : NULL;
	*ret = (struct proxied){"", s, ""};
	if (first)
		*first = 0;
	if (second) {
		*second = 0;
		*ret = (struct proxied){s, first + 1, second + 1};
	} else if (first) {
		ret->port = first + 1;
	}
	if (*ret->name && str_in(ret->scheme, schemes) && !strchr(ret->port, ':'))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(kinds[i][0], r->route.plural))
			status_set(err, 400, "invalid %s request \"%s\"", kinds[i][1], r->route.name);
	return -1;
}

/*
 * A pod's address comes from its status, which node agents write, a service's from slices: neither must lead back to
 * this machine's own services.
 */
static bool may_proxy_to(const char *ip)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, ip, &v4) == 1) {
		uint32_t n = ntohl(v4.s_addr);
		return n != INADDR_ANY && n >> 24 != 127 && n >> 16 != 0xa9fe && !IN_MULTICAST(n) &&
		       n != INADDR_BROADCAST;
	}
	return inet_pton(AF_INET6, ip, &v6) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&v6) && !IN6_IS_ADDR_LOOPBACK(&v6) &&
	       !IN6_IS_ADDR_LINKLOCAL(&v6) && !IN6_IS_ADDR_MULTICAST(&v6) && !IN6_IS_ADDR_V4MAPPED(&v6);
}

static const char *join_address(struct arena *a, const char *ip, const char *port)
{
	return arena_printf(a, strchr(ip, ':') ? "[%s]:%s" : "%s:%s", ip, port);
}

/* The first port that any container names. */
static const char *first_port(struct arena *a, const struct json *pod)
{
	JSON_EACH(c, json_path(pod, "spec.containers"))
		if (json_len(json_get(c, "ports")))
			return arena_printf(a, "%" PRId64,
					    json_path_int(json_at(json_get(c, "ports"), 0), "containerPort", 0));
	return NULL;
}

static int pod_target(struct request *r, const struct proxied *n, struct target *t, struct status *err)
{
	struct object *o = registry_get(r->server->registry, r->route.resource, r->route.ns, n->name, err);
	if (!o)
		return -1;
	struct json *pod = object_tree(o, &r->arena);
	const char *ip = json_path_str(pod, "status.podIP");
	if (str_empty(ip) || !may_proxy_to(ip))
		return status_set(err, 400, "address not allowed");
	const char *port = *n->port ? n->port : first_port(&r->arena, pod);
	t->host = ip;
	t->address = join_address(&r->arena, ip, str_or(port, str_eq(n->scheme, "https") ? "443" : "80"));
	return 0;
}

/* The number of a slice's port that the service's port refers to, or 0. */
static int64_t slice_port(const struct json *slice, const char *port_name)
{
	JSON_EACH(p, json_get(slice, "ports"))
		if (str_eq(str_or(json_path_str(p, "name"), ""), port_name))
			return json_path_int(p, "port", 0);
	return 0;
}

struct find_endpoint {
	struct request *request;
	const char *service, *port_name;
	struct target *target;
	bool found;
};

static bool find_endpoint(void *arg, struct object *o)
{
	struct find_endpoint *f = arg;
	struct arena *a = &f->request->arena;
	if (!str_eq(object_label(o, "kubernetes.io/service-name"), f->service))
		return true;
	struct json *slice = object_tree(o, a);
	int64_t port = slice_port(slice, f->port_name);
	JSON_EACH(e, json_get(slice, "endpoints")) {
		const char *ip = json_str(json_at(json_get(e, "addresses"), 0));
		if (!port || !ip || !may_proxy_to(ip) || !json_path_bool(e, "conditions.ready", true))
			continue;
		f->target->host = ip;
		f->target->address = join_address(a, ip, arena_printf(a, "%" PRId64, port));
		f->found = true;
		return false;
	}
	return true;
}

static int service_target(struct request *r, const struct proxied *n, struct target *t, struct status *err)
{
	const char *name = n->name, *port = n->port;
	_cleanup_buf_ struct buf prefix = BUF_INIT;
	struct object *o = registry_get(r->server->registry, r->route.resource, r->route.ns, name, err);
	const struct resource *slices = resource_by_plural("discovery.k8s.io", "endpointslices");
	if (!o)
		return -1;
	struct json *tree = object_tree(o, &r->arena);
	struct find_endpoint f = {.request = r, .service = name, .target = t};
	JSON_EACH(p, json_path(tree, "spec.ports")) {
		const char *port_name = str_or(json_path_str(p, "name"), "");
		const char *number = arena_printf(&r->arena, "%" PRId64, json_path_int(p, "port", 0));
		if (!*port || str_eq(port, port_name) || str_eq(port, number)) {
			f.port_name = port_name;
			break;
		}
	}
	if (!f.port_name)
		return status_set(err, 503, "no service port %s found for service \"%s\"", *port ? port : "\"\"", name);
	resource_key(registry_storage_row(slices), r->route.ns, NULL, &prefix);
	store_each(r->server->store, buf_str(&prefix), NULL, find_endpoint, &f);
	return f.found ? 0 : status_set(err, 503, "no endpoints available for service \"%s\"", name);
}

/* Pods and services are reached by address: there is no name that their certificates could be held against. */
static struct tls_context *unverified_tls(struct server *s, struct status *err)
{
	char why[256] = "";
	if (!s->proxy_tls &&
	    tls_context_new(&(struct tls_config){.insecure = true}, &s->proxy_tls, why, sizeof(why)) < 0)
		status_set(err, 500, "no TLS for proxied requests: %s", why);
	return s->proxy_tls;
}

/* A node's own agent, or, with another port, whatever listens there. */
static int node_target(struct request *r, const struct proxied *n, struct target *t, struct status *err)
{
	if (node_address(r, n->name, t, err) < 0)
		return -1;
	const char *own = strrchr(t->address, ':') + 1;
	if (!*n->port || str_eq(n->port, own))
		return 0;
	t->address = join_address(&r->arena, t->host, n->port);
	t->tls = NULL;
	if (str_eq(n->scheme, "https"))
		t->tls = unverified_tls(r->server, err);
	return status_failed(err) ? -1 : 0;
}

static int proxy_target(struct request *r, struct target *t, struct status *err)
{
	struct proxied n;
	const char *plural = r->route.plural, *query = http_query(r->http);
	if (split_name(r, &n, err) < 0)
		return -1;
	t->path = arena_printf(&r->arena, "/%s%s%s", r->route.rest, *query ? "?" : "", query);
	if (str_eq(plural, "nodes"))
		return node_target(r, &n, t, err);
	if (str_eq(n.scheme, "https") && !(t->tls = unverified_tls(r->server, err)))
		return -1;
	return str_eq(plural, "services") ? service_target(r, &n, t, err) : pod_target(r, &n, t, err);
}

/* A page at …/proxy would resolve its relative links one level too high: its reader is sent to …/proxy/. */
static bool redirect_to_root(struct request *r)
{
	const char *method = http_method(r->http), *query = http_query(r->http);
	if (*r->route.rest || r->route.rest_slash || http_upgrade(r->http) ||
	    (!str_eq(method, "GET") && !str_eq(method, "HEAD")))
		return false;
	http_add_header(r->http, "location",
			arena_printf(&r->arena, "%s/%s%s", http_path(r->http), *query ? "?" : "", query));
	reply_body(r, 301, "text/plain", "", 0);
	return true;
}

/* ---- the request that goes on ---- */

static void collect_headers(struct proxy *p)
{
	static const char *const dropped[] = {"host",
					      "authorization",
					      "cookie",
					      "connection",
					      "keep-alive",
					      "te",
					      "transfer-encoding",
					      "content-length",
					      "upgrade",
					      "accept-encoding",
					      "proxy-authorization",
					      NULL};
	struct request *r = p->request;
	const char *name, *value;
	for (size_t i = 0; http_header_each(r->http, i, &name, &value); i++) {
		if (p->n_headers == PROXY_HEADERS_MAX - 2 || *name == ':' || str_in(name, dropped) ||
		    str_has_prefix(name, "impersonate-"))
			continue;
		p->headers[p->n_headers++] = (struct http_header_pair){name, value};
	}
	if (http_upgrade(r->http)) {
		p->headers[p->n_headers++] = (struct http_header_pair){"connection", "Upgrade"};
		p->headers[p->n_headers++] = (struct http_header_pair){"upgrade", http_upgrade(r->http)};
	}
}

static void proxy_free(void *arg)
{
	struct proxy *p = arg;
	if (p->client)
		http_client_free(p->client);
	loop_defer_free(p->end);
	free(p);
}

/* No more of the request; the rest goes at the end of the turn. */
static void proxy_end(struct proxy *p)
{
	if (p->ended)
		return;
	p->ended = true;
	p->request->on_gone = NULL;
	p->request->state = NULL;
	request_unref(TAKE_PTR(p->request));
	loop_defer_schedule(p->end);
}

static void proxy_fail(struct proxy *p, int error)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	struct request *r = p->request;
	if (!r->gone) {
		if (p->begun) {
			http_abort(r->http);
		} else {
			status_set(&err, 503, "error trying to reach service: %s: %s", p->target.address,
				   strerror(-error));
			reply_status(r, &err);
		}
	}
	proxy_end(p);
}

/* ---- calls ---- */

static void client_drained(void *arg)
{
	struct proxy *p = arg;
	if (p->paused && !p->ended) {
		p->paused = false;
		http_call_resume(p->call);
	}
}

static void on_response(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	static const char *const dropped[] = {
	    "connection", "keep-alive", "transfer-encoding", "content-length", "content-type", "upgrade", "te", NULL};
	struct proxy *p = arg;
	struct request *r = p->request;
	const char *type = "text/plain";
	if (r->gone)
		return;
	for (size_t i = 0; i < n; i++) {
		if (str_eq(headers[i].name, "content-type"))
			type = headers[i].value;
		else if (*headers[i].name != ':' && !str_in(headers[i].name, dropped))
			http_add_header(r->http, headers[i].name, headers[i].value);
	}
	p->begun = true;
	metrics_request(r->server, r, code);
	http_stream_begin(r->http, code, type);
	http_on_drain(r->http, client_drained, p);
}

static void on_data(void *arg, const char *data, size_t len)
{
	struct proxy *p = arg;
	struct request *r = p->request;
	if (r->gone || !p->begun)
		return;
	_cleanup_bytes_ struct bytes *b = bytes_new(data, len);
	http_stream_write(r->http, b);
	if (!p->paused && http_stream_queued(r->http) > PROXY_QUEUE_BYTES) {
		p->paused = true;
		http_call_pause(p->call);
	}
}

static void on_done(void *arg, int result)
{
	struct proxy *p = arg;
	if (p->ended)
		return;
	p->call = NULL;
	if (result < 0) {
		proxy_fail(p, result);
		return;
	}
	if (!p->request->gone) {
		http_on_drain(p->request->http, NULL, NULL);
		http_stream_end(p->request->http);
	}
	proxy_end(p);
}

static const struct http_call_events call_events = {on_response, on_data, on_done};

static void client_gone(struct request *r)
{
	struct proxy *p = r->state;
	if (p->call)
		http_call_cancel(p->call);
	p->call = NULL;
	proxy_end(p);
}

/* ---- upgrades ---- */

static void on_upgraded(void *arg, struct stream *s, const char *head, size_t head_len)
{
	struct proxy *p = arg;
	struct request *r = p->request;
	if (p->ended) {
		stream_close(s);
		return;
	}
	struct splice *splice = splice_new(&r->server->splices);
	char *text = arena_strndup(&r->arena, head, head_len);
	stream_set_events(s, &splice_events, splice_end(splice, 1));
	proxy_end(p);
	struct stream *client = http_hijack(r->http, text, &splice_events, splice_end(splice, 0));
	metrics_request(r->server, r, 101);
	/* The connection is no request any more, and nobody will say that it closed. */
	r->gone = true;
	request_unref(r);
	splice_start(splice, client, s);
}

static void on_refused(void *arg, int code, const char *content_type, const char *body, size_t len)
{
	struct proxy *p = arg;
	if (p->ended)
		return;
	reply_body(p->request, code, str_or(content_type, "text/plain"), body, len);
	proxy_end(p);
}

static void on_error(void *arg, int error)
{
	struct proxy *p = arg;
	if (!p->ended)
		proxy_fail(p, error);
}

static const struct http_tunnel_events tunnel_events = {on_upgraded, on_refused, on_error};

static void start(struct request *r, const struct target *t)
{
	struct proxy *p = NEW(struct proxy);
	struct server *s = r->server;
	bool upgrade = http_upgrade(r->http) != NULL;
	p->request = request_ref(r);
	p->target = *t;
	p->end = loop_defer_new(s->loop, proxy_free, p);
	collect_headers(p);
	struct http_client_config c = {
	    .loop = s->loop, .address = t->address, .server_name = t->host, .tls = t->tls, .user_agent = "proa-server"};
	int e = http_client_new(&c, &p->client);
	if (e < 0) {
		proxy_fail(p, e);
		return;
	}
	size_t len;
	const char *body = http_body(r->http, &len);
	struct http_call_config cfg = {.method = http_method(r->http),
				       .path = t->path,
				       .headers = p->headers,
				       .n_headers = p->n_headers,
				       .body = len ? body : NULL,
				       .body_len = len};
	r->state = p;
	r->on_gone = client_gone;
	if (upgrade) {
		e = http_tunnel(p->client, &cfg, &tunnel_events, p);
		if (e < 0)
			proxy_fail(p, e);
	} else {
		p->call = http_call_start(p->client, &cfg, &call_events, p);
	}
}

/*
 * A WebSocket begins with a GET: it takes the right to create all the same, or whoever may read everything could run
 * commands.
 */
static int check_upgrade(struct request *r, struct status *err)
{
	struct authz_attributes at = request_attributes(r);
	at.verb = "create";
	return request_check_access(r, &at, err);
}

void handle_proxy(struct request *r)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	static const char *const streams[] = {"exec", "attach", "portforward", NULL};
	struct target t = {0};
	bool plain = str_eq(r->route.subresource, "proxy");
	if (str_in(r->route.subresource, streams) && check_upgrade(r, &err) < 0) {
		reply_status(r, &err);
		return;
	}
	if ((plain ? proxy_target(r, &t, &err) : agent_target(r, &t, &err)) == 0) {
		if (str_in(r->route.subresource, streams) && !http_upgrade(r->http))
			status_set(&err, 400, "Upgrade request required");
		else if (!t.path)
			reply_body(r, 204, "text/plain", "", 0);
		else if (!plain || !redirect_to_root(r))
			start(r, &t);
	}
	if (status_failed(&err))
		reply_status(r, &err);
}
