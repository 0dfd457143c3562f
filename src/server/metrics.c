/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/resource.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "http/server.h"
#include "server/audit.h"
#include "server/flow.h"
#include "server/server_internal.h"
#include "store/store.h"

/* Upper bounds of upstream's request duration histogram, in milliseconds. */
static const int bounds_ms[] = {5,    25,   50,	  100,	200,  400,   600,   800,   1000,  1250,	 1500, 2000,
				3000, 4000, 5000, 6000, 8000, 10000, 15000, 20000, 30000, 45000, 60000};

struct code_count {
	int code;
	uint64_t n;
};

struct metric_series {
	VEC(struct code_count) codes;
	uint64_t buckets[ARRAY_SIZE(bounds_ms)]; /* each alone; summed up when written */
	uint64_t n;				 /* of durations */
	double sum_s;
};

void metrics_init(struct metrics *m)
{
	*m = (struct metrics){.started_s = now_s()};
}

static void series_free(void *p)
{
	struct metric_series *s = p;
	VEC_RELEASE(&s->codes);
	free(s);
}

void metrics_release(struct metrics *m)
{
	map_release(&m->series, series_free);
	buf_release(&m->labels);
}

/* ---- counting ---- */

/* As upstream's verb label: of the request as it is meant, not of its method. */
static const char *verb_label(const struct request *r)
{
	static const struct {
		const char *verb, *label;
	} rows[] = {
	    {"get", "GET"},    {"list", "LIST"},   {"watch", "WATCH"},	 {"create", "POST"},
	    {"update", "PUT"}, {"patch", "PATCH"}, {"delete", "DELETE"}, {"deletecollection", "DELETECOLLECTION"},
	    {"post", "POST"},  {"put", "PUT"},	   {"head", "HEAD"},	 {"options", "OPTIONS"}};
	const struct route *rt = &r->route;
	if (rt->resource && proxy_is(rt))
		return "CONNECT";
	if (str_eq(rt->verb, "patch") &&
	    str_after(str_or(http_header(r->http, "content-type"), ""), "application/apply-patch"))
		return "APPLY";
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (str_eq(rt->verb, rows[i].verb))
			return rows[i].label;
	return "other";
}

static const char *scope_label(const struct route *rt)
{
	if (!rt->resource_request)
		return "";
	return *rt->name || str_eq(rt->verb, "create") ? "resource" : *rt->ns ? "namespace" : "cluster";
}

static struct metric_series *series_of(struct metrics *m, const struct request *r)
{
	const struct route *rt = &r->route;
	bool known = rt->resource != NULL;
	const char *const parts[] = {"component=\"apiserver\",dry_run=\"",
				     query_get(&r->query, "dryRun") ? "All" : "",
				     "\",group=\"",
				     known ? rt->group : "",
				     "\",resource=\"",
				     known ? rt->plural : "",
				     "\",scope=\"",
				     rt->verb ? scope_label(rt) : "",
				     "\",subresource=\"",
				     known && rt->sub ? rt->subresource : "",
				     "\",verb=\"",
				     rt->verb ? verb_label(r) : "other",
				     "\",version=\"",
				     known ? rt->version : "",
				     "\""};

	buf_clear(&m->labels); /* built for each request: printf would be the dearest part of a get */
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		buf_adds(&m->labels, parts[i]);
	const char *labels = buf_str(&m->labels);
	struct metric_series *s = map_get(&m->series, labels);
	if (s || m->series.n >= METRIC_SERIES_MAX)
		return s;
	s = NEW(struct metric_series);
	map_set(&m->series, labels, s);
	return s;
}

static void count_code(struct metric_series *s, int code)
{
	VEC_EACH(c, &s->codes)
		if (c->code == code) {
			c->n++;
			return;
		}
	struct code_count one = {code, 1};
	VEC_PUSH(&s->codes, one);
}

void metrics_request(struct server *server, const struct request *r, int code)
{
	if (r->audit)
		r->audit->code = code;
	struct metric_series *s = series_of(&server->metrics, r);
	if (!s)
		return;
	count_code(s, code);
	/* A watch, a log that is followed: how long they take is not the server's doing. */
	if (str_eq(r->route.verb, "watch") || (r->route.resource && proxy_is(&r->route)))
		return;
	int64_t took_ns = env->monotonic_ns() - r->started_ns;
	size_t i = 0;
	while (i < ARRAY_SIZE(bounds_ms) && took_ns > (int64_t)bounds_ms[i] * 1000000)
		i++;
	if (i < ARRAY_SIZE(bounds_ms))
		s->buckets[i]++;
	s->n++;
	s->sum_s += (double)took_ns / 1e9;
}

/* ---- writing ---- */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_requests(const struct metrics *m, struct buf *out)
{
	head(out, "apiserver_request_total", "counter", "Requests answered, by verb, resource and HTTP code.");
	MAP_EACH(slot, &m->series) {
		const struct metric_series *s = slot->value;
		for (size_t i = 0; i < s->codes.n; i++)
			buf_addf(out, "apiserver_request_total{code=\"%d\",%s} %" PRIu64 "\n", s->codes.at[i].code,
				 slot->key, s->codes.at[i].n);
	}
	head(out, "apiserver_request_duration_seconds", "histogram",
	     "How long requests took until they were answered, in seconds.");
	MAP_EACH(slot, &m->series) {
		const struct metric_series *s = slot->value;
		uint64_t sum = 0;
		for (size_t i = 0; s->n && i < ARRAY_SIZE(bounds_ms); i++) {
			sum += s->buckets[i];
			buf_addf(out, "apiserver_request_duration_seconds_bucket{%s,le=\"%g\"} %" PRIu64 "\n",
				 slot->key, bounds_ms[i] / 1000.0, sum);
		}
		if (s->n)
			buf_addf(out,
				 "apiserver_request_duration_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n"
				 "apiserver_request_duration_seconds_sum{%s} %g\n"
				 "apiserver_request_duration_seconds_count{%s} %" PRIu64 "\n",
				 slot->key, s->n, slot->key, s->sum_s, slot->key, s->n);
	}
}

