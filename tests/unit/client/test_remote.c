/* SPDX-License-Identifier: Apache-2.0 */
/* The client over HTTP against a scripted HTTP layer: what it asks for, and what it makes of the answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "client/remote.h"
#include "http/client.h"
#include "sim.h"

/* ---- the HTTP layer: the newest call is under the test's hand ---- */

struct http_call {
	char method[8], path[600], body[600];
	struct http_call_events ev;
	void *arg;
	bool cancelled;
};
static struct http_call calls[64];
static size_t n_calls;

struct http_call *http_call_start(struct http_client *c, const struct http_call_config *cfg,
				  const struct http_call_events *ev, void *arg)
{
	(void)c;
	struct http_call *k = &calls[n_calls++];
	snprintf(k->method, sizeof(k->method), "%s", cfg->method);
	snprintf(k->path, sizeof(k->path), "%s", cfg->path);
	snprintf(k->body, sizeof(k->body), "%.*s", (int)cfg->body_len, cfg->body ? (const char *)cfg->body : "");
	k->ev = *ev;
	k->arg = arg;
	k->cancelled = false;
	return k;
}

void http_call_cancel(struct http_call *k)
{
	k->cancelled = true;
}

static struct http_call *last(void)
{
	assert_true(n_calls > 0);
	return &calls[n_calls - 1];
}

static void begin(int code)
{
	last()->ev.on_response(last()->arg, code, NULL, 0);
}

static void data(const char *text)
{
	struct http_call *k = last();
	k->ev.on_data(k->arg, text, strlen(text));
}

static void answer(int code, const char *text)
{
	struct http_call *k = last();
	begin(code);
	data(text);
	k->ev.on_done(k->arg, 0);
}

/* ---- the tests ---- */

struct world {
	struct loop *loop;
	struct client *client;
	char log[500];
	int code;
	struct client_watch *watch;
};

static void start(struct world *w)
{
	*w = (struct world){.loop = sim_new(1)};
	n_calls = 0;
	w->client = remote_client_new(w->loop, NULL, "test agent");
}

static void stop(struct world *w)
{
	client_free(w->client);
	sim_free(w->loop);
}

static void on_done(void *arg, const struct status *err, struct object *obj)
{
	struct world *w = arg;
	w->code = err ? err->code : 200;
	snprintf(w->log, sizeof(w->log), "%s", err ? err->message : obj ? obj->name : "nothing");
}

static void requests(void **state)
{
	(void)state;
	struct world w;
	start(&w);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct client_request r = {.verb = CLIENT_GET,
				   .resource = resource_by_plural("apps", "deployments"),
				   .ns = "n s",
				   .name = "x",
				   .done = on_done,
				   .arg = &w};
	client_do(w.client, &r);
	assert_string_equal(last()->method, "GET");
	assert_string_equal(last()->path, "/apis/apps/v1/namespaces/n%20s/deployments/x");
	answer(
	    200,
	    "{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\",\"namespace\":\"n s\",\"resourceVersion\":\"7\"}}");
	assert_string_equal(w.log, "x");

	r = (struct client_request){.verb = CLIENT_CREATE,
				    .resource = resource_by_plural("", "pods"),
				    .ns = "d",
				    .name = "p",
				    .subresource = "binding",
				    .body = json_new(&a, JSON_OBJECT),
				    .done = on_done,
				    .arg = &w};
	client_do(w.client, &r);
	assert_string_equal(last()->method, "POST");
	assert_string_equal(last()->path, "/api/v1/namespaces/d/pods/p/binding?fieldManager=test%20agent");
	assert_string_equal(last()->body, "{}");
	answer(201, "{\"kind\":\"Status\",\"status\":\"Success\"}");
	assert_string_equal(w.log, "nothing");

	r.subresource = NULL;
	client_do(w.client, &r);
	assert_string_equal(last()->path, "/api/v1/namespaces/d/pods?fieldManager=test%20agent");
	answer(409, "{\"kind\":\"Status\",\"code\":409,\"reason\":\"AlreadyExists\",\"message\":\"there\"}");
	assert_int_equal(w.code, 409);
	assert_string_equal(w.log, "there");
	client_do(w.client, &r);
	last()->ev.on_done(last()->arg, -ECONNRESET);
	assert_int_equal(w.code, 503);
	client_do(w.client, &r);
	answer(200, "<html>");
	assert_int_equal(w.code, 502);
	client_do(w.client, &r); /* under way when the client goes */
	stop(&w);
	assert_int_equal(w.code, 503);
}

static void on_event(void *arg, enum client_event_type type, struct object *obj)
{
	static const char *const names[] = {"+", "~", "-", "begin", "synced"};
	struct world *w = arg;
	snprintf(w->log + strlen(w->log), sizeof(w->log) - strlen(w->log), "%s%s ", names[type], obj ? obj->name : "");
	if (obj && str_eq(obj->name, "stop"))
		client_watch_stop(w->watch);
}

