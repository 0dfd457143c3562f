/* SPDX-License-Identifier: Apache-2.0 */
#include "node/kubelet_api.h"

#include <errno.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "http/server.h"
#include "io/tls.h"
#include "node/agent_internal.h"
#include "node/kubelet_internal.h"
#include "node/pod.h"

#define NAME_SHOWN_MAX 256 /* of a certificate's subject: RFC 5280 allows 64 characters of at most 4 bytes */

/* ---- who may ---- */

static bool entry_is(X509_NAME_ENTRY *e, const char *const *allowed)
{
	unsigned char *text = NULL;
	int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(e));
	bool is = false;

	for (; len > 0 && len < NAME_SHOWN_MAX && *allowed; allowed++)
		is |= strlen(*allowed) == (size_t)len && memcmp(text, *allowed, (size_t)len) == 0;
	OPENSSL_free(text);
	return is;
}

/* TLS has verified the chain; here it is only asked whose certificate it is. */
static bool may_enter(const unsigned char *der, size_t len)
{
	static const char *const groups[] = {"system:masters", NULL};
	static const char *const names[] = {"kube-apiserver-kubelet-client", "kube-apiserver", "system:kube-apiserver",
					    NULL};
	X509 *cert = d2i_X509(NULL, &der, (long)len);
	X509_NAME *subject = cert ? X509_get_subject_name(cert) : NULL;
	bool may = false;

	for (int i = 0; subject && i < X509_NAME_entry_count(subject); i++) {
		X509_NAME_ENTRY *e = X509_NAME_get_entry(subject, i);
		int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(e));

		may |= (nid == NID_organizationName && entry_is(e, groups)) ||
		       (nid == NID_commonName && entry_is(e, names));
	}
	X509_free(cert);
	return may;
}

static bool let_in(struct http_request *r)
{
	const unsigned char *der;
	size_t len;

	if (!http_peer_cert(r, &der, &len)) {
		kubelet_failf(r, 401, "Unauthorized");
		return false;
	}
	if (!may_enter(der, len)) {
		kubelet_failf(r, 403, "Forbidden: the certificate's user may not use the node's API");
		return false;
	}
	return true;
}

/* ---- answers ---- */

void kubelet_fail(struct http_request *r, const struct status *err)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	status_write_json(err, &out);
	http_reply(r, err->code, "application/json", buf_str(&out), out.len);
}

void kubelet_failf(struct http_request *r, int code, const char *fmt, ...)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	status_set(&err, code, "%s", text);
	kubelet_fail(r, &err);
}

struct pod *kubelet_find_pod(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *p)
{
	struct pod *found = NULL;

	MAP_EACH(slot, &k->agent->pods) {
		struct pod *pod = slot->value;

		if (!str_eq(pod->ns, p->ns) || !str_eq(pod->name, p->pod) || (p->uid && !str_eq(pod->uid, p->uid)))
			continue;
		if (!found || found->api_gone) /* of two with one name, the one that the API still has */
			found = pod;
	}
	if (!found)
		kubelet_failf(r, 404, "pod \"%s/%s\" not found on this node", p->ns, p->pod);
	return found;
}

struct pod_container *kubelet_find_container(struct kubelet_api *k, struct http_request *r,
					     const struct kubelet_path *p)
{
	struct pod *pod = kubelet_find_pod(k, r, p);
	struct pod_container *pc = pod ? pod_container_named(pod, p->container) : NULL;

	if (pod && !pc)
		kubelet_failf(r, 404, "container \"%s\" not found in pod \"%s\"", p->container, p->pod);
	return pc;
}

/* ---- routing ---- */

#define SEGMENTS_MAX 6

static int split_path(const char *path, struct kubelet_path *ret, bool with_container)
{
	char *segments[SEGMENTS_MAX];
	struct kubelet_path p = {.text = xstrdup(path)};
	size_t n = 0;

	for (char *s = p.text; s;) {
		char *next = strchr(s, '/');

		if (next)
			*next++ = 0;
		if (s != p.text || *s) { /* the path starts with a slash */
			if (n == SEGMENTS_MAX || percent_decode(s, false) < 0) {
				free(p.text);
				return -EINVAL;
			}
			segments[n++] = s;
		}
		s = next;
	}
	p.endpoint = n > 0 ? segments[0] : "";
	p.ns = n > 1 ? segments[1] : NULL;
	p.pod = n > 2 ? segments[2] : NULL;
	if (with_container) {
		p.uid = n == 5 ? segments[3] : NULL;
		p.container = n == 5 ? segments[4] : n == 4 ? segments[3] : NULL;
	} else {
		p.uid = n == 4 ? segments[3] : NULL;
	}
	*ret = p;
	return 0;
}

struct endpoint {
	const char *name;
	bool container; /* the path names one */
	void (*handle)(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *p);
};

static void handle_exec(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *p)
{
	kubelet_exec(k, r, p, false);
}

static void handle_attach(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *p)
{
	kubelet_exec(k, r, p, true);
}

