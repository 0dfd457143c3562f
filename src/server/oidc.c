/* SPDX-License-Identifier: Apache-2.0 */
#include "server/oidc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"
#include "io/loop.h"
#include "io/tls.h"
#include "server/authn_internal.h"
#include "server/authn_options.h"
#include "server/https_get.h"
#include "server/jwt.h"

#define NOT_BEFORE_LEEWAY_S 300 /* as upstream: clocks of issuers differ */
#define WAITERS_MAX 1000	/* requests held for one issuer; more are judged with the keys that are known */

struct waiter {
	void (*fn)(void *arg);
	void *arg;
};

struct provider {
	const struct oidc_issuer *config;
	struct loop *loop; /* NULL: nothing can be fetched */
	struct tls_context *tls;
	struct jwt_keys keys;
	struct jwt_cache verified; /* with these keys */
	struct https_get *get;
	struct loop_timer *retry;
	int64_t may_ask; /* so often, as of counted_ms */
	int64_t counted_ms;
	VEC(struct waiter) waiters;
};

struct oidc {
	size_t n;
	struct provider providers[];
};

/* ---- keys ---- */

static void go_on(struct provider *p)
{
	struct waiter *at = p->waiters.at;
	size_t n = p->waiters.n;

	memset(&p->waiters, 0, sizeof(p->waiters)); /* they may wait again */
	for (size_t i = 0; i < n; i++)
		at[i].fn(at[i].arg);
	free(at);
}

static void failed(struct provider *p, const char *what, const char *why)
{
	log_warn("the keys of a token issuer cannot be had issuer=%s: %s: %s", p->config->url, what, why);
	if (!p->keys.n)
		loop_timer_start(p->retry, OIDC_REFRESH_MS);
	go_on(p);
}

static void on_keys(void *arg, const char *body, size_t len, const char *why)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct provider *p = arg;
	struct jwt_keys keys = {.n = 0};
	struct json *set;

	p->get = NULL;
	if (!body) {
		failed(p, "key set", why);
	} else if (json_parse(&a, body, len, &set, NULL) < 0 || jwt_keys_parse(&keys, set) < 0) {
		failed(p, "key set", "it is not a JWK Set");
	} else {
		jwt_keys_release(&p->keys);
		jwt_cache_clear(&p->verified);
		p->keys = keys;
		log_info("keys of a token issuer issuer=%s keys=%zu", p->config->url, keys.n);
		go_on(p);
	}
}

static void on_document(void *arg, const char *body, size_t len, const char *why)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct provider *p = arg;
	struct json *doc;

	p->get = NULL;
	if (!body) {
		failed(p, p->config->discovery_url, why);
		return;
	}
	if (json_parse(&a, body, len, &doc, NULL) < 0) {
		failed(p, p->config->discovery_url, "it is not JSON");
		return;
	}
	const char *issuer = str_or(json_path_str(doc, "issuer"), ""), *keys = json_path_str(doc, "jwks_uri");
	if (!str_eq(issuer, p->config->url)) {
		failed(p, p->config->discovery_url,
		       arena_printf(&a, "issuer did not match: expected \"%s\" got \"%s\"", p->config->url, issuer));
		return;
	}
	if (str_empty(keys)) {
		failed(p, p->config->discovery_url, "it names no jwks_uri");
		return;
	}
	p->get = https_get_start(p->loop, keys, p->tls, on_keys, p);
}

/* Counts what time has brought since. */
static bool may_ask(struct provider *p)
{
	int64_t now_ms = env->monotonic_ns() / 1000000, more = (now_ms - p->counted_ms) / OIDC_REFRESH_MS;

	if (p->may_ask + more >= OIDC_BURST) {
		p->may_ask = OIDC_BURST;
		p->counted_ms = now_ms;
	} else {
		p->may_ask += more;
		p->counted_ms += more * OIDC_REFRESH_MS;
	}
	return p->loop && !p->get && p->may_ask > 0;
}

static void ask(struct provider *p)
{
	p->may_ask--;
	loop_timer_stop(p->retry);
	p->get = https_get_start(p->loop, p->config->discovery_url, p->tls, on_document, p);
}

static void on_retry(void *arg)
{
	struct provider *p = arg;

	if (may_ask(p))
		ask(p);
	else if (!p->get)
		loop_timer_start(p->retry, OIDC_REFRESH_MS);
}

