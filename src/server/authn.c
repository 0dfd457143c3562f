/* SPDX-License-Identifier: Apache-2.0 */
#include "server/authn.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
#include "server/jwt.h"
#include "server/pki.h"
#include "store/store.h"

#define GROUP_SERVICE_ACCOUNTS "system:serviceaccounts"

#define CERTS_CACHED 256 /* a power of two; one entry a client certificate, a few kB each */

/* What a certificate says: parsing one costs more than answering most requests. */
struct cert {
	unsigned char *der;
	size_t len;
	char *name, **groups; /* groups ends with NULL */
};

struct authn {
	struct pki *pki;
	struct store *store;
	char *issuer;
	struct cert certs[CERTS_CACHED]; /* by hash; a newcomer takes the place */
};

struct authn *authn_new(const struct authn_config *c)
{
	struct authn *a = NEW(struct authn);

	a->pki = c->pki;
	a->store = c->store;
	a->issuer = xstrdup(c->issuer);
	return a;
}

static void cert_release(struct cert *c)
{
	for (char **g = c->groups; g && *g; g++)
		free(*g);
	free(c->groups);
	free(c->name);
	free(c->der);
	*c = (struct cert){0};
}

void authn_free(struct authn *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < CERTS_CACHED; i++)
		cert_release(&a->certs[i]);
	free(a->issuer);
	free(a);
}

const char *authn_issuer(const struct authn *a)
{
	return a->issuer;
}

struct json *authn_key_set(const struct authn *a, struct arena *arena)
{
	return jwt_key_set(arena, pki_token_key(a->pki));
}

static int unauthorized(struct status *err)
{
	return status_set(err, 401, "Unauthorized");
}

/* ---- client certificates ---- */

static const struct cert *find_cert(struct authn *self, const unsigned char *der, size_t len)
{
	struct cert *c = &self->certs[hash_bytes(der, len) & (CERTS_CACHED - 1)];
	char *name, **groups;

	if (c->der && c->len == len && memcmp(c->der, der, len) == 0)
		return c;
	if (pki_subject(der, len, &name, &groups) < 0)
		return NULL;
	cert_release(c);
	*c = (struct cert){xmemdup(der, len), len, name, groups};
	return c;
}

static int by_certificate(struct authn *self, const unsigned char *der, size_t len, struct arena *a, struct user *ret,
			  struct status *err)
{
	const struct cert *c = find_cert(self, der, len);
	size_t n = 0;

	if (!c)
		return unauthorized(err);
	while (c->groups[n])
		n++;
	const char **groups = arena_alloc(a, (n + 1) * sizeof(*groups));
	for (size_t i = 0; i < n; i++)
		groups[i] = arena_strdup(a, c->groups[i]);
	groups[n] = GROUP_AUTHENTICATED;
	*ret = (struct user){.name = arena_strdup(a, c->name), .groups = groups, .n_groups = n + 1};
	return 0;
}

/* ---- service account tokens ---- */

/* The object that a token speaks of is still there, with the same uid. */
static bool lives(const struct authn *self, const char *plural, const char *ns, const char *name, const char *uid)
{
	const struct resource *r = resource_by_plural("", plural);
	_cleanup_buf_ struct buf key = BUF_INIT;

	if (!r || str_empty(name) || str_empty(uid))
		return false;
	resource_key(r, ns, name, &key);
	struct object *o = store_get(self->store, buf_str(&key));
	return o && str_eq(o->uid, uid);
}

static bool bound_objects_live(const struct authn *self, const struct json *private, const char *ns)
{
	static const struct {
		const char *claim, *plural;
		bool namespaced;
	} kinds[] = {{"pod", "pods", true}, {"secret", "secrets", true}, {"node", "nodes", false}};
	bool by_pod = json_get(private, "pod") != NULL;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *ref = json_get(private, kinds[i].claim);
		if (!ref || (by_pod && !kinds[i].namespaced))
			continue; /* the node of a pod-bound token is information only */
		if (!lives(self, kinds[i].plural, kinds[i].namespaced ? ns : "", json_path_str(ref, "name"),
			   json_path_str(ref, "uid")))
			return false;
	}
	return true;
}

