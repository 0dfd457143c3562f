/* SPDX-License-Identifier: Apache-2.0 */
#include "node/token.h"

#include <stdlib.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "io/loop.h"

#define REFRESH_MS_MAX (24 * 3600 * 1000ll)

struct token {
	struct client *client;
	char *ns, *account, *pod_name, *pod_uid, *audience;
	int64_t expiration_s;
	void (*changed)(void *arg);
	void *arg;
	char *text, *error;
	struct loop_timer *timer;
	int64_t retry_ms;
	bool requested, freed; /* freed while a request is under way: its answer frees the rest */
};

static void token_release(struct token *t)
{
	free(t->ns);
	free(t->account);
	free(t->pod_name);
	free(t->pod_uid);
	free(t->audience);
	free(t->text);
	free(t->error);
	free(t);
}

static void failed(struct token *t, const char *why)
{
	free(t->error);
	t->error = xstrdup(why);
	t->retry_ms = t->retry_ms ? MIN_OF(t->retry_ms * 2, TOKEN_RETRY_MS_MAX) : TOKEN_RETRY_MS_FIRST;
	loop_timer_start(t->timer, t->retry_ms);
}

static void took(struct token *t, const struct object *obj)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *status = json_get(object_tree(obj, &a), "status");
	const char *text = json_path_str(status, "token"), *until = json_path_str(status, "expirationTimestamp");
	int64_t until_ns = 0, life_ms;

	if (!text) {
		failed(t, "the server's answer to a token request has no token");
		return;
	}
	free(t->text);
	t->text = xstrdup(text);
	free(t->error);
	t->error = NULL;
	t->retry_ms = 0;
	if (!until || time_parse(until, &until_ns) < 0)
		until_ns = now_ns() + t->expiration_s * 1000000000;
	life_ms = (until_ns - now_ns()) / 1000000;
	loop_timer_start(t->timer, MAX_OF(MIN_OF(life_ms * 8 / 10, REFRESH_MS_MAX), TOKEN_RETRY_MS_FIRST));
}

static void on_done(void *arg, const struct status *err, struct object *obj)
{
	struct token *t = arg;

	t->requested = false;
	if (t->freed) {
		token_release(t);
		return;
	}
	if (err)
		failed(t, err->message);
	else
		took(t, obj);
	t->changed(t->arg);
}

static void request(void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct token *t = arg;
	struct json *body = json_new(&a, JSON_OBJECT), *spec, *ref;

	json_set_str(&a, body, "apiVersion", "authentication.k8s.io/v1");
	json_set_str(&a, body, "kind", "TokenRequest");
	spec = json_object_in(&a, body, "spec");
	json_array_in(&a, spec, "audiences");
	if (*t->audience)
		json_append(json_get(spec, "audiences"), json_new_str(&a, t->audience));
	json_set_int(&a, spec, "expirationSeconds", t->expiration_s);
	ref = json_object_in(&a, spec, "boundObjectRef");
	json_set_str(&a, ref, "apiVersion", "v1");
	json_set_str(&a, ref, "kind", "Pod");
	json_set_str(&a, ref, "name", t->pod_name);
	json_set_str(&a, ref, "uid", t->pod_uid);
	t->requested = true;
	client_do(t->client, &(struct client_request){.verb = CLIENT_CREATE,
						      .resource = resource_find("", "v1", "serviceaccounts"),
						      .ns = t->ns,
						      .name = t->account,
						      .subresource = "token",
						      .body = body,
						      .done = on_done,
						      .arg = t});
}

struct token *token_new(const struct token_config *c)
{
	struct token *t = NEW(struct token);

	t->client = c->client;
	t->ns = xstrdup(c->ns);
	t->account = xstrdup(c->service_account);
	t->pod_name = xstrdup(c->pod_name);
	t->pod_uid = xstrdup(c->pod_uid);
	t->audience = xstrdup(c->audience);
	t->expiration_s = c->expiration_s;
	t->changed = c->changed;
	t->arg = c->arg;
	t->timer = loop_timer_new(client_loop(c->client), request, t);
	request(t);
	return t;
}

void token_free(struct token *t)
{
	if (!t)
		return;
	loop_timer_free(t->timer);
	t->timer = NULL;
	t->freed = true;
	if (!t->requested)
		token_release(t);
}

const char *token_text(const struct token *t)
{
	return t->text;
}

const char *token_error(const struct token *t)
{
	return t->error;
}

bool token_is(const struct token *t, const char *audience, int64_t expiration_s)
{
	return str_eq(t->audience, audience) && t->expiration_s == expiration_s;
}