static const struct endpoint endpoints[] = {
    {"containerLogs", true, kubelet_logs},
    {"exec", true, handle_exec},
    {"attach", true, handle_attach},
    {"run", true, kubelet_run},
    {"portForward", false, kubelet_port_forward},
};

static void route(struct kubelet_api *k, struct http_request *r)
{
	const char *path = http_path(r);

	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++) {
		const char *rest = path[0] == '/' ? str_after(path + 1, endpoints[i].name) : NULL;
		struct kubelet_path p;

		if (!rest || *rest != '/')
			continue;
		if (split_path(path, &p, endpoints[i].container) < 0) {
			kubelet_failf(r, 400, "malformed path");
			return;
		}
		if (str_empty(p.ns) || str_empty(p.pod) || (endpoints[i].container && str_empty(p.container)))
			kubelet_failf(r, 400, "the path needs a namespace, a pod%s",
				      endpoints[i].container ? " and a container" : "");
		else
			endpoints[i].handle(k, r, &p);
		free(p.text);
		return;
	}
	if (str_eq(path, "/pods") || str_eq(path, "/pods/"))
		kubelet_pods(k, r);
	else if (str_eq(path, "/stats/summary"))
		kubelet_stats(k, r);
	else if (str_eq(path, "/metrics"))
		kubelet_metrics(k, r);
	else
		kubelet_failf(r, 404, "the node's API has no %s", path);
}

static void on_request(struct http_request *r, void *arg)
{
	struct kubelet_api *k = arg;
	const char *method = http_method(r);

	if (!str_eq(method, "GET") && !str_eq(method, "POST")) {
		kubelet_failf(r, 405, "%s is not allowed here", method);
		return;
	}
	if (!k->agent->pods_synced) { /* it cannot say yet which pods there are */
		kubelet_failf(r, 503, "the node agent has just started and is reading its pods");
		return;
	}
	if (str_eq(http_path(r), "/healthz")) {
		http_reply(r, 200, "text/plain; charset=utf-8", "ok", 2);
		return;
	}
	if (let_in(r))
		route(k, r);
}

/* ---- /pods ---- */

void kubelet_pods(struct kubelet_api *k, struct http_request *r)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	bool first = true;

	buf_adds(&out, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	MAP_EACH(slot, &k->agent->pods) {
		const struct pod *p = slot->value;

		if (!first)
			buf_addc(&out, ',');
		first = false;
		buf_add(&out, p->object->json->data, p->object->json->len);
	}
	buf_adds(&out, "]}");
	http_reply(r, 200, "application/json", buf_str(&out), out.len);
}

/* ---- life ---- */

static struct tls_config tls_config_of(const struct agent_tls *t)
{
	static const char *const alpn[] = {"h2", "http/1.1", NULL};

	return (struct tls_config){.server = true,
				   .cert_pem = t->cert_pem,
				   .key_pem = t->key_pem,
				   .ca_pem = t->client_ca_pem,
				   .request_client_cert = true,
				   .alpn = alpn};
}

int kubelet_api_new(struct agent *a, const struct agent_tls *t, struct kubelet_api **ret, char *err, size_t err_len)
{
	struct kubelet_api *k = NEW(struct kubelet_api);
	struct tls_config c = tls_config_of(t);
	int r = t->cert_pem ? tls_context_new(&c, &k->tls, err, err_len) : 0;

	if (r < 0) {
		free(k);
		return r;
	}
	k->agent = a;
	list_init(&k->followers);
	list_init(&k->sessions);
	*ret = k;
	return 0;
}

int kubelet_api_start(struct kubelet_api *k, char *err, size_t err_len)
{
	int r;

	if (!k->tls)
		return 0;
	r = http_server_new(&(struct http_server_config){.loop = k->agent->loop,
							 .address = k->agent->cfg.listen,
							 .tls = k->tls,
							 .handler = on_request,
							 .arg = k},
			    &k->server);
	if (r < 0)
		snprintf(err, err_len, "the node's API cannot listen on %s: %s", k->agent->cfg.listen, strerror(-r));
	return r;
}

int kubelet_api_reload(struct kubelet_api *k, const struct agent_tls *t, char *err, size_t err_len)
{
	struct tls_config c = tls_config_of(t);

	if (!k->tls || !t->cert_pem)
		return 0;
	return tls_context_reload(k->tls, &c, err, err_len);
}

const char *kubelet_api_address(const struct kubelet_api *k)
{
	return k->server ? http_server_address(k->server) : NULL;
}

int kubelet_api_port(const struct kubelet_api *k)
{
	const char *address = kubelet_api_address(k), *colon = address ? strrchr(address, ':') : NULL;

	return colon ? atoi(colon + 1) : 0;
}

void kubelet_api_free(struct kubelet_api *k)
{
	if (!k)
		return;
	kubelet_sessions_end(k);
	if (k->server)
		http_server_free(k->server);
	tls_context_free(k->tls);
	free(k);
}