/* ---- tokens ---- */

static struct provider *provider_of(struct oidc *o, const struct json *claims)
{
	const char *issuer = json_path_str(claims, "iss");

	for (size_t i = 0; issuer && i < o->n; i++)
		if (str_eq(o->providers[i].config->url, issuer))
			return &o->providers[i];
	return NULL;
}

bool oidc_await(struct oidc *o, const char *token, void (*fn)(void *arg), void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct provider *p = o ? provider_of(o, jwt_peek(&a, token)) : NULL;
	struct json *claims;

	if (!p || jwt_verify_cached(&a, &p->verified, &p->keys, p->config->algs, token, &claims) == 0)
		return false;
	if (may_ask(p))
		ask(p);
	if (!p->get || p->waiters.n == WAITERS_MAX)
		return false;
	VEC_PUSH(&p->waiters, ((struct waiter){fn, arg}));
	return true;
}

static int refuse(const struct provider *p, struct status *err, const char *why)
{
	log_debug("a token was refused issuer=%s: %s", p->config->url, why);
	return status_set(err, 401, "oidc: %s", why);
}

static bool names_audience(const struct json *aud, const struct json *audiences)
{
	JSON_EACH(x, audiences) {
		if (json_str(aud) && str_eq(json_str(aud), json_str(x)))
			return true;
		if (json_is(aud, JSON_ARRAY))
			JSON_EACH(y, aud)
				if (json_str(y) && str_eq(json_str(y), json_str(x)))
					return true;
	}
	return false;
}

/* Numeric dates may have fractions (RFC 7519, 2). false: there is none. */
static bool date_of(const struct json *claims, const char *name, double *ret)
{
	const struct json *v = json_get(claims, name);

	if (!json_is(v, JSON_NUMBER))
		return false;
	*ret = strtod(v->str, NULL);
	return true;
}

static int check_claims(const struct provider *p, const struct json *claims, struct arena *a, struct status *err)
{
	double now = (double)now_s(), expires, begins;

	if (!names_audience(json_get(claims, "aud"), p->config->audiences))
		return refuse(p, err, "verify token: none of its audiences is one of those expected");
	if (!date_of(claims, "exp", &expires) || now > expires)
		return refuse(p, err, "verify token: token is expired");
	if (date_of(claims, "nbf", &begins) && now + NOT_BEFORE_LEEWAY_S < begins)
		return refuse(p, err, "verify token: current time is before the nbf (not before) time");
	JSON_EACH(rule, p->config->required) {
		const char *name = json_path_str(rule, "claim"), *value = json_path_str(rule, "requiredValue");
		const struct json *claim = json_get(claims, name);
		if (!claim)
			return refuse(p, err, arena_printf(a, "required claim %s not present in ID token", name));
		if (!json_str(claim) || strcmp(json_str(claim), str_or(value, "")) != 0)
			return refuse(p, err, arena_printf(a, "required claim %s value does not match", name));
	}
	return 0;
}

static int fill_name(const struct provider *p, const struct json *claims, struct arena *a, struct user *ret,
		     struct status *err)
{
	const struct claim_mapping *m = &p->config->username;
	const char *name = json_str(json_get(claims, m->claim));
	const struct json *verified = json_get(claims, "email_verified");

	if (str_empty(name))
		return refuse(p, err, arena_printf(a, "parse username claims \"%s\": claim not present", m->claim));
	/* An address that nobody has checked may be anybody's. */
	if (strcmp(m->claim, "email") == 0 && verified && !json_path_bool(claims, "email_verified", false))
		return refuse(p, err, "email not verified");
	ret->name = arena_printf(a, "%s%s", m->prefix, name);
	return 0;
}

/* A string, or an array of them. */
static int fill_groups(const struct provider *p, const struct json *claims, struct arena *a, struct user *ret,
		       struct status *err)
{
	const struct claim_mapping *m = &p->config->groups;
	const struct json *claim = m->claim ? json_get(claims, m->claim) : NULL;
	bool many = json_is(claim, JSON_ARRAY);
	const char **groups = arena_alloc(a, ((many ? json_len(claim) : 1) + 1) * sizeof(*groups));
	size_t n = 0;