static bool has_audience(const struct json *claims, const char *audience)
{
	const struct json *aud = json_get(claims, "aud");

	if (json_is(aud, JSON_STRING))
		return str_eq(json_str(aud), audience);
	JSON_EACH(x, aud)
		if (str_eq(json_str(x), audience))
			return true;
	return false;
}

/* The audiences that the token and the wish have in common; without a wish, the server's own. NULL: none. */
static struct json *common_audiences(const struct authn *self, const struct json *claims, const struct json *wanted,
				     struct arena *a)
{
	struct json *common = json_new(a, JSON_ARRAY);

	if (!json_len(wanted)) {
		if (!has_audience(claims, self->issuer))
			return NULL;
		json_append(common, json_new_str(a, self->issuer));
		return common;
	}
	JSON_EACH(w, wanted)
		if (json_str(w) && has_audience(claims, json_str(w)))
			json_append(common, json_new_str(a, json_str(w)));
	return json_len(common) ? common : NULL;
}

static void add_extra(struct arena *a, struct user_extra *extra, size_t *n, const char *key, const char *value)
{
	if (str_empty(value))
		return;
	const char **values = arena_alloc(a, sizeof(*values));
	values[0] = value;
	extra[(*n)++] = (struct user_extra){.key = key, .values = values, .n_values = 1};
}

static void fill_account(struct arena *a, const struct json *claims, const char *ns, const char *name, struct user *ret)
{
	const struct json *private = json_get(claims, "kubernetes.io");
	const char **groups = arena_alloc(a, 3 * sizeof(*groups));
	struct user_extra *extra = arena_zalloc(a, 5 * sizeof(*extra));
	size_t n = 0;

	groups[0] = GROUP_SERVICE_ACCOUNTS;
	groups[1] = arena_printf(a, "%s:%s", GROUP_SERVICE_ACCOUNTS, ns);
	groups[2] = GROUP_AUTHENTICATED;
	const char *jti = json_path_str(claims, "jti");
	add_extra(a, extra, &n, "authentication.kubernetes.io/credential-id",
		  jti ? arena_printf(a, "JTI=%s", jti) : NULL);
	add_extra(a, extra, &n, "authentication.kubernetes.io/node-name", json_path_str(private, "node.name"));
	add_extra(a, extra, &n, "authentication.kubernetes.io/node-uid", json_path_str(private, "node.uid"));
	add_extra(a, extra, &n, "authentication.kubernetes.io/pod-name", json_path_str(private, "pod.name"));
	add_extra(a, extra, &n, "authentication.kubernetes.io/pod-uid", json_path_str(private, "pod.uid"));
	*ret = (struct user){.name = arena_printf(a, "system:serviceaccount:%s:%s", ns, name),
			     .uid = json_path_str(private, "serviceaccount.uid"),
			     .groups = groups,
			     .n_groups = 3,
			     .extra = extra,
			     .n_extra = n};
}

static int review_token(void *arg, const char *token, const struct json *audiences, struct arena *a, struct user *ret,
			struct json **ret_audiences, struct status *err)
{
	const struct authn *self = arg;
	struct json *claims;