#define ITEM(name, rev) "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"d\",\"resourceVersion\":\"" rev "\"}}"
#define EVENT(type, name, rev) "{\"type\":\"" type "\",\"object\":" ITEM(name, rev) "}\n"

static void watch_start(struct world *w)
{
	start(w);
	w->watch =
	    client_watch_start(w->client, &(struct client_watch_request){.resource = resource_by_plural("", "pods"),
									 .field_selector = "spec.nodeName=a",
									 .fn = on_event,
									 .arg = w});
	sim_settle(w->loop);
}

static void watches(void **state)
{
	(void)state;
	struct world w;
	watch_start(&w);
	assert_string_equal(last()->path, "/api/v1/pods?fieldSelector=spec.nodeName%3Da&limit=500");
	answer(200, "{\"metadata\":{\"resourceVersion\":\"10\",\"continue\":\"t k\"},\"items\":[" ITEM("a", "3") "]}");
	sim_settle(w.loop);
	assert_non_null(strstr(last()->path, "continue=t%20k"));
	answer(200, "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" ITEM("b", "4") "]}");
	assert_string_equal(w.log, "begin +a +b synced ");
	sim_settle(w.loop);
	assert_non_null(strstr(last()->path, "watch=true"));
	assert_non_null(strstr(last()->path, "resourceVersion=10"));
	w.log[0] = '\0';
	begin(200);
	data(EVENT("MODIFIED", "a", "11") "{\"type\":\"DELE");
	data("TED\",\"object\":" ITEM("b", "12") "}\n");
	data("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"20\"}}}\n");
	assert_string_equal(w.log, "~a -b ");

	/* Lost: resumed where it was, after a moment. */
	last()->ev.on_done(last()->arg, -ECONNRESET);
	size_t before = n_calls;
	sim_settle(w.loop);
	assert_int_equal(n_calls, before);
	sim_run_ms(w.loop, REMOTE_BACKOFF_MS_MIN);
	assert_int_equal(n_calls, before + 1);
	assert_non_null(strstr(last()->path, "resourceVersion=20"));

	/* Too old: listed again, after the shortest pause, since events came before. */
	begin(200);
	data(EVENT("MODIFIED", "a", "21"));
	w.log[0] = '\0';
	data("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}\n");
	sim_run_ms(w.loop, REMOTE_BACKOFF_MS_MIN);
	assert_null(strstr(last()->path, "watch=true"));
	answer(200, "{\"metadata\":{\"resourceVersion\":\"30\"},\"items\":[]}");
	assert_string_equal(w.log, "begin synced ");
	sim_settle(w.loop);
	client_watch_stop(w.watch);
	assert_true(last()->cancelled);
	stop(&w);
}

static void a_server_that_is_away_is_asked_less_and_less(void **state)
{
	(void)state;
	struct world w;
	watch_start(&w);
	for (int i = 0; i < 12; i++) {
		size_t before = n_calls;
		last()->ev.on_done(last()->arg, -ECONNREFUSED);
		sim_run_ms(w.loop, i < 9 ? (REMOTE_BACKOFF_MS_MIN << i) : REMOTE_BACKOFF_MS_MAX);
		assert_int_equal(n_calls, before + 1);
	}
	size_t before = n_calls;
	last()->ev.on_done(last()->arg, -ECONNREFUSED);
	sim_run_ms(w.loop, REMOTE_BACKOFF_MS_MAX / 2 - 1);
	assert_int_equal(n_calls, before);
	assert_string_equal(w.log, "");
	client_watch_stop(w.watch);
	stop(&w);
}

static void may_be_stopped_by_its_own_event(void **state)
{
	(void)state;
	struct world w;
	watch_start(&w);
	answer(200, "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[]}");
	sim_settle(w.loop);
	w.log[0] = '\0';
	begin(200);
	data(EVENT("ADDED", "stop", "11") EVENT("ADDED", "more", "12"));
	assert_string_equal(w.log, "+stop ");
	stop(&w);
}

static void rubbish_is_listed_again(void **state)
{
	(void)state;
	struct world w;
	watch_start(&w);
	answer(200, "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[]}");
	sim_settle(w.loop);
	begin(200);
	data("<html>oops\n");
	sim_run_ms(w.loop, REMOTE_BACKOFF_MS_MIN);
	assert_null(strstr(last()->path, "watch=true"));
	client_watch_stop(w.watch);
	stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests),
	    cmocka_unit_test(watches),
	    cmocka_unit_test(a_server_that_is_away_is_asked_less_and_less),
	    cmocka_unit_test(may_be_stopped_by_its_own_event),
	    cmocka_unit_test(rubbish_is_listed_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
