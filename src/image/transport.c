/* SPDX-License-Identifier: Apache-2.0 */
#include "image/transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/image_internal.h"
#include "image/registries.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "io/tls.h"

#define PEM_BYTES_MAX (4u << 20) /* a CA bundle has some 200 kB */

struct origin {
	struct url url; /* path NULL */
	struct http_client *client;
	struct tls_context *tls;
	char addresses[RESOLVE_ADDRESSES_MAX][RESOLVE_TEXT_MAX];
	int n_addresses, current;
};

struct transport {
	const struct registries *registries;
	struct loop *loop;
	struct loop_wake *wake;
	struct loop_timer *timer;
	int64_t head_ms, stall_ms;
	atomic_bool aborted;
	VEC(struct origin *) origins;
	/* the request under way */
	const struct transport_request *q;
	struct transport_reply *reply;
	struct http_call *call;
	bool done, head;
	int result;
	uint64_t window; /* bytes since the timer was started */
};

/* ---- origins ---- */

static void origin_free(struct origin *o)
{
	http_client_free(o->client);
	tls_context_free(o->tls);
	free(o);
}

static int read_pem(const char *path, struct buf *out, char *err, size_t err_len)
{
	int r = path ? fs_read(path, PEM_BYTES_MAX, out) : 0;
	return r < 0 ? image_fail(err, err_len, r, "%s cannot be read: %s", path, strerror(-r)) : 0;
}

static int origin_tls(struct transport *t, struct origin *o, char *err, size_t err_len)
{
	static const char *const alpn[] = {"http/1.1", NULL};
	static const struct registry_tls usual;
	_cleanup_buf_ struct buf ca = BUF_INIT, cert = BUF_INIT, key = BUF_INIT;
	char authority[URL_HOST_MAX + 16], why[200];
	const struct registry_tls *c = registries_tls(t->registries, url_authority(&o->url, authority));
	int r;

	if (!c)
		c = &usual;
	tls_read_system_ca(&ca);
	buf_addc(&ca, '\n');
	r = read_pem(c->ca_file, &ca, err, err_len);
	if (r == 0)
		r = read_pem(c->cert_file, &cert, err, err_len);
	if (r == 0)
		r = read_pem(c->key_file, &key, err, err_len);
	if (r < 0)
		return r;
	struct tls_config cfg = {.ca_pem = ca.len > 1 && !c->skip_verify ? ca.data : NULL,
				 .cert_pem = c->cert_file ? cert.data : NULL,
				 .key_pem = c->key_file ? key.data : NULL,
				 .insecure = c->skip_verify,
				 .alpn = alpn};
	r = tls_context_new(&cfg, &o->tls, why, sizeof(why));
	return r < 0 ? image_fail(err, err_len, r, "TLS to %s: %s", authority, why) : 0;
}

static int origin_connect(struct transport *t, struct origin *o)
{
	http_client_free(TAKE_PTR(o->client));
	return http_client_new(&(struct http_client_config){.loop = t->loop,
							    .address = o->addresses[o->current],
							    .server_name = o->url.host,
							    .tls = o->tls,
							    .user_agent = "proa/" PROA_VERSION},
			       &o->client);
}

static int origin_get(struct transport *t, const struct url *u, struct origin **ret, char *err, size_t err_len)
{
	VEC_EACH(o, &t->origins) {
		if (url_same_origin(&(*o)->url, u)) {
			*ret = *o;
			return 0;
		}
	}
	struct origin *o = NEW(struct origin);
	o->url = *u;
	o->url.path = NULL;
	int r = o->n_addresses = resolve_host(u->host, u->port, o->addresses, err, err_len);
	if (r > 0)
		r = u->tls ? origin_tls(t, o, err, err_len) : 0;
	if (r >= 0)
		r = origin_connect(t, o);
	if (r < 0) {
		origin_free(o);
		return r;
	}
	VEC_PUSH(&t->origins, o);
	*ret = o;
	return 0;
}

/* ---- one call ---- */

static void finish(struct transport *t, int result)
{
	if (t->done)
		return;
	t->done = true;
	t->result = result;
	if (t->call) {
		http_call_cancel(t->call);
		t->call = NULL;
	}
	loop_stop(t->loop);
}

static void on_wake(void *arg)
{
	struct transport *t = arg;

	if (atomic_load(&t->aborted))
		finish(t, -ECANCELED);
}

