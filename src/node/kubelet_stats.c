/* SPDX-License-Identifier: Apache-2.0 */
/* /stats/summary, /metrics and /run of the kubelet API. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"
#include "http/server.h"
#include "node/agent_internal.h"
#include "node/exec_run.h"
#include "node/kubelet_internal.h"
#include "node/node_status.h"
#include "node/pod.h"
#include "runtime/runtime.h"

/* ---- /stats/summary ---- */

static void put_usage(struct arena *a, struct json *o, const struct runtime_stats *s, const char *time)
{
	struct json *cpu = json_object_in(a, o, "cpu"), *memory = json_object_in(a, o, "memory");

	json_set_str(a, cpu, "time", time);
	json_set_int(a, cpu, "usageCoreNanoSeconds", s->cpu_usage_ns);
	json_set_str(a, memory, "time", time);
	json_set_int(a, memory, "usageBytes", s->memory_usage);
	json_set_int(a, memory, "workingSetBytes", s->memory_working_set);
	json_set_int(a, memory, "rssBytes", s->memory_rss);
	json_set_int(a, memory, "pageFaults", s->page_faults);
	json_set_int(a, memory, "majorPageFaults", s->major_page_faults);
}

static void put_pod(struct arena *a, struct json *list, struct pod *p, const char *time)
{
	struct runtime_stats s;
	char start[TIME_RFC3339_MAX];
	struct json *o, *ref, *containers;

	if (runtime_pod_stats(p->agent->runtime, p->uid, &s) < 0)
		return;
	o = json_append(list, json_new(a, JSON_OBJECT));
	ref = json_object_in(a, o, "podRef");
	json_set_str(a, ref, "name", p->name);
	json_set_str(a, ref, "namespace", p->ns);
	json_set_str(a, ref, "uid", p->uid);
	json_set_str(a, o, "startTime", time_format(p->start_ns, start));
	put_usage(a, o, &s, time);
	json_set_int(a, json_object_in(a, o, "process_stats"), "process_count", s.pids);
	containers = json_array_in(a, o, "containers");
	for (size_t i = 0; i < p->n_containers; i++) {
		struct pod_container *pc = p->containers[i];
		struct json *c;

		if (!pc->c.id || runtime_container_stats(p->agent->runtime, p->uid, pc->c.id, &s) < 0)
			continue;
		c = json_append(containers, json_new(a, JSON_OBJECT));
		json_set_str(a, c, "name", pc->c.name);
		json_set_str(a, c, "startTime", time_format(pc->c.started_ns, start));
		put_usage(a, c, &s, time);
	}
}

void kubelet_stats(struct kubelet_api *k, struct http_request *r)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct json *root = json_new(&a, JSON_OBJECT), *node = json_object_in(&a, root, "node"), *memory;
	char time[TIME_RFC3339_MAX];
	long pages = sysconf(_SC_AVPHYS_PAGES);
	int64_t available = pages * sysconf(_SC_PAGESIZE);

	time_format(now_ns(), time);
	json_set_str(&a, node, "nodeName", k->agent->cfg.node_name);
	memory = json_object_in(&a, node, "memory");
	json_set_str(&a, memory, "time", time);
	json_set_int(&a, memory, "availableBytes", available);
	json_set_int(&a, memory, "usageBytes", node_memory(k->agent->node) - available);
	json_array_in(&a, root, "pods");
	MAP_EACH(slot, &k->agent->pods)
		put_pod(&a, json_get(root, "pods"), slot->value, time);
	json_write(&out, root);
	http_reply(r, 200, "application/json", buf_str(&out), out.len);
}

/* ---- /metrics ---- */

void kubelet_metrics(struct kubelet_api *k, struct http_request *r)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	size_t running = 0, containers = 0;

	MAP_EACH(slot, &k->agent->pods) {
		const struct pod *p = slot->value;

		running += p->state == POD_RUNNING;
		for (size_t i = 0; i < p->n_containers; i++)
			containers += p->containers[i]->c.stage == STAGE_RUNNING;
	}
	buf_addf(
	    &out,
	    "# HELP kubelet_running_pods Number of pods that have a running pod sandbox\n"
	    "# TYPE kubelet_running_pods gauge\nkubelet_running_pods %zu\n"
	    "# HELP kubelet_running_containers Number of containers currently running\n"
	    "# TYPE kubelet_running_containers gauge\nkubelet_running_containers{container_state=\"running\"} %zu\n"
	    "# HELP kubelet_node_name The node's name. The count is always 1.\n"
	    "# TYPE kubelet_node_name gauge\nkubelet_node_name{node=\"%s\"} 1\n",
	    running, containers, k->agent->cfg.node_name);
	http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&out), out.len);
}

/* ---- /run ---- */

#define RUN_OUTPUT_MAX (1u << 20) /* an answer that is kept in memory until the command ends */
#define RUN_ARGS_MAX 1024

struct run {
	struct http_request *request; /* NULL: its client has gone */
	struct exec_run *exec;
	VEC(char *) args;
};

static void run_free(struct run *n)
{
	VEC_EACH(s, &n->args)
		free(*s);
	VEC_RELEASE(&n->args);
	free(n);
}

static void on_run_done(void *arg, int code, const char *output, size_t len, const struct status *err)
{
	struct run *n = arg;
	struct http_request *r = TAKE_PTR(n->request);

	n->exec = NULL;
	if (!r)
		return;
	if (err)
		kubelet_fail(r, err);
	else
		http_reply(r, code ? 500 : 200, "text/plain; charset=utf-8", output, len);
}

static void on_run_closed(void *arg, bool aborted)
{
	struct run *n = arg;

	(void)aborted;
	exec_run_cancel(n->exec);
	run_free(n);
}

static void collect_arg(void *arg, const char *name, const char *value)
{
	struct run *n = arg;

	if ((str_eq(name, "cmd") || str_eq(name, "command")) && n->args.n < RUN_ARGS_MAX)
		VEC_PUSH(&n->args, xstrdup(value));
}

/* "cmd" once is split at spaces, as upstream does; several are the arguments. */
static void split_args(struct run *n)
{
	char *end, *all;

	if (n->args.n != 1)
		return;
	all = VEC_POP(&n->args);
	for (char *s = strtok_r(all, " ", &end); s; s = strtok_r(NULL, " ", &end))
		VEC_PUSH(&n->args, xstrdup(s));
	free(all);
}

void kubelet_run(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *path)
{
	struct pod_container *pc = kubelet_find_container(k, r, path);
	struct run *n;

	if (!pc)
		return;
	if (pc->c.stage != STAGE_RUNNING) {
		kubelet_failf(r, 400, "container \"%s\" is not running", pc->c.name);
		return;
	}
	n = NEW(struct run);
	http_query_each(http_query(r), collect_arg, n);
	split_args(n);
	if (n->args.n == 0) {
		run_free(n);
		kubelet_failf(r, 400, "cmd is required");
		return;
	}
	VEC_PUSH(&n->args, NULL);
	n->request = r;
	http_on_close(r, on_run_closed, n);
	n->exec = exec_run_start(k->agent, pc->pod->uid, pc->c.id, (const char *const *)n->args.at, 0, RUN_OUTPUT_MAX,
				 on_run_done, n);
}
