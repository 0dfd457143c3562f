/* SPDX-License-Identifier: Apache-2.0 */
#include "server/https_get.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/url.h"
#include "http/client.h"
#include "io/loop.h"
#include "io/resolve.h"

#define WHY_MAX 200

struct https_get {
	struct loop *loop;
	struct tls_context *tls;
	https_get_fn fn; /* NULL: cancelled */
	void *arg;
	struct url url; /* path NULL: it is none */
	bool resolving; /* a worker thread has it */
	char addresses[RESOLVE_ADDRESSES_MAX][RESOLVE_TEXT_MAX];
	int n_addresses, current;
	struct http_client *client;
	struct http_call *call;
	struct loop_defer *next; /* outside of the client's callbacks */
	int code, result;
	struct buf body;
	char why[WHY_MAX];
};

static void get_free(struct https_get *g)
{
	if (g->call)
		http_call_cancel(g->call);
	http_client_free(g->client);
	loop_defer_free(g->next);
	buf_release(&g->body);
	url_release(&g->url);
	free(g);
}

static void finish(struct https_get *g, const char *body, size_t len)
{
	https_get_fn fn = g->fn;

	g->fn = NULL;
	fn(g->arg, body, len, g->why);
	get_free(g);
}

/* ---- one address ---- */

static void on_response(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	struct https_get *g = arg;

	(void)headers, (void)n;
	g->code = code;
}

static void on_data(void *arg, const char *data, size_t len)
{
	struct https_get *g = arg;

	buf_add(&g->body, data, len);
}

static void on_done(void *arg, int result)
{
	struct https_get *g = arg;

	g->call = NULL;
	g->result = result;
	loop_defer_schedule(g->next);
}

static void try_address(struct https_get *g)
{
	static const struct http_call_events ev = {.on_response = on_response, .on_data = on_data, .on_done = on_done};
	char authority[URL_HOST_MAX + 16];
	struct http_header_pair headers[] = {{"host", url_authority(&g->url, authority)},
					     {"accept", "application/json"}};

	g->code = 0;
	buf_release(&g->body);
	buf_init(&g->body, HTTPS_GET_BODY_MAX);
	g->result = http_client_new(&(struct http_client_config){.loop = g->loop,
								 .address = g->addresses[g->current],
								 .server_name = g->url.host,
								 .tls = g->tls,
								 .user_agent = "proa/" PROA_VERSION},
				    &g->client);
	if (g->result < 0) {
		loop_defer_schedule(g->next);
		return;
	}
	g->call = http_call_start(g->client,
				  &(struct http_call_config){.method = "GET",
							     .path = g->url.path,
							     .headers = headers,
							     .n_headers = ARRAY_SIZE(headers),
							     .timeout_ms = HTTPS_GET_MS},
				  &ev, g);
}

/* After an address has been tried, or when there is none to try. */
static void on_next(void *arg)
{
	struct https_get *g = arg;

	http_client_free(TAKE_PTR(g->client));
	if (g->result == 0 && g->code == 200 && !buf_failed(&g->body)) {
		finish(g, buf_str(&g->body), g->body.len);
		return;
	}
	if (g->result < 0 && g->n_addresses > 0)
		snprintf(g->why, sizeof(g->why), "%s: %s", g->addresses[g->current],
			 g->result == -EKEYREJECTED ? "its certificate is not trusted" : strerror(-g->result));
	else if (g->code && g->code != 200)
		snprintf(g->why, sizeof(g->why), "it answered with code %d", g->code);
	else if (buf_failed(&g->body))
		snprintf(g->why, sizeof(g->why), "its answer is larger than %u bytes", HTTPS_GET_BODY_MAX);
	if (g->result < 0 && g->current + 1 < g->n_addresses) {
		g->current++;
		try_address(g);
		return;
	}
	finish(g, NULL, 0);
}

/* ---- its name ---- */

static void resolve_run(void *arg)
{
	struct https_get *g = arg;

	g->n_addresses = resolve_host(g->url.host, g->url.port, g->addresses, g->why, sizeof(g->why));
}

static void resolve_done(void *arg)
{
	struct https_get *g = arg;

	g->resolving = false;
	if (!g->fn)
		get_free(g);
	else if (g->n_addresses > 0)
		try_address(g);
	else
		finish(g, NULL, 0);
}

struct https_get *https_get_start(struct loop *loop, const char *url, struct tls_context *tls, https_get_fn fn,
				  void *arg)
{
	struct https_get *g = NEW(struct https_get);

	g->loop = loop;
	g->tls = tls;
	g->fn = fn;
	g->arg = arg;
	g->next = loop_defer_new(loop, on_next, g);
	buf_init(&g->body, HTTPS_GET_BODY_MAX);
	if (url_parse(url, &g->url) == 0 && g->url.tls) {
		g->resolving = true;
		loop_work(loop, resolve_run, resolve_done, g);
	} else {
		snprintf(g->why, sizeof(g->why), "it is not an https URL");
		loop_defer_schedule(g->next);
	}
	return g;
}

void https_get_cancel(struct https_get *g)
{
	if (!g)
		return;
	g->fn = NULL;
	if (!g->resolving)
		get_free(g);
}
