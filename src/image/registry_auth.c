/* SPDX-License-Identifier: Apache-2.0 */
#include "image/registry_auth.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image_internal.h"

struct registry_auth {
	pthread_mutex_t lock;
	struct credential c;
	bool anonymous;
	char *actions;
	char *header;	  /* NULL: nothing yet */
	int64_t until_ms; /* monotonic; 0: no end */
};

static char *basic_header(const struct credential *c)
{
	_cleanup_free_ char *pair = xasprintf("%s:%s", str_or(c->username, ""), str_or(c->password, ""));
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_adds(&b, "Basic ");
	base64_encode(&b, pair, strlen(pair));
	return buf_steal(&b, NULL);
}

struct registry_auth *registry_auth_new(const struct credential *c, const char *actions)
{
	struct registry_auth *a = NEW(struct registry_auth);

	pthread_mutex_init(&a->lock, NULL);
	a->actions = xstrdup(actions);
	a->anonymous = c == NULL;
	if (c)
		a->c = (struct credential){xstrdup(c->username), xstrdup(c->password), xstrdup(c->identity_token),
					   xstrdup(c->registry_token)};
	if (c && c->registry_token)
		a->header = xasprintf("Bearer %s", c->registry_token);
	return a;
}

void registry_auth_free(struct registry_auth *a)
{
	if (!a)
		return;
	pthread_mutex_destroy(&a->lock);
	credential_release(&a->c);
	free(a->actions);
	free(a->header);
	free(a);
}

char *registry_auth_header(struct registry_auth *a)
{
	pthread_mutex_lock(&a->lock);
	bool old = a->until_ms && monotonic_ms() >= a->until_ms;
	char *header = old ? NULL : xstrdup(a->header);
	pthread_mutex_unlock(&a->lock);
	return header;
}

static void query_add(struct buf *b, const char *key, const char *value)
{
	if (str_empty(value))
		return;
	if (b->len)
		buf_addc(b, '&');
	buf_addf(b, "%s=", key);
	percent_encode(b, value);
}

/* "a b" gives scope=a&scope=b in a query, and one value in a form. */
static void scopes_add(struct buf *b, const char *scopes, bool form)
{
	_cleanup_free_ char *copy = xstrdup(scopes);
	char *rest = copy, *scope;

	if (form) {
		query_add(b, "scope", scopes);
		return;
	}
	while ((scope = strsep(&rest, " ")))
		query_add(b, "scope", scope);
}

static int ask(struct registry *r, const struct url *url, const char *authorization, const struct buf *form,
	       struct transport_reply *reply, char *err, size_t err_len)
{
	struct transport_request q = {.method = form ? "POST" : "GET",
				      .url = url,
				      .authorization = authorization,
				      .headers = {{"accept", "application/json"}},
				      .n_headers = 1,
				      .body_max = TOKEN_BYTES_MAX,
				      .stay = form != NULL};
	if (form) {
		q.headers[q.n_headers++] =
		    (struct http_header_pair){"content-type", "application/x-www-form-urlencoded"};
		q.body = form->data;
		q.body_len = form->len;
	}
	return transport_do(r->transport, &q, reply, err, err_len);
}

/* OAuth2: a refresh token, or a name and password for servers that don't take GET. */
static int ask_oauth2(struct registry_auth *a, struct registry *r, const struct url *realm, const char *service,
		      const char *scopes, struct transport_reply *reply, char *err, size_t err_len)
{
	_cleanup_buf_ struct buf form = BUF_INIT;

	query_add(&form, "grant_type", a->c.identity_token ? "refresh_token" : "password");
	query_add(&form, "service", service);
	query_add(&form, "client_id", "proa");
	scopes_add(&form, scopes, true);
	if (a->c.identity_token) {
		query_add(&form, "refresh_token", a->c.identity_token);
	} else {
		query_add(&form, "username", a->c.username);
		query_add(&form, "password", a->c.password);
	}
	return ask(r, realm, NULL, &form, reply, err, err_len);
}

