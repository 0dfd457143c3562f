/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authority of the API server's own certificate as a ClusterTrustBundle, for pods that mount it by signer:
 * kubernetes.io:kube-apiserver-serving:HASH. Bundles of older authorities go when a new one is there.
 */
#include <openssl/evp.h>

#include "base/buf.h"
#include "controllers/controller.h"

#define SIGNER "kubernetes.io/kube-apiserver-serving"
#define PREFIX "kubernetes.io:kube-apiserver-serving:"
#define HASH_CHARS 12 /* enough to tell the few authorities of a cluster's life apart */

struct trust_bundle {
	struct client *client;
	const char *pem;
	char name[sizeof(PREFIX) + HASH_CHARS];
	struct workqueue *queue; /* of bundle names */
	struct informer *bundles;
};

static void on_created(struct sync *s, void *arg, const struct status *err, struct object *obj)
{
	(void)arg, (void)obj;
	if (err && !str_eq(err->reason, "AlreadyExists"))
		sync_fail(s, err);
}

static struct json *wanted(struct trust_bundle *c, struct arena *a)
{
	struct json *o = meta_object_new(a, "certificates.k8s.io/v1", "ClusterTrustBundle", NULL, c->name);
	struct json *spec = json_object_in(a, o, "spec");
	json_set_str(a, spec, "signerName", SIGNER);
	json_set_str(a, spec, "trustBundle", c->pem);
	return o;
}

static void sync_bundle(void *arg, struct sync *s)
{
	struct trust_bundle *c = arg;
	struct object *o = informer_get_key(c->bundles, s->key);
	if (!str_eq(s->key, c->name)) {
		if (o && informer_get_key(c->bundles, c->name))
			sync_delete(s, c->client, o, NULL, sync_ignore_missing, c);
		return;
	}
	if (!o) {
		sync_request(s, c->client,
			     &(struct client_request){.verb = CLIENT_CREATE,
						      .resource = informer_resource(c->bundles),
						      .body = wanted(c, &s->arena)},
			     on_created, c);
		return;
	}
	struct json *tree = object_tree(o, &s->arena);
	if (str_eq(json_path_str(tree, "spec.trustBundle"), c->pem))
		return;
	json_set_str(&s->arena, json_get(tree, "spec"), "trustBundle", c->pem);
	sync_patch(s, c->client, o, tree, NULL, true, sync_ignore_missing, c);
}

static void changed(void *arg, struct object *o)
{
	struct trust_bundle *c = arg;
	if (!str_has_prefix(o->name, PREFIX))
		return;
	workqueue_add(c->queue, o->name);
}

static void updated(void *arg, struct object *old, struct object *o)
{
	(void)old;
	changed(arg, o);
}

static void *start(const struct controller_env *e)
{
	if (!e->config->root_ca_pem)
		return NULL;
	struct trust_bundle *c = NEW(struct trust_bundle);
	_cleanup_buf_ struct buf hex = BUF_INIT;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	c->client = e->client;
	c->pem = e->config->root_ca_pem;
	EVP_Digest(c->pem, strlen(c->pem), digest, &len, EVP_sha256(), NULL);
	hex_encode(&hex, digest, HASH_CHARS / 2);
	memcpy(c->name, PREFIX, sizeof(PREFIX));
	strncat(c->name, buf_str(&hex), HASH_CHARS);
	c->queue = controller_queue(e, "trust-bundle", sync_bundle, c);
	c->bundles = controller_watch(
	    e, "certificates.k8s.io", "clustertrustbundles",
	    &(struct informer_handlers){.on_add = changed, .on_update = updated, .on_delete = changed, .arg = c});
	workqueue_add(c->queue, c->name);
	return c;
}

const struct controller_ops trust_bundle_controller = {
    .name = "kube-apiserver-serving-clustertrustbundle-publisher-controller",
    .start = start,
    .stop = free,
};
