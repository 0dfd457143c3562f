/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load on an API server over HTTP/2 with client certificates; for tools/bench.
 *
 * usage: api_load ADDRESS PKI-DIR create|get|list|etcd-put CLIENTS COUNT [PATH [BODY-FILE]]
 *
 * CLIENTS connections each keep one request under way until COUNT were answered. create posts ConfigMaps of about 3 kB
 * into the namespace default, or what BODY-FILE holds (with a generateName) to PATH; get and list read PATH; etcd-put
 * puts values of the same size into an etcd by gRPC. Prints one JSON object: requests a second, median and 99th
 * percentile in milliseconds, bytes of the last answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/mem.h"
#include "http/client.h"
#include "io/loop.h"
#include "io/tls.h"

#define PEM_MAX (64 * 1024)
#define PAYLOAD 2800 /* with metadata about 3 kB */

struct load;

struct worker {
	struct load *load;
	struct http_client *http;
	int64_t began_ns;
	int code;
	size_t bytes;
};

struct load {
	struct loop *loop;
	const char *mode, *path;
	int count, started, finished, failed, running;
	double *ms;
	size_t last_bytes;
	struct buf body_file;
	char payload[PAYLOAD + 1];
};

static void next(struct worker *w);

static void on_response(void *arg, int code, const struct http_header_pair *headers, size_t n)
{
	struct worker *w = arg;

	(void)headers;
	(void)n;
	w->code = code;
}

static void on_data(void *arg, const char *data, size_t len)
{
	(void)data;
	((struct worker *)arg)->bytes += len;
}

static void on_done(void *arg, int result)
{
	struct worker *w = arg;
	struct load *l = w->load;

	l->ms[l->finished++] = (double)(env->monotonic_ns() - w->began_ns) / 1e6;
	if (result < 0 || w->code >= 300)
		l->failed++;
	l->last_bytes = w->bytes;
	next(w);
}

/* Protobuf's length-delimited field. */
static void add_field(struct buf *b, unsigned number, const char *data, size_t len)
{
	buf_addc(b, (char)(number << 3 | 2));
	for (size_t n = len; n; n >>= 7)
		buf_addc(b, (char)((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
	buf_add(b, data, len);
}

/* A gRPC message with an etcdserverpb.PutRequest: key = 1, value = 2. */
static void add_put(struct load *l, struct buf *body)
{
	_cleanup_buf_ struct buf put = BUF_INIT;
	char key[64];

	snprintf(key, sizeof(key), "/registry/configmaps/default/load-%d", l->started);
	add_field(&put, 1, key, strlen(key));
	add_field(&put, 2, l->payload, PAYLOAD);
	const char head[] = {0, 0, 0, (char)(put.len >> 8), (char)put.len};
	buf_add(body, head, sizeof(head));
	buf_add(body, put.data, put.len);
}

static void add_body(struct load *l, struct buf *body)
{
	if (strcmp(l->mode, "etcd-put") == 0)
		add_put(l, body);
	else if (l->body_file.len)
		buf_add(body, l->body_file.data, l->body_file.len);
	else
		buf_addf(body,
			 "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"generateName\":\"load-\"},"
			 "\"data\":{\"n\":\"%d\",\"payload\":\"%s\"}}",
			 l->started, l->payload);
}

static void next(struct worker *w)
{
	static const struct http_call_events events = {on_response, on_data, on_done};
	static const struct http_header_pair json[] = {{"content-type", "application/json"}},
					     grpc[] = {{"content-type", "application/grpc"}, {"te", "trailers"}};
	struct load *l = w->load;
	_cleanup_buf_ struct buf body = BUF_INIT;
	bool etcd = strcmp(l->mode, "etcd-put") == 0, write = etcd || strcmp(l->mode, "create") == 0;

	if (l->started == l->count) {
		if (--l->running == 0)
			loop_stop(l->loop);
		return;
	}
	if (write)
		add_body(l, &body);
	l->started++;
	w->began_ns = env->monotonic_ns();
	w->bytes = 0;
	w->code = 0;
	http_call_start(w->http,
			&(struct http_call_config){.method = write ? "POST" : "GET",
						   .path = l->path,
						   .headers = etcd ? grpc : json,
						   .n_headers = etcd ? 2 : write,
						   .body = body.data,
						   .body_len = body.len,
						   .timeout_ms = 60000},
			&events, w);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static struct tls_context *make_tls(const char *pki)
{
	static const char *const alpn[] = {"h2", NULL}, *const files[] = {"ca.crt", "admin.crt", "admin.key"};
	struct buf text[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
	struct tls_context *tls = NULL;
	char why[256] = "cannot read the certificates";

	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", pki, files[i]);
		if (fs_read(path, PEM_MAX, &text[i]) < 0)
			fprintf(stderr, "%s\n", path);
	}
	struct tls_config c = {.ca_pem = text[0].data, .cert_pem = text[1].data, .key_pem = text[2].data, .alpn = alpn};
	if (tls_context_new(&c, &tls, why, sizeof(why)) < 0)
		fprintf(stderr, "error: %s\n", why);
	for (int i = 0; i < 3; i++)
		buf_release(&text[i]);
	return tls;
}

int main(int argc, char **argv)
{
	struct load l = {0};

	if (argc < 6) {
		fprintf(stderr,
			"usage: api_load ADDRESS PKI-DIR create|get|list|etcd-put CLIENTS COUNT [PATH [BODY-FILE]]\n");
		return 2;
	}
	int clients = atoi(argv[4]);
	l.mode = argv[3];
	l.count = atoi(argv[5]);
	l.path = argc > 6			   ? argv[6]
		 : strcmp(l.mode, "etcd-put") == 0 ? "/etcdserverpb.KV/Put"
						   : "/api/v1/namespaces/default/configmaps";
	if (argc > 7 && fs_read(argv[7], PEM_MAX, &l.body_file) < 0)
		return 1;
	l.running = clients;
	l.ms = xcalloc((size_t)l.count, sizeof(*l.ms));
	memset(l.payload, 'x', PAYLOAD);
	struct tls_context *tls = make_tls(argv[2]);
	if (!tls || loop_new(&l.loop) < 0)
		return 1;
	_cleanup_free_ char *host = xstrndup(argv[1], strcspn(argv[1], ":"));
	struct worker *workers = xcalloc((size_t)clients, sizeof(*workers));
	int64_t began = env->monotonic_ns();
	for (int i = 0; i < clients; i++) {
		workers[i].load = &l;
		struct http_client_config c = {
		    .loop = l.loop, .address = argv[1], .server_name = host, .tls = tls, .user_agent = "api_load"};
		if (http_client_new(&c, &workers[i].http) < 0)
			return 1;
		next(&workers[i]);
	}
	loop_run(l.loop);
	double seconds = (double)(env->monotonic_ns() - began) / 1e9;
	qsort(l.ms, (size_t)l.finished, sizeof(*l.ms), by_value);
	printf("{\"per_second\":%.0f,\"median_ms\":%.3f,\"p99_ms\":%.3f,\"failed\":%d,\"bytes\":%zu}\n",
	       (double)l.finished / seconds, l.ms[l.finished / 2], l.ms[l.finished * 99 / 100], l.failed, l.last_bytes);
	for (int i = 0; i < clients; i++)
		http_client_free(workers[i].http);
	tls_context_free(tls);
	loop_run(l.loop);
	loop_free(l.loop);
	free(workers);
	buf_release(&l.body_file);
	free(l.ms);
	return l.failed ? 1 : 0;
}
