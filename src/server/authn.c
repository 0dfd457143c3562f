/* SPDX-License-Identifier: Apache-2.0 */
#include "server/authn.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "http/server.h"
#include "server/authn_internal.h"
#include "server/authn_options.h"
#include "server/jwt.h"
#include "server/oidc.h"
#include "server/pki.h"
#include "store/store.h"

struct authn *authn_new(const struct authn_config *c)
{
	struct authn *a = NEW(struct authn);

	a->pki = c->pki;
	a->store = c->store;
	a->issuer = xstrdup(c->issuer);
	a->options = c->options;
	a->oidc = c->oidc;
	a->verified = NEW(struct jwt_cache);
	return a;
}

static void cert_release(struct cert *c)
{
	for (char **g = c->groups; g && *g; g++)
		free(*g);
	free(c->groups);
	free(c->name);
	free(c->id);
	free(c->der);
	*c = (struct cert){0};
}

void authn_free(struct authn *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < CERTS_CACHED; i++)
		cert_release(&a->certs[i]);
	free(a->verified);
	free(a->issuer);
	free(a);
}

const char *authn_issuer(const struct authn *a)
{
	return a->issuer;
}

struct json *authn_key_set(const struct authn *a, struct arena *arena)
{
	return jwt_key_set(arena, pki_token_keys(a->pki));
}

static int unauthorized(struct status *err)
{
	return status_set(err, 401, "Unauthorized");
}

void authn_add_extra(struct arena *a, struct user *u, const char *key, const char *value)
{
	if (str_empty(value))
		return;
	struct user_extra *extra = arena_alloc(a, (u->n_extra + 1) * sizeof(*extra));
	const char **values = arena_alloc(a, sizeof(*values));
	if (u->n_extra)
		memcpy(extra, u->extra, u->n_extra * sizeof(*extra));
	values[0] = value;
	extra[u->n_extra++] = (struct user_extra){.key = key, .values = values, .n_values = 1};
	u->extra = extra;
}

struct object *authn_object(const struct authn *self, const char *plural, const char *ns, const char *name)
{
	_cleanup_buf_ struct buf key = BUF_INIT;

	resource_key(resource_by_plural("", plural), ns, name, &key);
	return store_get(self->store, buf_str(&key));
}

/* ---- client certificates ---- */

static const struct cert *find_cert(struct authn *self, const unsigned char *der, size_t len)
{
	struct cert *c = &self->certs[hash_bytes(der, len) & (CERTS_CACHED - 1)];
	char *name, **groups;

	if (c->der && c->len == len && memcmp(c->der, der, len) == 0)
		return c;
	int64_t expires_s;
	if (pki_subject(der, len, &name, &groups, &expires_s) < 0)
		return NULL;
	cert_release(c);
	_cleanup_buf_ struct buf hash = BUF_INIT;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	EVP_Digest(der, len, digest, &n, EVP_sha256(), NULL);
	hex_encode(&hash, digest, n);
	*c = (struct cert){xmemdup(der, len), len, name, groups, xasprintf("X509SHA256=%s", buf_str(&hash)), expires_s};
	return c;
}

static int by_certificate(struct authn *self, const unsigned char *der, size_t len, struct arena *a, struct user *ret,
			  struct status *err)
{
	const struct cert *c = find_cert(self, der, len);
	size_t n = 0;

	/* Connections live longer than what they began with. */
	if (!c || now_s() >= c->expires_s)
		return unauthorized(err);
	while (c->groups[n])
		n++;
	const char **groups = arena_alloc(a, (n + 1) * sizeof(*groups));
	for (size_t i = 0; i < n; i++)
		groups[i] = arena_strdup(a, c->groups[i]);
	groups[n] = GROUP_AUTHENTICATED;
	*ret = (struct user){.name = arena_strdup(a, c->name), .groups = groups, .n_groups = n + 1};
	authn_add_extra(a, ret, CREDENTIAL_ID, arena_strdup(a, c->id));
	return 0;
}

/* ---- tokens of every kind ---- */