static void on_time(void *arg)
{
	struct transport *t = arg;

	if (!t->q)
		finish(t, 0); /* transport_wait_ms */
	else if (!t->head || t->window < TRANSPORT_STALL_BYTES)
		finish(t, -ETIMEDOUT);
	else {
		t->window = 0;
		loop_timer_start(t->timer, t->stall_ms);
	}
}

/* The owner has seen enough: the call ends outside of its callbacks. */
static void refuse(struct transport *t, int r)
{
	t->result = r;
	loop_wake_send(t->wake);
}

static void on_response(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	struct transport *t = arg;
	struct transport_reply *r = t->reply;

	t->head = true;
	t->window = 0;
	loop_timer_start(t->timer, t->stall_ms);
	r->code = code;
	r->headers = arena_zalloc(&r->arena, (n + 1) * sizeof(*r->headers));
	r->n_headers = n;
	for (size_t i = 0; i < n; i++)
		r->headers[i] = (struct http_header_pair){arena_strdup(&r->arena, headers[i].name),
							  arena_strdup(&r->arena, headers[i].value)};
	int k = t->q->on_head && code / 100 == 2 ? t->q->on_head(t->q->arg, code, headers, n) : 0;
	if (k < 0)
		refuse(t, k);
}

static void on_data(void *arg, const char *data, size_t len)
{
	struct transport *t = arg;
	const struct transport_request *q = t->q;

	t->window += len;
	if (t->result < 0)
		return;
	int r = 0;
	if (q->on_body && t->reply->code / 100 == 2) {
		r = q->on_body(q->arg, data, len);
	} else {
		buf_add(&t->reply->body, data, len);
		r = buf_failed(&t->reply->body) ? -EFBIG : 0;
	}
	if (r < 0)
		refuse(t, r);
}

static void on_done(void *arg, int result)
{
	struct transport *t = arg;

	t->call = NULL;
	finish(t, t->result < 0 ? t->result : result);
}

static void on_refused(void *arg)
{
	struct transport *t = arg;

	on_wake(t);
	if (t->q && !t->done && t->result < 0)
		finish(t, t->result);
}

static int call_once(struct transport *t, struct origin *o, const struct url *u, const char *authorization)
{
	static const struct http_call_events ev = {.on_response = on_response, .on_data = on_data, .on_done = on_done};
	const struct transport_request *q = t->q;
	struct http_header_pair headers[TRANSPORT_HEADERS_MAX + 2];
	char authority[URL_HOST_MAX + 16];
	size_t n = 0;

	headers[n++] = (struct http_header_pair){"host", url_authority(u, authority)};
	if (authorization)
		headers[n++] = (struct http_header_pair){"authorization", authorization};
	for (size_t i = 0; i < q->n_headers; i++)
		headers[n++] = q->headers[i];
	t->done = t->head = false;
	t->result = 0;
	t->window = 0;
	arena_release(&t->reply->arena);
	buf_release(&t->reply->body);
	buf_init(&t->reply->body, q->body_max ? q->body_max : TRANSPORT_BODY_MAX);
	if (atomic_load(&t->aborted))
		return -ECANCELED;
	t->call = http_call_start(o->client,
				  &(struct http_call_config){.method = q->method,
							     .path = u->path,
							     .headers = headers,
							     .n_headers = n,
							     .body = q->body,
							     .body_len = q->body_len},
				  &ev, t);
	loop_catch_up(t->loop);
	/* Sending a body takes its time, too. */
	loop_timer_start(t->timer, t->head_ms + (int64_t)(q->body_len / TRANSPORT_STALL_BYTES));
	while (!t->done)
		loop_run(t->loop);
	loop_timer_stop(t->timer);
	return t->result;
}

/* The next address is for those who couldn't be reached at all. */
static bool unreachable(int r)
{
	return r == -ECONNREFUSED || r == -EHOSTUNREACH || r == -ENETUNREACH || r == -EADDRNOTAVAIL ||
	       r == -ETIMEDOUT || r == -EAFNOSUPPORT;
}

