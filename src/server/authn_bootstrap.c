/* SPDX-License-Identifier: Apache-2.0 */
/* Bootstrap tokens, "abcdef.0123456789abcdef": Secrets bootstrap-token-ID of kube-system, for nodes that join. */
#include <string.h>

#include <openssl/crypto.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/status.h"
#include "base/str.h"
#include "server/authn_internal.h"

#define ID_LEN 6
#define SECRET_LEN 16
#define TOKEN_TYPE "bootstrap.kubernetes.io/token"
#define GROUP "system:bootstrappers"
#define GROUPS_MAX 32 /* of one token, besides GROUP */

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";

static const char *value(struct arena *a, const struct json *secret, const char *key)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *text = json_str(json_get(json_get(secret, "data"), key));

	if (!text || base64_decode(&b, text, strlen(text)) < 0 || (b.len && memchr(b.data, 0, b.len)))
		return "";
	return arena_strdup(a, buf_str(&b));
}

/* system:bootstrappers:NAME; nothing else can be given by a token. */
static bool group_is_fine(const char *group)
{
	const char *rest = str_after(group, GROUP ":");
	size_t n = rest ? strlen(rest) : 0;

	return n > 0 && n <= 256 && strspn(rest, "abcdefghijklmnopqrstuvwxyz0123456789:-") == n &&
	       strchr(alphabet, rest[n - 1]);
}

/* -1: one of them is not a bootstrap group. */
static int read_groups(struct arena *a, const char *extra, struct user *ret)
{
	const char **groups = arena_zalloc(a, (GROUPS_MAX + 2) * sizeof(*groups));
	size_t n = 0;

	groups[n++] = GROUP;
	for (const char *at = extra; *at;) {
		size_t len = strcspn(at, ",");
		char *group = arena_strndup(a, at, len);
		if (len && (!group_is_fine(group) || n > GROUPS_MAX))
			return -1;
		if (len)
			groups[n++] = group;
		at += len + (at[len] == ',');
	}
	groups[n++] = GROUP_AUTHENTICATED;
	ret->groups = groups;
	ret->n_groups = n;
	return 0;
}

static bool expired(struct arena *a, const struct json *secret)
{
	int64_t at = 0;

	if (!json_get(json_get(secret, "data"), "expiration"))
		return false;
	return time_parse(value(a, secret, "expiration"), &at) < 0 || at <= now_ns();
}

int authn_bootstrap_token(const struct authn *self, const char *token, struct arena *a, struct user *ret,
			  struct status *err)
{
	if (strlen(token) != ID_LEN + 1 + SECRET_LEN || token[ID_LEN] != '.' || strspn(token, alphabet) != ID_LEN ||
	    strspn(token + ID_LEN + 1, alphabet) != SECRET_LEN)
		return 0;
	const char *id = arena_strndup(a, token, ID_LEN), *given = token + ID_LEN + 1;
	struct object *o = authn_object(self, "secrets", "kube-system", arena_printf(a, "bootstrap-token-%s", id));
	const struct json *secret = o && !o->deleting ? object_tree(o, a) : NULL;
	/* Compared whether or not there is one, so that time tells nothing of which ids exist. */
	const char *kept = secret ? value(a, secret, "token-secret") : "";
	bool same = strlen(kept) == SECRET_LEN && CRYPTO_memcmp(kept, given, SECRET_LEN) == 0;
	struct user u = {.name = arena_printf(a, "system:bootstrap:%s", id)};
	if (!secret || !same || !str_eq(json_path_str(secret, "type"), TOKEN_TYPE) ||
	    !str_eq(value(a, secret, "token-id"), id) || expired(a, secret) ||
	    !str_eq(value(a, secret, "usage-bootstrap-authentication"), "true") ||
	    read_groups(a, value(a, secret, "auth-extra-groups"), &u) < 0)
		return status_set(err, 401, "invalid bearer token");
	*ret = u;
	return 1;
}