static int review_token(void *arg, const char *token, const struct json *audiences, struct arena *a, struct user *ret,
			struct json **ret_audiences, struct status *err)
{
	const struct authn *self = arg;
	struct json *common = NULL;
	int r = authn_bootstrap_token(self, token, a, ret, err);
	if (r == 0)
		r = oidc_token(self->oidc, token, a, ret, err);

	/* These know nothing of our audiences: they are for this server only. */
	if (r > 0 && json_len(audiences)) {
		bool own = false;
		JSON_EACH(x, audiences)
			own |= str_eq(json_str(x), self->issuer);
		if (!own)
			return status_set(err, 401, "token audiences are not among those asked for");
		common = json_new(a, JSON_ARRAY);
		json_append(common, json_new_str(a, self->issuer));
	}
	if (r == 0)
		r = authn_account_token(self, token, audiences, a, ret, &common, err);
	if (r == 0)
		return status_set(err, 401, "invalid bearer token");
	if (r > 0 && ret_audiences)
		*ret_audiences = common;
	return r > 0 ? 0 : -1;
}

/* ---- requests ---- */

/* The token of a bearer header, or, as browsers must, of a WebSocket subprotocol. NULL: none. */
static const char *bearer_token(struct http_request *r, struct arena *a)
{
	static const char prefix[] = "base64url.bearer.authorization.k8s.io.";
	const char *h = http_header(r, "authorization");

	if (h)
		return strncasecmp(h, "Bearer ", 7) == 0 ? arena_strdup(a, h + 7 + strspn(h + 7, " ")) : NULL;
	const char *list = http_upgrade(r) ? http_header(r, "sec-websocket-protocol") : NULL;
	const char *at = list ? strstr(list, prefix) : NULL;
	if (!at)
		return NULL;
	at += sizeof(prefix) - 1;
	_cleanup_buf_ struct buf b = BUF_INIT;
	return base64url_decode(&b, at, strcspn(at, ", ")) < 0 ? NULL : arena_strdup(a, buf_str(&b));
}

/* May a request without credentials come in? */
static bool anonymous_allowed(const struct authn *self, const char *path)
{
	const struct authn_options *o = self->options;

	if (!o || !o->anonymous)
		return !o;
	JSON_EACH(x, o->anonymous_paths)
		if (str_eq(json_str(x), path))
			return true;
	return !json_len(o->anonymous_paths);
}

static bool await(void *arg, struct http_request *r, void (*fn)(void *arg), void *fn_arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct authn *self = arg;
	const unsigned char *der;
	size_t len;

	if (!self->oidc || http_peer_rejected(r) || http_peer_cert(r, &der, &len))
		return false;
	const char *token = bearer_token(r, &a);
	return !str_empty(token) && oidc_await(self->oidc, token, fn, fn_arg);
}

static int authenticate(void *arg, struct http_request *r, struct arena *a, struct user *ret, struct status *err)
{
	const unsigned char *der;
	size_t len;

	/* One that was shown and is not ours is an error, not the absence of one. */
	if (http_peer_rejected(r))
		return unauthorized(err);
	if (http_peer_cert(r, &der, &len))
		return by_certificate(arg, der, len, a, ret, err);
	const char *token = bearer_token(r, a);
	if (!str_empty(token)) {
		_cleanup_status_ struct status why = STATUS_INIT;
		return review_token(arg, token, NULL, a, ret, NULL, &why) < 0 ? unauthorized(err) : 0;
	}
	/* Credentials that nobody here knows are a mistake, not a wish to be anonymous. */
	if (http_header(r, "authorization") || !anonymous_allowed(arg, http_path(r)))
		return unauthorized(err);
	*ret = *user_new(a, USER_ANONYMOUS, GROUP_UNAUTHENTICATED, NULL, NULL);
	return 0;
}

static const char *issuer(void *arg)
{
	return authn_issuer(arg);
}

static struct json *key_set(void *arg, struct arena *a)
{
	return authn_key_set(arg, a);
}

const struct authenticator_ops authn_ops = {
    .authenticate = authenticate,
    .await = await,
    .review_token = review_token,
    .issue_token = authn_issue_token,
    .issuer = issuer,
    .key_set = key_set,
};