static int call(struct transport *t, const struct url *u, const char *authorization, char *err, size_t err_len)
{
	char authority[URL_HOST_MAX + 16];
	struct origin *o;
	int r = origin_get(t, u, &o, err, err_len);

	if (r < 0)
		return r;
	for (int i = 0;; i++) {
		r = call_once(t, o, u, authorization);
		if (!unreachable(r) || t->head || i + 1 >= o->n_addresses)
			break;
		o->current = (o->current + 1) % o->n_addresses;
		if (origin_connect(t, o) < 0)
			break;
	}
	if (r == 0)
		return 0;
	url_authority(u, authority);
	if (r == -ETIMEDOUT)
		return image_fail(err, err_len, r, "%s %s://%s: %s", t->q->method, u->tls ? "https" : "http", authority,
				  t->head ? "the server stopped sending" : "the server does not answer in time");
	if (r == -EKEYREJECTED)
		return image_fail(err, err_len, r,
				  "%s https://%s: its certificate cannot be verified: give the authority in ca_file of "
				  "the registries file",
				  t->q->method, authority);
	if (r == -EPROTO)
		return image_fail(err, err_len, r, "%s %s://%s: the server does not speak %s", t->q->method,
				  u->tls ? "https" : "http", authority, u->tls ? "TLS and HTTP" : "HTTP");
	if (r == -EFBIG)
		return image_fail(err, err_len, r, "%s %s://%s: the answer is too large", t->q->method,
				  u->tls ? "https" : "http", authority);
	return image_fail(err, err_len, r, "%s %s://%s: %s", t->q->method, u->tls ? "https" : "http", authority,
			  strerror(-r));
}

/* ---- requests ---- */

const char *transport_header(const struct http_header_pair *headers, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(headers[i].name, name))
			return headers[i].value;
	return NULL;
}

static bool redirect(int code)
{
	return code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
}

int transport_do(struct transport *t, const struct transport_request *q, struct transport_reply *ret, char *err,
		 size_t err_len)
{
	const char *authorization = q->authorization;
	int r = 0;

	url_copy(&ret->url, q->url);
	t->q = q;
	t->reply = ret;
	for (int hops = 0; r == 0; hops++) {
		r = call(t, &ret->url, authorization, err, err_len);
		if (r < 0 || !redirect(ret->code) || q->stay)
			break;
		const char *location = transport_header(ret->headers, ret->n_headers, "location");
		struct url next;
		if (hops == TRANSPORT_REDIRECTS_MAX)
			r = image_fail(err, err_len, -ELOOP, "more than %d redirects", TRANSPORT_REDIRECTS_MAX);
		else if (!location || url_resolve(&ret->url, location, &next) < 0)
			r = image_fail(err, err_len, -EPROTO, "%s redirects to nowhere", ret->url.host);
		if (r < 0)
			break;
		if (ret->url.tls && !next.tls) {
			r = image_fail(err, err_len, -EPROTO, "%s redirects from https to http, which is refused",
				       ret->url.host);
			url_release(&next);
			break;
		}
		if (!url_same_origin(&next, q->url))
			authorization = NULL; /* for good: what it points to may point back */
		url_release(&ret->url);
		ret->url = next;
	}
	t->q = NULL;
	t->reply = NULL;
	return r;
}

void transport_reply_release(struct transport_reply *r)
{
	arena_release(&r->arena);
	buf_release(&r->body);
	url_release(&r->url);
}

bool transport_transient(int error)
{
	return error == -ECONNRESET || error == -ETIMEDOUT || error == -EPIPE || error == -ECONNREFUSED ||
	       error == -EHOSTUNREACH || error == -ENETUNREACH || error == -ECONNABORTED || error == -EPROTO;
}

void transport_wait_ms(struct transport *t, int64_t ms)
{
	if (atomic_load(&t->aborted))
		return;
	t->done = false;
	loop_catch_up(t->loop);
	loop_timer_start(t->timer, ms);
	while (!t->done)
		loop_run(t->loop);
	loop_timer_stop(t->timer);
}

void transport_abort(struct transport *t)
{
	atomic_store(&t->aborted, true);
	loop_wake_send(t->wake);
}

/* ---- life ---- */

int transport_new(const struct registries *registries, const struct transport_limits *limits, struct transport **ret)
{
	struct transport *t = NEW(struct transport);
	int r = loop_new(&t->loop);

	if (r < 0) {
		free(t);
		return r;
	}
	t->registries = registries;
	t->head_ms = limits && limits->head_ms ? limits->head_ms : TRANSPORT_HEAD_MS;
	t->stall_ms = limits && limits->stall_ms ? limits->stall_ms : TRANSPORT_STALL_MS;
	t->timer = loop_timer_new(t->loop, on_time, t);
	t->wake = loop_wake_new(t->loop, on_refused, t);
	*ret = t;
	return 0;
}

void transport_free(struct transport *t)
{
	if (!t)
		return;
	VEC_EACH(o, &t->origins)
		origin_free(*o);
	VEC_RELEASE(&t->origins);
	loop_timer_free(t->timer);
	loop_wake_free(t->wake);
	loop_run(t->loop); /* what is closing */
	loop_free(t->loop);
	free(t);
}
