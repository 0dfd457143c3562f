/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificate requests of the built-in signers: those of nodes for themselves are approved when an access review says
 * so (certificatesigningrequests/nodeclient, selfnodeclient), approved ones are signed, and all are removed in time.
 */
#include "api/csr.h"
#include "base/buf.h"
#include "controllers/controller.h"

#define HOUR_NS (3600LL * 1000000000)
#define KEPT_DECIDED_NS HOUR_NS	       /* after approval with certificate, denial or failure: upstream's numbers */
#define KEPT_PENDING_NS (24 * HOUR_NS) /* without an answer */

struct certificates {
	struct client *client;
	const struct certificate_authority *ca;
	struct workqueue *queue; /* of request names */
	struct informer *requests;
};

/* ---- what one request is ---- */

static const struct json *true_condition(const struct json *csr, const char *type)
{
	const struct json *c = meta_condition(csr, type);
	return c && !str_eq(json_path_str(c, "status"), "False") ? c : NULL;
}

static bool has_certificate(const struct json *csr)
{
	return !str_empty(json_path_str(csr, "status.certificate"));
}

/* When it is to be removed. */
static int64_t expires_ns(const struct json *csr)
{
	static const char *const decided[] = {"Denied", "Failed", "Approved"};

	for (size_t i = 0; i < ARRAY_SIZE(decided); i++) {
		const struct json *c = true_condition(csr, decided[i]);
		int64_t at = 0;
		if (!c || (i == 2 && !has_certificate(csr)))
			continue;
		if (time_parse(str_or(json_path_str(c, "lastUpdateTime"), ""), &at) == 0)
			return at + KEPT_DECIDED_NS;
	}
	return meta_created_ns(csr) + KEPT_PENDING_NS;
}

static int facts_of(const struct certificates *c, struct sync *s, const struct json *csr, struct csr_facts *ret)
{
	const char *request = json_path_str(csr, "spec.request");
	return request ? c->ca->facts(c->ca->self, request, &s->arena, ret) : -1;
}

/* ---- approving ---- */

static void add_condition(struct arena *a, struct json *csr, const char *type, const char *reason, const char *message)
{
	struct json *list = json_array_in(a, json_object_in(a, csr, "status"), "conditions");
	struct json *c = json_append(list, json_new(a, JSON_OBJECT));
	char text[TIME_RFC3339_MAX];

	json_set_str(a, c, "type", type);
	json_set_str(a, c, "status", "True");
	json_set_str(a, c, "reason", reason);
	json_set_str(a, c, "message", message);
	json_set_str(a, c, "lastUpdateTime", time_format(now_ns(), text));
}

static void write_status(struct certificates *c, struct sync *s, struct json *csr, const char *subresource)
{
	sync_request(s, c->client,
		     &(struct client_request){.verb = CLIENT_UPDATE,
					      .resource = informer_resource(c->requests),
					      .name = s->key,
					      .subresource = subresource,
					      .body = csr},
		     sync_ignore_missing, c);
}

static const struct {
	const char *subresource, *message;
} recognizers[] = {
    {"selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."},
    {"nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."},
};

static void ask(struct certificates *c, struct sync *s, const struct json *csr, size_t which);

static bool is_self(const struct json *csr, const struct csr_facts *f)
{
	return str_eq(json_path_str(csr, "spec.username"), f->common_name);
}

static void on_review(struct certificates *c, struct sync *s, const struct status *err, struct object *review,
		      size_t which)
{
	struct object *o = sync_stopped(s) ? NULL : informer_get_key(c->requests, s->key);

	if (err) {
		sync_fail(s, err);
		return;
	}
	if (!o || !review)
		return;
	struct json *csr = object_tree(o, &s->arena);
	if (json_path_bool(object_tree(review, &s->arena), "status.allowed", false)) {
		add_condition(&s->arena, csr, "Approved", "AutoApproved", recognizers[which].message);
		write_status(c, s, csr, "approval");
	} else if (which + 1 < ARRAY_SIZE(recognizers)) {
		ask(c, s, csr, which + 1);
	}
}

static void on_self_review(struct sync *s, void *arg, const struct status *err, struct object *review)
{
	on_review(arg, s, err, review, 0);
}

static void on_other_review(struct sync *s, void *arg, const struct status *err, struct object *review)
{
	on_review(arg, s, err, review, 1);
}