static void write_inflight(const struct server *s, struct buf *out)
{
	static const char *const reads[] = {"get", "list", "watch", "head", NULL};
	uint64_t reading = 0, writing = 0, watches = 0, connects = 0;
	LIST_EACH(it, &s->requests) {
		const struct request *r = LIST_ENTRY(it, struct request, link);
		if (str_eq(r->route.verb, "watch"))
			watches++;
		else if (r->route.resource && proxy_is(&r->route))
			connects++;
		else if (r->route.verb && str_in(r->route.verb, reads))
			reading++;
		else
			writing++;
	}
	head(out, "apiserver_current_inflight_requests", "gauge", "Requests being served, without long-running ones.");
	buf_addf(out,
		 "apiserver_current_inflight_requests{request_kind=\"readOnly\"} %" PRIu64 "\n"
		 "apiserver_current_inflight_requests{request_kind=\"mutating\"} %" PRIu64 "\n",
		 reading, writing);
	head(out, "apiserver_longrunning_requests", "gauge", "Watches, and connections through the server.");
	buf_addf(out,
		 "apiserver_longrunning_requests{component=\"apiserver\",verb=\"WATCH\"} %" PRIu64 "\n"
		 "apiserver_longrunning_requests{component=\"apiserver\",verb=\"CONNECT\"} %" PRIu64 "\n",
		 watches, connects);
}

static void write_objects(struct server *s, struct buf *out)
{
	head(out, "apiserver_resource_objects", "gauge", "Stored objects of each resource.");
	for (size_t i = 0; i < resource_table_len; i++) {
		const struct resource *row = &resource_table[i];
		_cleanup_buf_ struct buf prefix = BUF_INIT;
		if (!row->storage_prefix || !row->storage_version)
			continue;
		resource_key(row, NULL, NULL, &prefix);
		buf_addf(out, "apiserver_resource_objects{group=\"%s\",resource=\"%s\"} %" PRIu64 "\n", row->group,
			 row->plural, store_count(s->store, buf_str(&prefix)));
	}
}

static void write_authentication(const struct metrics *m, struct buf *out)
{
	head(out, "authentication_attempts", "counter", "Requests by whether it was found out who sent them.");
	buf_addf(out,
		 "authentication_attempts{result=\"success\"} %" PRIu64 "\n"
		 "authentication_attempts{result=\"failure\"} %" PRIu64 "\n",
		 m->authenticated, m->unauthenticated);
}

/* Resident pages are in the second field of statm; the sandbox may keep it from us, then there is no line. */
static void write_memory(struct buf *out)
{
	uint64_t size, resident;
	FILE *f = fopen("/proc/self/statm", "re");
	if (!f)
		return;
	if (fscanf(f, "%" SCNu64 " %" SCNu64, &size, &resident) == 2) {
		uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
		head(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
		buf_addf(out, "process_resident_memory_bytes %" PRIu64 "\n", resident * page);
		head(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.");
		buf_addf(out, "process_virtual_memory_bytes %" PRIu64 "\n", size * page);
	}
	fclose(f);
}

static void write_process(const struct metrics *m, struct buf *out)
{
	struct rusage u;
	struct rlimit files;
	if (getrusage(RUSAGE_SELF, &u) == 0) {
		head(out, "process_cpu_seconds_total", "counter", "User and system time in seconds.");
		buf_addf(out, "process_cpu_seconds_total %.2f\n",
			 (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			     (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	}
	write_memory(out);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		head(out, "process_max_fds", "gauge", "Most file descriptors the process may have.");
		buf_addf(out, "process_max_fds %" PRIu64 "\n", (uint64_t)files.rlim_cur);
	}
	head(out, "process_start_time_seconds", "gauge", "Start time of the process in seconds since 1970.");
	buf_addf(out, "process_start_time_seconds %" PRId64 "\n", m->started_s);
	struct utsname name;
	uname(&name);
	head(out, "kubernetes_build_info", "gauge", "Always 1; the labels say what this is.");
	buf_addf(out,
		 "kubernetes_build_info{build_date=\"\",compiler=\"cc\",git_commit=\"\",git_tree_state=\"clean\","
		 "git_version=\"%s\",go_version=\"none\",major=\"%s\",minor=\"%s\",platform=\"linux/%s\"} 1\n",
		 KUBERNETES_VERSION, KUBERNETES_MAJOR, KUBERNETES_MINOR, go_arch(name.machine));
}

void metrics_write(struct server *s, struct buf *out)
{
	write_requests(&s->metrics, out);
	write_inflight(s, out);
	write_objects(s, out);
	write_authentication(&s->metrics, out);
	flow_metrics(s->flow, out);
	write_process(&s->metrics, out);
}
