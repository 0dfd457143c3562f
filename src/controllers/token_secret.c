/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets of type kubernetes.io/service-account-token, made by people for programs that cannot ask for tokens: they get
 * the account's uid, a token that lasts as long as they do, the cluster's authority and the namespace. They go with
 * their account.
 */
#include "base/buf.h"
#include "controllers/controller.h"

#define TOKEN_TYPE "kubernetes.io/service-account-token"
#define ACCOUNT_NAME "kubernetes.io/service-account.name"
#define ACCOUNT_UID "kubernetes.io/service-account.uid"
#define ISSUER "kubernetes/serviceaccount" /* of these tokens; that of bound ones is the API server's */

struct token_secrets {
	struct client *client;
	const struct token_signer *signer;
	const char *ca_pem;
	struct workqueue *queue; /* of secrets */
	struct informer *secrets, *accounts;
};

static void set_data(struct arena *a, struct json *secret, const char *key, const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	base64_encode(&b, text, strlen(text));
	json_set_str(a, json_object_in(a, secret, "data"), key, buf_str(&b));
}

static char *make_token(struct token_secrets *c, struct arena *a, const struct object *secret,
			const struct object *account)
{
	struct json *claims = json_new(a, JSON_OBJECT);
	json_set_str(a, claims, "iss", ISSUER);
	json_set_str(a, claims, "kubernetes.io/serviceaccount/namespace", secret->ns);
	json_set_str(a, claims, "kubernetes.io/serviceaccount/secret.name", secret->name);
	json_set_str(a, claims, "kubernetes.io/serviceaccount/service-account.name", account->name);
	json_set_str(a, claims, "kubernetes.io/serviceaccount/service-account.uid", account->uid);
	json_set_str(a, claims, "sub", arena_printf(a, "system:serviceaccount:%s:%s", account->ns, account->name));
	return c->signer->sign(c->signer->self, a, claims);
}

static void sync_secret(void *arg, struct sync *s)
{
	struct token_secrets *c = arg;
	struct arena *a = &s->arena;
	struct object *o = informer_get_key(c->secrets, s->key);
	if (!o || o->deleting)
		return;
	struct json *secret = object_tree(o, a);
	const char *name = meta_annotation(secret, ACCOUNT_NAME), *uid = meta_annotation(secret, ACCOUNT_UID);
	if (!str_eq(json_path_str(secret, "type"), TOKEN_TYPE) || str_empty(name))
		return;
	struct object *account = informer_get(c->accounts, o->ns, name);
	if (!account || (!str_empty(uid) && !str_eq(uid, account->uid))) {
		sync_delete(s, c->client, o, NULL, sync_ignore_missing, c);
		return;
	}
	const struct json *data = json_get(secret, "data");
	bool complete =
	    !str_empty(uid) && json_get(data, "token") && json_get(data, "ca.crt") && json_get(data, "namespace");
	if (complete)
		return;
	meta_set_annotation(a, secret, ACCOUNT_UID, account->uid);
	set_data(a, secret, "namespace", o->ns);
	set_data(a, secret, "ca.crt", c->ca_pem);
	if (!json_get(data, "token")) {
		char *token = make_token(c, a, o, account);
		if (!token) {
			sync_failf(s, "the token could not be signed");
			return;
		}
		set_data(a, secret, "token", token);
	}
	sync_patch(s, c->client, o, secret, NULL, true, sync_ignore_missing, c);
}

static void account_changed(void *arg, struct object *account)
{
	struct token_secrets *c = arg;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct object_list list = informer_by_index(c->secrets, &a, index_namespace, account->ns);
	for (size_t i = 0; i < list.n; i++) {
		const char *type = object_field(list.at[i], "type");
		if (str_eq(type, TOKEN_TYPE))
			workqueue_add_object(c->queue, list.at[i]);
	}
}

static void *start(const struct controller_env *e)
{
	if (!e->config->token_signer || !e->config->root_ca_pem)
		return NULL;
	struct token_secrets *c = NEW(struct token_secrets);
	c->client = e->client;
	c->signer = e->config->token_signer;
	c->ca_pem = e->config->root_ca_pem;
	c->queue = controller_queue(e, "token-secret", sync_secret, c);
	struct informer_handlers h = enqueue_handlers(c->queue);
	c->secrets = controller_watch(e, "", "secrets", &h);
	c->accounts = controller_watch(
	    e, "", "serviceaccounts",
	    &(struct informer_handlers){.on_add = account_changed, .on_delete = account_changed, .arg = c});
	return c;
}

const struct controller_ops token_secret_controller = {
    .name = "serviceaccount-token-controller",
    .start = start,
    .stop = free,
};
