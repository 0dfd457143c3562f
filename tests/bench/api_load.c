/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load on an API server over HTTP/2 with client certificates; for tools/bench.
 *
 * usage: api_load ADDRESS PKI-DIR MODE CLIENTS COUNT [PATH [BODY-FILE]]
 *
 * CLIENTS connections, once all are there, each keep one request under way until COUNT were answered. Modes:
 *
 * - create: posts ConfigMaps of about 3 kB into the namespace default, or what BODY-FILE holds (with a generateName) to
 *   PATH
 *
 * - get, list: read PATH
 *
 * - update: patches PATH/load-N, an object of its own for each client, which it creates first
 *
 * - mixed: of ten requests to PATH: seven gets of PATH/load-0, two lists of at most 100, one create
 *
 * - watch: CLIENTS watch PATH, two more create COUNT objects in it: events delivered a second, all watches together
 *
 * - etcd-put, etcd-get, etcd-list: the same of an etcd by gRPC: puts of values of the same size, ranges of one key, of
 *   5,000
 *
 * Prints one JSON object: requests (events) a second, median and 99th percentile in milliseconds, bytes of the last
 * answer.
 */
#include <signal.h>
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
struct mode;

/* What a mode sends for the n-th request of a worker. */
struct order {
	const char *method, *path, *type;
	struct buf body;
};

struct worker {
	struct load *load;
	int number; /* -1 and below: a watch */
	struct http_client *http;
	int64_t began_ns;
	int code;
	size_t bytes;
	bool connected;	   /* a first request was answered, which isn't measured */
	bool making;	   /* of update: its object */
	char *path, *list; /* of its own */
};

struct load {
	struct loop *loop;
	const struct mode *mode;
	const char *path;
	int clients, count, started, finished, failed, running, connecting;
	int64_t events, events_wanted; /* of watches */
	double *ms;
	size_t last_bytes;
	bool over;
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
	if (w->number < 0 && --w->load->connecting == 0)
		loop_stop(w->load->loop);
}

static void on_data(void *arg, const char *data, size_t len)
{
	struct worker *w = arg;

	w->bytes += len;
	if (w->number >= 0)
		return;
	for (const char *end = data + len; (data = memchr(data, '\n', (size_t)(end - data))); data++)
		w->load->events++;
	if (w->load->events >= w->load->events_wanted)
		loop_stop(w->load->loop);
}