/* May the requester create certificatesigningrequests/SUBRESOURCE? */
static void ask(struct certificates *c, struct sync *s, const struct json *csr, size_t which)
{
	static const char *const copied[][2] = {
	    {"username", "user"}, {"uid", "uid"}, {"groups", "groups"}, {"extra", "extra"}};
	struct arena *a = &s->arena;
	struct json *review = meta_object_new(a, "authorization.k8s.io/v1", "SubjectAccessReview", NULL, NULL);
	struct json *spec = json_object_in(a, review, "spec"), *what = json_object_in(a, spec, "resourceAttributes");

	for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
		const struct json *v = json_get(json_get(csr, "spec"), copied[i][0]);
		if (v)
			json_set(a, spec, copied[i][1], json_clone(a, v));
	}
	json_set_str(a, what, "group", "certificates.k8s.io");
	json_set_str(a, what, "resource", "certificatesigningrequests");
	json_set_str(a, what, "verb", "create");
	json_set_str(a, what, "version", "*");
	json_set_str(a, what, "subresource", recognizers[which].subresource);
	sync_request(
	    s, c->client,
	    &(struct client_request){.verb = CLIENT_CREATE,
				     .resource = resource_by_plural("authorization.k8s.io", "subjectaccessreviews"),
				     .body = review},
	    which ? on_other_review : on_self_review, c);
}

static void approve(struct certificates *c, struct sync *s, const struct json *csr)
{
	struct csr_facts f;

	if (str_eq(json_path_str(csr, "spec.signerName"), SIGNER_KUBELET_CLIENT) && facts_of(c, s, csr, &f) == 0 &&
	    !csr_refusal(SIGNER_KUBELET_CLIENT, &f, json_path(csr, "spec.usages")))
		ask(c, s, csr, is_self(csr, &f) ? 0 : 1);
}

/* ---- signing ---- */

static void sign(struct certificates *c, struct sync *s, struct json *csr)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *signer = json_path_str(csr, "spec.signerName");
	struct csr_facts f;
	char *pem;

	if (!csr_signer_known(signer))
		return;
	const char *why = facts_of(c, s, csr, &f) < 0 ? "the certificate request cannot be read"
						      : csr_refusal(signer, &f, json_path(csr, "spec.usages"));
	if (why) {
		add_condition(&s->arena, csr, "Failed", "SignerValidationFailure", why);
	} else if (c->ca->sign(c->ca->self, json_path_str(csr, "spec.request"), json_path(csr, "spec.usages"),
			       json_path_int(csr, "spec.expirationSeconds", 0), &s->arena, &pem, &err) < 0) {
		sync_fail(s, &err);
		return;
	} else {
		base64_encode(&text, pem, strlen(pem));
		json_set_str(&s->arena, json_object_in(&s->arena, csr, "status"), "certificate", buf_str(&text));
	}
	write_status(c, s, csr, "status");
}

/* ---- all ---- */

static void sync_one(void *arg, struct sync *s)
{
	struct certificates *c = arg;
	struct object *o = informer_get_key(c->requests, s->key);
	if (!o || o->deleting)
		return;
	struct json *csr = object_tree(o, &s->arena);
	int64_t left_ns = expires_ns(csr) - now_ns();
	if (left_ns <= 0) {
		sync_delete(s, c->client, o, NULL, NULL, NULL);
		return;
	}
	workqueue_add_after(c->queue, s->key, left_ns / 1000000 + 1);
	bool decided = true_condition(csr, "Denied") || true_condition(csr, "Failed") || has_certificate(csr);
	if (decided)
		return;
	if (true_condition(csr, "Approved"))
		sign(c, s, csr);
	else
		approve(c, s, csr);
}

static void *start(const struct controller_env *e)
{
	if (!e->config->ca)
		return NULL;
	struct certificates *c = NEW(struct certificates);
	c->client = e->client;
	c->ca = e->config->ca;
	c->queue = controller_queue(e, "certificates", sync_one, c);
	struct informer_handlers h = enqueue_handlers(c->queue);
	c->requests = controller_watch(e, "certificates.k8s.io", "certificatesigningrequests", &h);
	return c;
}

const struct controller_ops certificates_controller = {
    .name = "certificate-controller",
    .start = start,
    .stop = free,
};