	if (json_str(claim))
		groups[n++] = arena_printf(a, "%s%s", m->prefix, json_str(claim));
	else if (claim && !many && !json_is(claim, JSON_NULL))
		return refuse(p, err, arena_printf(a, "parse groups claim \"%s\": it is no list of strings", m->claim));
	if (many)
		JSON_EACH(x, claim) {
			if (!json_str(x))
				return refuse(
				    p, err,
				    arena_printf(a, "parse groups claim \"%s\": it is no list of strings", m->claim));
			groups[n++] = arena_printf(a, "%s%s", m->prefix, json_str(x));
		}
	groups[n++] = GROUP_AUTHENTICATED;
	ret->groups = groups;
	ret->n_groups = n;
	return 0;
}

int oidc_token(struct oidc *o, const char *token, struct arena *a, struct user *ret, struct status *err)
{
	struct provider *p = o ? provider_of(o, jwt_peek(a, token)) : NULL;
	struct user u = {.name = NULL};
	struct json *claims;

	if (!p)
		return 0;
	if (jwt_verify_cached(a, &p->verified, &p->keys, p->config->algs, token, &claims) < 0)
		return refuse(p, err,
			      p->keys.n ? "verify token: failed to verify signature"
					: "authenticator not initialized: its keys are not known yet");
	if (check_claims(p, claims, a, err) < 0 || fill_name(p, claims, a, &u, err) < 0 ||
	    fill_groups(p, claims, a, &u, err) < 0)
		return -1;
	const char *uid = p->config->uid_claim ? json_str(json_get(claims, p->config->uid_claim)) : NULL;
	if (p->config->uid_claim && !uid)
		return refuse(p, err,
			      arena_printf(a, "parse uid claim \"%s\": claim not present", p->config->uid_claim));
	u.uid = uid;
	const char *jti = json_path_str(claims, "jti");
	authn_add_extra(a, &u, CREDENTIAL_ID, jti ? arena_printf(a, "JTI=%s", jti) : NULL);
	*ret = u;
	return 1;
}

/* ---- all of them ---- */

static int provider_init(struct provider *p, const struct oidc_issuer *config, struct status *err)
{
	static const char *const alpn[] = {"http/1.1", NULL};
	_cleanup_buf_ struct buf system = BUF_INIT;
	char why[200];

	p->config = config;
	if (!config->ca_pem)
		tls_read_system_ca(&system);
	struct tls_config c = {.ca_pem = config->ca_pem ? config->ca_pem
					 : system.len	? buf_str(&system)
							: NULL,
			       .alpn = alpn};
	if (tls_context_new(&c, &p->tls, why, sizeof(why)) < 0)
		return status_set(err, 400, "the authority of token issuer %s: %s", config->url, why);
	return 0;
}

int oidc_new(const struct authn_options *options, struct oidc **ret, struct status *err)
{
	struct oidc *o = xcalloc(1, sizeof(*o) + options->n_issuers * sizeof(o->providers[0]));

	for (size_t i = 0; i < options->n_issuers; i++) {
		o->n++;
		if (provider_init(&o->providers[i], &options->issuers[i], err) < 0) {
			oidc_free(o);
			return -1;
		}
	}
	*ret = o;
	return 0;
}

void oidc_start(struct oidc *o, struct loop *loop)
{
	for (size_t i = 0; o && i < o->n; i++) {
		struct provider *p = &o->providers[i];
		p->loop = loop;
		p->retry = loop_timer_new(loop, on_retry, p);
		p->counted_ms = env->monotonic_ns() / 1000000;
		p->may_ask = OIDC_BURST;
		ask(p);
	}
}

void oidc_stop(struct oidc *o)
{
	for (size_t i = 0; o && i < o->n; i++) {
		struct provider *p = &o->providers[i];
		https_get_cancel(TAKE_PTR(p->get));
		loop_timer_free(TAKE_PTR(p->retry));
		p->loop = NULL;
		go_on(p);
	}
}

void oidc_free(struct oidc *o)
{
	if (!o)
		return;
	oidc_stop(o);
	for (size_t i = 0; i < o->n; i++) {
		tls_context_free(o->providers[i].tls);
		jwt_keys_release(&o->providers[i].keys);
	}
	free(o);
}
