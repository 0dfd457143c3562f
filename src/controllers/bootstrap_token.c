/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bootstrap tokens (Kubernetes documentation, "Authenticating with Bootstrap Tokens"): Secrets of kube-system that let
 * a new node in. Those of usage-bootstrap-signing sign the kubeconfig in ConfigMap kube-public/cluster-info, a detached
 * JWS (RFC 7515, appendix F) with HS256 for each token; those that have expired are deleted.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buf.h"
#include "controllers/controller.h"

#define TOKEN_TYPE "bootstrap.kubernetes.io/token"
#define TOKEN_PREFIX "bootstrap-token-"
#define TOKEN_NS "kube-system"
#define INFO_NS "kube-public"
#define INFO_NAME "cluster-info"
#define SIGNATURE_PREFIX "jws-kubeconfig-"

struct bootstrap_tokens {
	struct client *client;
	struct workqueue *signing;  /* of INFO_NAME alone */
	struct workqueue *expiring; /* of token secrets */
	struct informer *secrets, *maps;
};

static bool is_token(const struct object *o)
{
	return str_eq(o->ns, TOKEN_NS) && str_has_prefix(o->name, TOKEN_PREFIX);
}

/* A value of the secret as text in a; "" when absent or binary. */
static const char *value(struct arena *a, const struct json *secret, const char *key)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *text = json_path_str(json_get(secret, "data"), key);
	if (!text || base64_decode(&b, text, strlen(text)) < 0 || memchr(b.data ? b.data : "", 0, b.len))
		return "";
	return arena_strdup(a, buf_str(&b));
}

/* When it expires; INT64_MAX: never. What cannot be read has expired: nobody is let in by a mistake. */
static int64_t expires_ns(struct arena *a, const struct json *secret)
{
	const char *text = value(a, secret, "expiration");
	int64_t at = 0;
	if (!json_path_str(json_get(secret, "data"), "expiration"))
		return INT64_MAX;
	return time_parse(text, &at) < 0 ? 0 : at;
}

/* ---- expiry ---- */

static void sync_token(void *arg, struct sync *s)
{
	struct bootstrap_tokens *c = arg;
	struct object *o = informer_get_key(c->secrets, s->key);
	if (!o || o->deleting)
		return;
	struct json *secret = object_tree(o, &s->arena);
	if (!str_eq(json_path_str(secret, "type"), TOKEN_TYPE))
		return;
	int64_t at = expires_ns(&s->arena, secret);
	if (at == INT64_MAX)
		return;
	int64_t left_ms = (at - now_ns()) / 1000000;
	if (left_ms > 0)
		workqueue_add_after(c->expiring, s->key, left_ms + 1);
	else
		sync_delete(s, c->client, o, NULL, sync_ignore_missing, c);
}

/* ---- signatures ---- */

static const char *signature(struct arena *a, const char *id, const char *secret, const char *content)
{
	_cleanup_buf_ struct buf head = BUF_INIT, input = BUF_INIT;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned mac_len = 0;
	char *text = arena_printf(a, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", id);

	base64url_encode(&head, text, strlen(text));
	buf_adds(&input, buf_str(&head));
	buf_addc(&input, '.');
	base64url_encode(&input, content, strlen(content));
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)input.data, input.len, mac, &mac_len);
	buf_adds(&head, "..");
	base64url_encode(&head, mac, mac_len);
	return arena_strdup(a, buf_str(&head));
}

struct signing {
	struct bootstrap_tokens *c;
	struct arena *a;
	struct json *data; /* of the map, being made */
	const char *content;
};

static bool id_is_fine(const char *id)
{
	return strlen(id) == 6 && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") == 6;
}

static bool add_signature(void *arg, struct object *o)
{
	struct signing *s = arg;
	if (!is_token(o) || o->deleting)
		return true;
	struct json *secret = object_tree(o, s->a);
	const char *id = value(s->a, secret, "token-id"), *key = value(s->a, secret, "token-secret");
	bool signs = str_eq(json_path_str(secret, "type"), TOKEN_TYPE) &&
		     str_eq(value(s->a, secret, "usage-bootstrap-signing"), "true") &&
		     str_eq(o->name + strlen(TOKEN_PREFIX), id) && id_is_fine(id) && *key &&
		     expires_ns(s->a, secret) > now_ns();
	if (signs)
		json_set_str(s->a, s->data, arena_printf(s->a, SIGNATURE_PREFIX "%s", id),
			     signature(s->a, id, key, s->content));
	return true;
}

static void sync_info(void *arg, struct sync *s)
{
	struct bootstrap_tokens *c = arg;
	struct arena *a = &s->arena;
	struct object *map = informer_get(c->maps, INFO_NS, INFO_NAME);
	if (!map || map->deleting)
		return;
	struct json *tree = object_tree(map, a), *was = json_get(tree, "data");
	const char *content = json_path_str(was, "kubeconfig");
	if (!content)
		return;
	struct json *data = json_new(a, JSON_OBJECT);
	JSON_EACH(v, was)
		if (!str_has_prefix(v->key, SIGNATURE_PREFIX))
			json_set(a, data, v->key, json_clone(a, v));
	struct signing signing = {c, a, data, content};
	informer_each(c->secrets, add_signature, &signing);
	if (json_equal(was, data))
		return;
	json_set(a, tree, "data", data);
	sync_patch(s, c->client, map, tree, NULL, true, sync_ignore_missing, c);
}

/* ---- events ---- */

static void token_changed(void *arg, struct object *o)
{
	struct bootstrap_tokens *c = arg;
	if (!is_token(o))
		return;
	workqueue_add_object(c->expiring, o);
	workqueue_add(c->signing, INFO_NAME);
}

static void token_updated(void *arg, struct object *old, struct object *o)
{
	(void)old;
	token_changed(arg, o);
}

static void map_changed(void *arg, struct object *o)
{
	struct bootstrap_tokens *c = arg;
	if (str_eq(o->ns, INFO_NS) && str_eq(o->name, INFO_NAME))
		workqueue_add(c->signing, INFO_NAME);
}

static void map_updated(void *arg, struct object *old, struct object *o)
{
	(void)old;
	map_changed(arg, o);
}

static void *start(const struct controller_env *e)
{
	struct bootstrap_tokens *c = NEW(struct bootstrap_tokens);
	c->client = e->client;
	c->signing = controller_queue(e, "bootstrap-signer", sync_info, c);
	c->expiring = controller_queue(e, "token-cleaner", sync_token, c);
	c->secrets = controller_watch(e, "", "secrets", NULL);
	c->maps = controller_watch(e, "", "configmaps", NULL);
	controller_watch(
	    e, "", "secrets",
	    &(struct informer_handlers){
		.on_add = token_changed, .on_update = token_updated, .on_delete = token_changed, .arg = c});
	controller_watch(e, "", "configmaps",
			 &(struct informer_handlers){.on_add = map_changed, .on_update = map_updated, .arg = c});
	return c;
}

const struct controller_ops bootstrap_token_controller = {
    .name = "bootstrap-signer-controller",
    .start = start,
    .stop = free,
};