static int ask_get(struct registry_auth *a, struct registry *r, const struct url *realm, const char *service,
		   const char *scopes, struct transport_reply *reply, char *err, size_t err_len)
{
	_cleanup_buf_ struct buf query = BUF_INIT;
	_cleanup_free_ char *authorization = a->anonymous ? NULL : basic_header(&a->c);
	struct url url = *realm;

	query_add(&query, "service", service);
	scopes_add(&query, scopes, false);
	if (!a->anonymous)
		query_add(&query, "account", a->c.username);
	url.path = xasprintf("%s%c%s", realm->path, strchr(realm->path, '?') ? '&' : '?', buf_str(&query));
	int r_ = ask(r, &url, authorization, NULL, reply, err, err_len);
	url_release(&url);
	return r_;
}

static int take_token(struct registry_auth *a, const struct transport_reply *reply, char *err, size_t err_len)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct json_error je;
	struct json *v = NULL;

	if (reply->code / 100 != 2)
		return image_fail(err, err_len,
				  reply->code == 401 || reply->code == 403 || reply->code == 400 ? -EACCES : -EPROTO,
				  "authorization failed: the token server %s answers %d", reply->url.host, reply->code);
	if (json_parse(&arena, buf_str(&reply->body), reply->body.len, &v, &je) < 0)
		return image_fail(err, err_len, -EPROTO, "the token server's answer is not JSON: %s", je.message);
	const char *token = str_or(json_str(json_get(v, "token")), json_str(json_get(v, "access_token")));
	int64_t seconds = json_int(json_get(v, "expires_in"), TOKEN_S_DEFAULT);
	if (str_empty(token) || strpbrk(token, "\r\n "))
		return image_fail(err, err_len, -EPROTO, "the token server's answer has no token");
	if (seconds < TOKEN_S_DEFAULT)
		seconds = TOKEN_S_DEFAULT; /* the least that the specification allows */
	pthread_mutex_lock(&a->lock);
	free(a->header);
	a->header = xasprintf("Bearer %s", token);
	a->until_ms = monotonic_ms() + (MIN_OF(seconds, 24 * 3600) - TOKEN_S_SPARE) * 1000;
	pthread_mutex_unlock(&a->lock);
	return 0;
}

static int get_token(struct registry_auth *a, struct registry *r, const struct challenge *c, char *err, size_t err_len)
{
	_cleanup_(transport_reply_release) struct transport_reply reply = {0};
	_cleanup_free_ char *own = xasprintf("repository:%s:%s", r->repository, a->actions);
	_cleanup_free_ char *scopes = NULL;
	struct url realm;

	if (url_parse(c->realm, &realm) < 0)
		return image_fail(err, err_len, -EPROTO, "its token server \"%.100s\" is not a URL", c->realm);
	if (r->base->tls && !realm.tls && !a->anonymous) {
		url_release(&realm);
		return image_fail(err, err_len, -EACCES,
				  "it wants the credentials to be sent over plain http, which is refused");
	}
	if (r->mount_from)
		scopes = xasprintf("%s repository:%s:pull", own, r->mount_from);
	else
		scopes = xstrdup(*c->scope ? c->scope : own);
	int k = a->c.identity_token ? ask_oauth2(a, r, &realm, c->service, scopes, &reply, err, err_len)
				    : ask_get(a, r, &realm, c->service, scopes, &reply, err, err_len);
	if (k == 0 && !a->c.identity_token && !a->anonymous && (reply.code == 404 || reply.code == 405)) {
		transport_reply_release(&reply);
		reply = (struct transport_reply){0};
		k = ask_oauth2(a, r, &realm, c->service, scopes, &reply, err, err_len);
	}
	url_release(&realm);
	return k < 0 ? k : take_token(a, &reply, err, err_len);
}

int registry_auth_answer(struct registry_auth *a, struct registry *r, const struct challenge *c, char *err,
			 size_t err_len)
{
	if (c->bearer && *c->realm)
		return get_token(a, r, c, err, err_len);
	if (!c->basic || a->anonymous || str_empty(a->c.username))
		return image_fail(err, err_len, -EACCES, "authorization failed: %s",
				  a->anonymous ? "no credentials for it are known" : "the credentials are refused");
	pthread_mutex_lock(&a->lock);
	free(a->header);
	a->header = basic_header(&a->c);
	a->until_ms = 0;
	pthread_mutex_unlock(&a->lock);
	return 0;
}