	if (jwt_verify(a, pki_token_key(self->pki), token, &claims) < 0 ||
	    !str_eq(json_path_str(claims, "iss"), self->issuer))
		return status_set(err, 401, "invalid bearer token");
	int64_t now = now_s();
	if (now >= json_path_int(claims, "exp", 0))
		return status_set(err, 401, "service account token has expired");
	if (now < json_path_int(claims, "nbf", INT64_MAX) - 60) /* a minute of clock skew between servers */
		return status_set(err, 401, "service account token is not valid yet");
	struct json *common = common_audiences(self, claims, audiences, a);
	if (!common)
		return status_set(err, 401, "token audiences are not among those asked for");
	const struct json *private = json_get(claims, "kubernetes.io");
	const char *ns = json_path_str(private, "namespace"), *name = json_path_str(private, "serviceaccount.name");
	if (!ns || !lives(self, "serviceaccounts", ns, name, json_path_str(private, "serviceaccount.uid")))
		return status_set(err, 401, "service account has been deleted");
	if (!bound_objects_live(self, private, ns))
		return status_set(err, 401, "the object that the service account token is bound to has been deleted");
	fill_account(a, claims, ns, name, ret);
	if (ret_audiences)
		*ret_audiences = common;
	return 0;
}

static void set_ref(struct arena *a, struct json *private, const char *claim, const char *name, const char *uid)
{
	if (str_empty(name))
		return;
	struct json *ref = json_object_in(a, private, claim);
	json_set_str(a, ref, "name", name);
	json_set_str(a, ref, "uid", str_or(uid, ""));
}

static int issue_token(void *arg, const struct token_spec *spec, struct arena *a, char **ret_token,
		       int64_t *ret_expires_s, struct status *err)
{
	const struct authn *self = arg;
	struct json *claims = json_new(a, JSON_OBJECT);
	int64_t now = now_s(), life = spec->expiration_seconds ? spec->expiration_seconds : TOKEN_SECONDS_DEFAULT;
	char jti[UUID_LEN + 1];

	struct json *audiences = json_array_in(a, claims, "aud");
	for (size_t i = 0; i < spec->n_audiences; i++)
		json_append(audiences, json_new_str(a, spec->audiences[i]));
	if (!spec->n_audiences)
		json_append(audiences, json_new_str(a, self->issuer));
	uuid_make(jti);
	json_set_int(a, claims, "exp", now + life);
	json_set_int(a, claims, "iat", now);
	json_set_str(a, claims, "iss", self->issuer);
	json_set_str(a, claims, "jti", jti);
	struct json *private = json_object_in(a, claims, "kubernetes.io");
	json_set_str(a, private, "namespace", spec->ns);
	set_ref(a, private, "node", spec->node_name, spec->node_uid);
	if (spec->bound_kind)
		set_ref(a, private,
			str_eq(spec->bound_kind, "Pod")	     ? "pod"
			: str_eq(spec->bound_kind, "Secret") ? "secret"
							     : "node",
			spec->bound_name, spec->bound_uid);
	set_ref(a, private, "serviceaccount", spec->name, spec->uid);
	json_set_int(a, claims, "nbf", now);
	json_set_str(a, claims, "sub", arena_printf(a, "system:serviceaccount:%s:%s", spec->ns, spec->name));
	*ret_token = jwt_sign(a, pki_token_key(self->pki), claims);
	*ret_expires_s = now + life;
	return *ret_token ? 0 : status_set(err, 500, "the token could not be signed");
}

/* ---- requests ---- */

static bool open_to_all(const char *path)
{
	static const char *const open_paths[] = {"/healthz", "/livez", "/readyz", "/version", NULL};

	for (const char *const *p = open_paths; *p; p++) {
		const char *rest = str_after(path, *p);
		if (rest && (!*rest || *rest == '/'))
			return true;
	}
	return false;
}

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

static int authenticate(void *arg, struct http_request *r, struct arena *a, struct user *ret, struct status *err)
{
	const unsigned char *der;
	size_t len;

	if (http_peer_cert(r, &der, &len))
		return by_certificate(arg, der, len, a, ret, err);
	const char *token = bearer_token(r, a);
	if (token) {
		_cleanup_status_ struct status why = STATUS_INIT;
		return review_token(arg, token, NULL, a, ret, NULL, &why) < 0 ? unauthorized(err) : 0;
	}
	if (http_header(r, "authorization") || !open_to_all(http_path(r)))
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
    .review_token = review_token,
    .issue_token = issue_token,
    .issuer = issuer,
    .key_set = key_set,
};
