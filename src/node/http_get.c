/* SPDX-License-Identifier: Apache-2.0 */
#include "node/http_get.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "http/client.h"
#include "io/loop.h"
#include "io/tls.h"
#include "node/dial.h"

struct http_get {
	struct http_client *client;
	struct tls_context *tls;
	struct loop_timer *timer; /* the whole, connecting included */
	struct loop_defer *end;	  /* tells in a later turn: an http_client may not be freed inside its own callback */
	struct buf body;
	char *url, *address;
	int code;
	bool over;
	http_get_done done;
	void *arg;
};

static void get_free(struct http_get *g)
{
	http_client_free(g->client);
	tls_context_free(g->tls);
	loop_timer_free(g->timer);
	loop_defer_free(g->end);
	buf_release(&g->body);
	free(g->url);
	free(g->address);
	free(g);
}

static void on_end(void *arg)
{
	struct http_get *g = arg;

	g->done(g->arg, g->code, buf_str(&g->body));
	get_free(g);
}

static void finish(struct http_get *g, int code, const char *why)
{
	if (g->over)
		return;
	g->over = true;
	g->code = code;
	if (why) {
		buf_clear(&g->body);
		buf_addf(&g->body, "Get \"%s\": %s", g->url, why);
	}
	loop_defer_schedule(g->end);
}

static void on_timeout(void *arg)
{
	finish(arg, 0, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
}

static void on_response(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	(void)headers;
	(void)n;
	((struct http_get *)arg)->code = code;
}

static void on_data(void *arg, const char *data, size_t len)
{
	struct http_get *g = arg;

	buf_add(&g->body, data, MIN_OF(len, HTTP_GET_BODY_MAX - g->body.len));
}

static void on_done(void *arg, int result)
{
	static const int while_connecting[] = {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, EACCES, EPERM};
	struct http_get *g = arg;
	_cleanup_free_ char *why = NULL;

	/* What matters is the status line; a body that breaks off doesn't change it. */
	if (g->code) {
		finish(g, g->code, NULL);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(while_connecting) && !why; i++)
		if (result == -while_connecting[i])
			why = dial_error(g->address, -result);
	finish(g, 0, why ? why : result < 0 ? strerror(-result) : "EOF");
}

static void start_call(struct http_get *g, const struct json *spec, const char *user_agent)
{
	static const struct http_call_events events = {on_response, on_data, on_done};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *path = str_or(json_path_str(spec, "path"), "/");
	VEC(struct http_header_pair) headers = {0};
	bool agent = false, accept = false;

	JSON_EACH(h, json_get(spec, "httpHeaders")) {
		char *name = arena_strdup(&a, str_or(json_path_str(h, "name"), ""));

		for (char *c = name; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		agent |= str_eq(name, "user-agent");
		accept |= str_eq(name, "accept");
		if (!str_eq(name, "host"))
			VEC_PUSH(&headers, ((struct http_header_pair){name, str_or(json_path_str(h, "value"), "")}));
	}
	if (!agent)
		VEC_PUSH(&headers, ((struct http_header_pair){"user-agent", user_agent}));
	if (!accept)
		VEC_PUSH(&headers, ((struct http_header_pair){"accept", "*/*"}));
	http_call_start(g->client,
			&(struct http_call_config){.method = "GET",
						   .path = path[0] == '/' ? path : arena_printf(&a, "/%s", path),
						   .headers = headers.at,
						   .n_headers = headers.n},
			&events, g);
	VEC_RELEASE(&headers);
}

static const char *host_header(const struct json *spec, const char *fallback)
{
	JSON_EACH(h, json_get(spec, "httpHeaders")) {
		const char *name = str_or(json_path_str(h, "name"), "");

		if (strcasecmp(name, "host") == 0)
			return str_or(json_path_str(h, "value"), fallback);
	}
	return fallback;
}

struct http_get *http_get_start(struct loop *l, const struct json *spec, const char *host, int port, int64_t timeout_ms,
				const char *user_agent, http_get_done done, void *arg)
{
	const char *own = json_path_str(spec, "host");
	bool https = str_eq(json_path_str(spec, "scheme"), "HTTPS");
	const char *path = str_or(json_path_str(spec, "path"), "/");
	struct http_get *g = NEW(struct http_get);
	char why[128];

	host = str_empty(own) ? host : own;
	g->address = dial_address(host, port);
	g->url = xasprintf("%s://%s%s%s", https ? "https" : "http", g->address, path[0] == '/' ? "" : "/", path);
	g->done = done;
	g->arg = arg;
	g->end = loop_defer_new(l, on_end, g);
	g->timer = loop_timer_new(l, on_timeout, g);
	loop_timer_start(g->timer, timeout_ms);
	if (https && tls_context_new(&(struct tls_config){.insecure = true}, &g->tls, why, sizeof(why)) < 0) {
		get_free(g);
		return NULL;
	}
	if (http_client_new(
		&(struct http_client_config){
		    .loop = l, .address = g->address, .server_name = host_header(spec, g->address), .tls = g->tls},
		&g->client) < 0) {
		get_free(g);
		return NULL;
	}
	start_call(g, spec, user_agent);
	return g;
}

void http_get_cancel(struct http_get *g)
{
	if (g)
		get_free(g);
}