static void on_done(void *arg, int result)
{
	struct worker *w = arg;
	struct load *l = w->load;

	if (w->number < 0 || w->load->over)
		return; /* a watch that ended: its events will be missed */
	if (!w->connected) {
		w->connected = true;
		l->failed += result < 0 || w->code >= 300;
		if (--l->connecting == 0)
			loop_stop(l->loop);
		return;
	}
	l->ms[l->finished++] = (double)(env->monotonic_ns() - w->began_ns) / 1e6;
	if (result < 0 || (w->code >= 300 && !w->making))
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

/* ---- etcd (etcdserverpb: PutRequest key = 1, value = 2; RangeRequest key = 1, range_end = 2, limit = 3) ---- */

static void frame(struct buf *body, const struct buf *message)
{
	const char head[] = {0, 0, 0, (char)(message->len >> 8), (char)message->len};

	buf_add(body, head, sizeof(head));
	buf_add(body, message->data, message->len);
}

static void etcd_key(struct buf *m, int n)
{
	char key[64];

	snprintf(key, sizeof(key), "/registry/configmaps/default/load-%d", n);
	add_field(m, 1, key, strlen(key));
}

static void etcd_put(struct worker *w, struct order *o)
{
	_cleanup_buf_ struct buf m = BUF_INIT;

	etcd_key(&m, w->load->started);
	add_field(&m, 2, w->load->payload, PAYLOAD);
	frame(&o->body, &m);
	o->path = "/etcdserverpb.KV/Put";
}

static void etcd_get(struct worker *w, struct order *o)
{
	_cleanup_buf_ struct buf m = BUF_INIT;

	etcd_key(&m, w->load->started % 1000);
	frame(&o->body, &m);
	o->path = "/etcdserverpb.KV/Range";
}

static void etcd_list(struct worker *w, struct order *o)
{
	static const char from[] = "/registry/configmaps/default/", to[] = "/registry/configmaps/default0";
	static const char limit[] = {3 << 3, (char)0x88, 0x27}; /* 5000 */
	_cleanup_buf_ struct buf m = BUF_INIT;

	(void)w;
	add_field(&m, 1, from, strlen(from));
	add_field(&m, 2, to, strlen(to));
	buf_add(&m, limit, sizeof(limit));
	frame(&o->body, &m);
	o->path = "/etcdserverpb.KV/Range";
}

/* ---- the API ---- */

static void configmap(struct worker *w, struct order *o, const char *name)
{
	buf_addf(&o->body,
		 "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{%s},\"data\":{\"n\":\"%d\",\"payload\":"
		 "\"%s\"}}",
		 name, w->load->started, w->load->payload);
	o->method = "POST";
	o->path = w->load->path;
	o->type = "application/json";
}

static void create(struct worker *w, struct order *o)
{
	configmap(w, o, "\"generateName\":\"load-\"");
	if (!w->load->body_file.len)
		return;
	buf_clear(&o->body);
	buf_add(&o->body, w->load->body_file.data, w->load->body_file.len);
}

static void read_path(struct worker *w, struct order *o)
{
	o->path = w->load->path;
}

static void update(struct worker *w, struct order *o)
{
	char name[48];

	if (!w->path) { /* the first: it is made; again, of an earlier run, fails and is no failure */
		snprintf(name, sizeof(name), "\"name\":\"load-%d\"", w->number);
		configmap(w, o, name);
		w->path = xasprintf("%s/load-%d", w->load->path, w->number);
		w->making = true;
		return;
	}
	w->making = false;
	buf_addf(&o->body, "{\"data\":{\"n\":\"%d\"}}", w->load->started);
	o->method = "PATCH";
	o->path = w->path;
	o->type = "application/merge-patch+json";
}

static void mixed(struct worker *w, struct order *o)
{
	struct load *l = w->load;
	int kind = l->started % 10;

	if (!w->path)
		w->path = xasprintf("%s/load-0", l->path);
	if (!w->list)
		w->list = xasprintf("%s?limit=100", l->path);
	if (kind == 0)
		create(w, o);
	else
		o->path = kind < 3 ? w->list : w->path;
}

static const struct mode {
	const char *name;
	void (*order)(struct worker *w, struct order *o);
	bool etcd;
} modes[] = {
    {"create", create, false},	  {"get", read_path, false},	{"list", read_path, false},
    {"update", update, false},	  {"mixed", mixed, false},	{"watch", create, false},
    {"etcd-put", etcd_put, true}, {"etcd-get", etcd_get, true}, {"etcd-list", etcd_list, true},
};

static const struct http_call_events events = {on_response, on_data, on_done};

static void send_order(struct worker *w, const struct order *o)
{
	bool etcd = w->load->mode->etcd;
	const struct http_header_pair api[] = {{"content-type", o->type}},
				      grpc[] = {{"content-type", "application/grpc"}, {"te", "trailers"}};

	w->began_ns = env->monotonic_ns();
	w->bytes = 0;
	w->code = 0;
	http_call_start(w->http,
			&(struct http_call_config){.method = etcd ? "POST" : o->method,
						   .path = o->path,
						   .headers = etcd ? grpc : api,
						   .n_headers = etcd ? 2 : o->type != NULL,
						   .body = o->body.data,
						   .body_len = o->body.len,
						   .timeout_ms = 60000},
			&events, w);
}

/* Connects, shakes hands, and asks for something small. */
static void greet(struct worker *w)
{
	struct order o = {.method = "GET", .path = "/version", .body = BUF_INIT};

	if (w->load->mode->etcd)
		etcd_get(w, &o);
	send_order(w, &o);
	buf_release(&o.body);
}

static void next(struct worker *w)
{
	struct load *l = w->load;
	struct order o = {.method = "GET", .body = BUF_INIT};

	if (w->number < 0 || l->started == l->count) {
		if (--l->running == 0 && l->events >= l->events_wanted)
			loop_stop(l->loop);
		return;
	}
	l->mode->order(w, &o);
	l->started++;
	send_order(w, &o);
	buf_release(&o.body);
}

/* PATH is in a new namespace: nothing is told but what is written from now on. */
static void watch(struct worker *w)
{
	w->path = xasprintf("%s?watch=1", w->load->path);
	http_call_start(w->http, &(struct http_call_config){.method = "GET", .path = w->path}, &events, w);
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

static const struct mode *mode_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	return NULL;
}

static void print_result(struct load *l, double seconds, bool watching)
{
	qsort(l->ms, (size_t)l->finished, sizeof(*l->ms), by_value);
	if (watching)
		printf("{\"events_per_second\":%.0f,\"events\":%lld,\"failed\":%d}\n", (double)l->events / seconds,
		       (long long)l->events, l->failed);
	else
		printf("{\"per_second\":%.0f,\"median_ms\":%.3f,\"p99_ms\":%.3f,\"failed\":%d,\"bytes\":%zu}\n",
		       (double)l->finished / seconds, l->ms[l->finished / 2], l->ms[l->finished * 99 / 100], l->failed,
		       l->last_bytes);
}

static void connect_worker(struct worker *w, const char *address, const char *host, struct tls_context *tls)
{
	struct http_client_config c = {
	    .loop = w->load->loop, .address = address, .server_name = host, .tls = tls, .user_agent = "api_load"};
	if (http_client_new(&c, &w->http) < 0)
		exit(1);
}

int main(int argc, char **argv)
{
	enum { WRITERS = 2 };
	struct load l = {0};

	signal(SIGPIPE, SIG_IGN); /* a connection that ended is told as such */
	if (argc < 6 || !(l.mode = mode_find(argv[3]))) {
		fprintf(stderr,
			"usage: api_load ADDRESS PKI-DIR MODE CLIENTS COUNT [PATH [BODY-FILE]]; see the source\n");
		return 2;
	}
	bool watching = strcmp(l.mode->name, "watch") == 0;
	l.clients = atoi(argv[4]);
	l.count = atoi(argv[5]);
	l.path = argc > 6 ? argv[6] : "/api/v1/namespaces/default/configmaps";
	if (argc > 7 && fs_read(argv[7], PEM_MAX, &l.body_file) < 0)
		return 1;
	int n = l.clients + (watching ? WRITERS : 0);
	l.events_wanted = watching ? (int64_t)l.clients * l.count : 0;
	l.running = watching ? WRITERS : l.clients;
	l.ms = xcalloc((size_t)l.count, sizeof(*l.ms));
	memset(l.payload, 'x', PAYLOAD);
	struct tls_context *tls = make_tls(argv[2]);
	if (!tls || loop_new(&l.loop) < 0)
		return 1;
	_cleanup_free_ char *host = xstrndup(argv[1], strcspn(argv[1], ":"));
	struct worker *workers = xcalloc((size_t)n, sizeof(*workers));
	for (int i = 0; i < n; i++) {
		workers[i].load = &l;
		workers[i].number = watching && i < l.clients ? -1 - i : i;
		connect_worker(&workers[i], argv[1], host, tls);
		if (workers[i].number < 0)
			watch(&workers[i]);
	}
	if (watching) { /* every watch is established before the first write */
		l.connecting = l.clients;
		loop_run(l.loop);
	}
	l.connecting = l.running;
	for (int i = 0; i < n; i++)
		if (workers[i].number >= 0)
			greet(&workers[i]);
	loop_run(l.loop);
	int64_t began = env->monotonic_ns();
	for (int i = 0; i < n; i++)
		if (workers[i].number >= 0)
			next(&workers[i]);
	loop_run(l.loop);
	l.over = true; /* what ends with its connection below does not count */
	print_result(&l, (double)(env->monotonic_ns() - began) / 1e9, watching);
	for (int i = 0; i < n; i++) {
		http_client_free(workers[i].http);
		free(workers[i].path);
		free(workers[i].list);
	}
	tls_context_free(tls);
	loop_run(l.loop);
	loop_free(l.loop);
	free(workers);
	buf_release(&l.body_file);
	free(l.ms);
	return l.failed ? 1 : 0;
}
