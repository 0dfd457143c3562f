/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `kubectl get pods` says about a pod: one pass over its statuses, in upstream's order of precedence, gives READY,
 * STATUS and RESTARTS.
 */
#include <inttypes.h>
#include <string.h>

#include "api/table_internal.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"

struct pod_summary {
	const char *status;
	int64_t ready, total, restarts;
	int64_t last_restart_ns; /* 0: unknown */
	/* of init containers that keep running (sidecars), which count on after initialisation */
	int64_t sidecar_restarts, sidecar_last_ns;
};

static void max_finished(const struct json *status, int64_t *last)
{
	const char *t = json_path_str(status, "lastState.terminated.finishedAt");
	int64_t ns;

	if (t && time_parse(t, &ns) == 0 && ns > *last)
		*last = ns;
}

/* Why a container ended: its reason, else its signal or exit code; prefix "" or "Init:". */
static const char *ended(struct arena *a, const char *prefix, const struct json *terminated)
{
	const char *reason = json_path_str(terminated, "reason");
	int64_t signal = json_path_int(terminated, "signal", 0);

	if (!str_empty(reason))
		return arena_printf(a, "%s%s", prefix, reason);
	if (signal)
		return arena_printf(a, "%sSignal:%" PRId64, prefix, signal);
	return arena_printf(a, "%sExitCode:%" PRId64, prefix, json_path_int(terminated, "exitCode", 0));
}

static bool is_sidecar(const struct json *pod, const char *name)
{
	JSON_EACH(c, json_path(pod, "spec.initContainers"))
		if (str_eq(json_path_str(c, "name"), name))
			return str_eq(json_path_str(c, "restartPolicy"), "Always");
	return false;
}

/* Returns whether this init container is what the pod waits for; s->status says how. */
static bool add_init(struct pod_summary *s, struct arena *a, const struct json *pod, const struct json *st, int index)
{
	const struct json *terminated = json_path(st, "state.terminated");
	const char *waiting = json_path_str(st, "state.waiting.reason");
	bool sidecar = is_sidecar(pod, json_path_str(st, "name"));
	int64_t n = json_path_int(st, "restartCount", 0);

	s->restarts += n;
	max_finished(st, &s->last_restart_ns);
	if (sidecar) {
		s->sidecar_restarts += n;
		max_finished(st, &s->sidecar_last_ns);
	}
	if (terminated && json_path_int(terminated, "exitCode", 0) == 0)
		return false;
	if (sidecar && json_path_bool(st, "started", false)) {
		s->ready += json_path_bool(st, "ready", false);
		return false;
	}
	if (terminated)
		s->status = ended(a, "Init:", terminated);
	else if (!str_empty(waiting) && !str_eq(waiting, "PodInitializing"))
		s->status = arena_printf(a, "Init:%s", waiting);
	else
		s->status = arena_printf(a, "Init:%d/%u", index, json_len(json_path(pod, "spec.initContainers")));
	return true;
}

static void add_containers(struct pod_summary *s, struct arena *a, const struct json *pod)
{
	const struct json *list = json_path(pod, "status.containerStatuses");
	bool running = false, chosen = false;

	s->restarts = s->sidecar_restarts;
	s->last_restart_ns = s->sidecar_last_ns;
	JSON_EACH(st, list) {
		const struct json *terminated = json_path(st, "state.terminated");
		const char *waiting = json_path_str(st, "state.waiting.reason");

		s->restarts += json_path_int(st, "restartCount", 0);
		max_finished(st, &s->last_restart_ns);
		/* The first container with something to say wins. */
		if (!str_empty(waiting) || terminated) {
			if (!chosen)
				s->status = str_empty(waiting) ? ended(a, "", terminated) : waiting;
			chosen = true;
		} else if (json_path_bool(st, "ready", false) && json_path(st, "state.running")) {
			running = true;
			s->ready++;
		}
	}
	if (str_eq(s->status, "Completed") && running)
		s->status = cell_condition_true(pod, "Ready") ? "Running" : "NotReady";
}

static void summarize(struct pod_summary *s, struct arena *a, const struct json *pod)
{
	const char *phase = json_path_str(pod, "status.phase"), *reason = json_path_str(pod, "status.reason");
	bool initializing = false;
	int i = 0;

	*s = (struct pod_summary){.status = str_empty(reason) ? str_or(phase, "") : reason};
	s->total = json_len(json_path(pod, "spec.containers"));
	JSON_EACH(c, json_path(pod, "spec.initContainers"))
		s->total += str_eq(json_path_str(c, "restartPolicy"), "Always");
	if (str_eq(json_path_str(cell_condition(pod, "PodScheduled"), "reason"), "SchedulingGated"))
		s->status = "SchedulingGated";
	JSON_EACH(st, json_path(pod, "status.initContainerStatuses")) {
		initializing = add_init(s, a, pod, st, i++);
		if (initializing)
			break;
	}
	if (!initializing || cell_condition_true(pod, "Initialized"))
		add_containers(s, a, pod);
	if (json_path_str(pod, "metadata.deletionTimestamp")) {
		if (str_eq(reason, "NodeLost"))
			s->status = "Unknown";
		else if (!str_eq(phase, "Succeeded") && !str_eq(phase, "Failed"))
			s->status = "Terminating";
	}
}

struct json *cell_pod_ready(const struct table_cell *c)
{
	struct pod_summary s;

	summarize(&s, c->arena, c->object);
	return json_new_strf(c->arena, "%" PRId64 "/%" PRId64, s.ready, s.total);
}

struct json *cell_pod_status(const struct table_cell *c)
{
	struct pod_summary s;

	summarize(&s, c->arena, c->object);
	return cell_str(c, s.status);
}

struct json *cell_pod_restarts(const struct table_cell *c)
{
	struct pod_summary s;
	char age[TABLE_AGE_MAX];

	summarize(&s, c->arena, c->object);
	if (!s.last_restart_ns)
		return json_new_strf(c->arena, "%" PRId64, s.restarts);
	return json_new_strf(c->arena, "%" PRId64 " (%s ago)", s.restarts,
			     table_duration((c->now_ns - s.last_restart_ns) / 1000000000, age));
}

struct json *cell_pod_ip(const struct table_cell *c)
{
	const char *first = json_path_str(json_at(json_path(c->object, "status.podIPs"), 0), "ip");

	return cell_or_none(c, str_empty(first) ? json_path_str(c->object, "status.podIP") : first);
}

struct json *cell_pod_gates(const struct table_cell *c)
{
	const struct json *gates = json_path(c->object, "spec.readinessGates");
	int ready = 0;

	if (!json_len(gates))
		return cell_or_none(c, NULL);
	JSON_EACH(g, gates) {
		const char *type = json_path_str(g, "conditionType");

		ready += type && cell_condition_true(c->object, type);
	}
	return json_new_strf(c->arena, "%d/%u", ready, json_len(gates));
}
