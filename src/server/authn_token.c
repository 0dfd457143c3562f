/* SPDX-License-Identifier: Apache-2.0 */
/* Service account tokens: bound ones (KEP-1205), and those that live in Secrets. */
#include <string.h>

#include <openssl/crypto.h>

#include "api/meta.h"
#include "api/object.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/status.h"
#include "base/str.h"
#include "server/authn_internal.h"
#include "server/jwt.h"
#include "server/pki.h"

#define GROUP_SERVICE_ACCOUNTS "system:serviceaccounts"

#define DELETED_LEEWAY_S 60 /* what is being deleted still works for this long beyond its time, as upstream */

static bool deleted_before(const struct object *o, int64_t s)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	int64_t at = 0;

	if (!o->deleting)
		return false;
	const char *text = json_path_str(object_tree(o, &a), "metadata.deletionTimestamp");
	return time_parse(str_or(text, ""), &at) < 0 || at / 1000000000 < s;
}

/* The object that a token speaks of is still there, with the same uid. */
static bool lives(const struct authn *self, const char *plural, const char *ns, const char *name, const char *uid)
{
	if (str_empty(name) || str_empty(uid))
		return false;
	struct object *o = authn_object(self, plural, ns, name);
	return o && str_eq(o->uid, uid) && !deleted_before(o, now_s() - DELETED_LEEWAY_S);
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

static void fill_account(struct arena *a, const char *ns, const char *name, const char *uid, struct user *ret)
{
	const char **groups = arena_alloc(a, 3 * sizeof(*groups));

	groups[0] = GROUP_SERVICE_ACCOUNTS;
	groups[1] = arena_printf(a, "%s:%s", GROUP_SERVICE_ACCOUNTS, ns);
	groups[2] = GROUP_AUTHENTICATED;
	*ret = (struct user){.name = arena_printf(a, "system:serviceaccount:%s:%s", ns, name),
			     .uid = uid,
			     .groups = groups,
			     .n_groups = 3};
}

static void fill_extra(struct arena *a, const struct json *claims, struct user *ret)
{
	static const char *const from[][2] = {{"authentication.kubernetes.io/node-name", "node.name"},
					      {"authentication.kubernetes.io/node-uid", "node.uid"},
					      {"authentication.kubernetes.io/pod-name", "pod.name"},
					      {"authentication.kubernetes.io/pod-uid", "pod.uid"}};
	const struct json *private = json_get(claims, "kubernetes.io");
	const char *jti = json_path_str(claims, "jti");

	authn_add_extra(a, ret, CREDENTIAL_ID, jti ? arena_printf(a, "JTI=%s", jti) : NULL);
	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		authn_add_extra(a, ret, from[i][0], json_path_str(private, from[i][1]));
}

/* ---- bound tokens ---- */

static int check_bound(const struct authn *self, const struct json *claims, struct arena *a, struct user *ret,
		       struct status *err)
{
	int64_t now = now_s();

	if (now >= json_path_int(claims, "exp", 0))
		return status_set(err, 401, "service account token has expired");
	if (now < json_path_int(claims, "nbf", INT64_MAX) - 60) /* a minute of clock skew between servers */
		return status_set(err, 401, "service account token is not valid yet");
	const struct json *private = json_get(claims, "kubernetes.io");
	const char *ns = json_path_str(private, "namespace"), *name = json_path_str(private, "serviceaccount.name");
	const char *uid = json_path_str(private, "serviceaccount.uid");
	if (!ns || !lives(self, "serviceaccounts", ns, name, uid))
		return status_set(err, 401, "service account %s/%s has been deleted", str_or(ns, ""), str_or(name, ""));
	if (!bound_objects_live(self, private, ns))
		return status_set(err, 401, "the object that the service account token is bound to has been deleted");
	int64_t warn_after = json_path_int(private, "warnafter", 0);
	if (warn_after && now > warn_after)
		log_debug("stale service account token account=%s/%s seconds=%lld", ns, name,
			  (long long)(now - warn_after));
	fill_account(a, ns, name, uid, ret);
	fill_extra(a, claims, ret);
	return 0;
}

/* ---- tokens in Secrets ---- */

#define LEGACY_ISSUER "kubernetes/serviceaccount"
#define LEGACY(name) "kubernetes.io/serviceaccount/" name
#define INVALID_SINCE "kubernetes.io/legacy-token-invalid-since"

static const char *claim(const struct json *claims, const char *key)
{
	return str_or(json_str(json_get(claims, key)), "");
}

/* The Secret is the token's only expiry: when it is gone, or holds another token, this one is worth nothing. */
static int check_legacy(const struct authn *self, const struct json *claims, const char *token, struct arena *a,
			struct user *ret, struct status *err)
{
	const char *ns = claim(claims, LEGACY("namespace")), *secret_name = claim(claims, LEGACY("secret.name"));
	const char *name = claim(claims, LEGACY("service-account.name")),
		   *uid = claim(claims, LEGACY("service-account.uid"));
	_cleanup_buf_ struct buf held = BUF_INIT;

	if (!*ns || !*secret_name ||
	    !str_eq(claim(claims, "sub"), arena_printf(a, "system:serviceaccount:%s:%s", ns, name)))
		return status_set(err, 401, "service account token is malformed");
	struct object *secret = authn_object(self, "secrets", ns, secret_name);
	if (!secret || secret->deleting)
		return status_set(err, 401, "Token has been invalidated");
	const struct json *tree = object_tree(secret, a);
	const char *data = json_path_str(tree, "data.token");
	if (!data || base64_decode(&held, data, strlen(data)) < 0 || held.len != strlen(token) ||
	    CRYPTO_memcmp(held.data, token, held.len) != 0)
		return status_set(err, 401, "Token does not match server's copy");
	if (meta_label(tree, INVALID_SINCE))
		return status_set(
		    err, 401,
		    "the token in secret %s/%s for service account %s/%s has been marked invalid. Use tokens "
		    "from the TokenRequest API or manually created secret-based tokens, or remove the '%s' "
		    "label from the secret to temporarily allow use of this token",
		    ns, secret_name, ns, name, INVALID_SINCE);
	if (!lives(self, "serviceaccounts", ns, name, uid))
		return status_set(err, 401, "service account %s/%s has been deleted", ns, name);
	fill_account(a, ns, name, uid, ret);
	return 0;
}

/* ---- either ---- */

int authn_account_token(const struct authn *self, const char *token, const struct json *audiences, struct arena *a,
			struct user *ret, struct json **ret_audiences, struct status *err)
{
	const struct json *peek = jwt_peek(a, token);
	const char *issuer = json_path_str(peek, "iss");
	bool legacy = str_eq(issuer, LEGACY_ISSUER);
	struct json *claims;

	if (!peek || (!legacy && !str_eq(issuer, self->issuer)))
		return 0;
	if (jwt_verify_cached(a, self->verified, pki_token_keys(self->pki), jwt_algorithms, token, &claims) < 0)
		return status_set(err, 401, "invalid bearer token");
	if (legacy && !json_get(claims, "aud")) /* these say nothing: they are the server's own */
		json_set_str(a, claims, "aud", self->issuer);
	struct json *common = common_audiences(self, claims, audiences, a);
	if (!common)
		return status_set(err, 401, "token audiences are not among those asked for");
	if ((legacy ? check_legacy(self, claims, token, a, ret, err) : check_bound(self, claims, a, ret, err)) < 0)
		return -1;
	*ret_audiences = common;
	return 1;
}

/* ---- issuing ---- */

static void set_ref(struct arena *a, struct json *private, const char *claim, const char *name, const char *uid)
{
	if (str_empty(name))
		return;
	struct json *ref = json_object_in(a, private, claim);
	json_set_str(a, ref, "name", name);
	json_set_str(a, ref, "uid", str_or(uid, ""));
}

int authn_issue_token(void *arg, const struct token_spec *spec, struct arena *a, char **ret_token,
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
	json_set_int(a, claims, "exp", now + (spec->extended ? TOKEN_SECONDS_EXTENDED : life));
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
	if (spec->extended)
		json_set_int(a, private, "warnafter", now + life);
	json_set_int(a, claims, "nbf", now);
	json_set_str(a, claims, "sub", arena_printf(a, "system:serviceaccount:%s:%s", spec->ns, spec->name));
	*ret_token = jwt_sign(a, &pki_token_keys(self->pki)->at[0], claims);
	*ret_expires_s = now + life;
	return *ret_token ? 0 : status_set(err, 500, "the token could not be signed");
}
