/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pod_status.h"

#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "api/quantity.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"
#include "node/container.h"

#define CONTAINER_ID_SCHEME "proa://"

/* ---- quality of service ---- */

struct qos_sums {
	struct quantity requests[2], limits[2]; /* cpu, memory */
	bool any, all_limited;
};
static const char *const qos_resources[] = {"cpu", "memory"};

static void qos_add(struct qos_sums *s, const struct json *containers)
{
	JSON_EACH(c, containers) {
		const struct json *resources = json_get(c, "resources");

		for (int i = 0; i < 2; i++) {
			struct quantity request, limit;

			quantity_from_json(json_get(json_get(resources, "requests"), qos_resources[i]), &request);
			quantity_from_json(json_get(json_get(resources, "limits"), qos_resources[i]), &limit);
			s->any |= request.nano > 0 || limit.nano > 0;
			s->all_limited &= limit.nano > 0;
			if (request.nano == 0) /* defaulted by the server; the same here for other servers */
				request = limit;
			quantity_add(&s->requests[i], &request);
			quantity_add(&s->limits[i], &limit);
		}
	}
}

const char *pod_qos(const struct json *pod)
{
	struct qos_sums s = {.all_limited = true};
	const char *known = json_path_str(pod, "status.qosClass");
	const struct json *spec = json_get(pod, "spec");

	if (known)
		return known;
	for (int i = 0; i < 2; i++)
		s.requests[i] = s.limits[i] = QUANTITY_ZERO;
	qos_add(&s, json_get(spec, "containers"));
	qos_add(&s, json_get(spec, "initContainers"));
	if (!s.any)
		return "BestEffort";
	if (s.all_limited && quantity_compare(&s.requests[0], &s.limits[0]) == 0 &&
	    quantity_compare(&s.requests[1], &s.limits[1]) == 0)
		return "Guaranteed";
	return "Burstable";
}

/* ---- phase ---- */

static bool is_init(const struct container *c)
{
	return c->kind == CONTAINER_INIT || c->kind == CONTAINER_SIDECAR;
}

/* The API will show it as waiting although it ran before. */
static bool shows_waiting(const struct container *c)
{
	return (c->stage == STAGE_WAITING || c->stage == STAGE_EXITED || c->stage == STAGE_STARTING) &&
	       (c->waiting_reason || !c->exit.valid || c->start_again);
}

static bool shows_running(const struct container *c)
{
	return c->stage == STAGE_RUNNING || c->stage == STAGE_STOPPING;
}

static bool main_started(const struct pod_facts *f)
{
	for (size_t i = 0; i < f->n_containers; i++)
		if (f->containers[i]->kind == CONTAINER_MAIN && f->containers[i]->stage != STAGE_WAITING)
			return true;
	return false;
}

static bool init_done(const struct container *c)
{
	if (c->kind == CONTAINER_SIDECAR)
		return shows_running(c) && c->started;
	return c->exit.valid && c->exit.code == 0 && !shows_running(c);
}

const char *pod_phase(const struct pod_facts *f)
{
	size_t running = 0, waiting = 0, stopped = 0, succeeded = 0, n_main = 0;
	bool init_pending = false, init_failed = false, alive = false;

	for (size_t i = 0; i < f->n_containers; i++) {
		const struct container *c = f->containers[i];

		alive |= container_is_alive(c) && c->kind != CONTAINER_EPHEMERAL;
		if (is_init(c)) {
			if (!init_done(c)) {
				init_pending = true;
				init_failed |= c->kind == CONTAINER_INIT && c->exit.valid && c->exit.code != 0 &&
					       c->stage == STAGE_EXITED && !plan_restarts(f->policies[i], c);
			}
		}
		if (c->kind != CONTAINER_MAIN)
			continue;
		n_main++;
		if (shows_running(c)) {
			running++;
		} else if (c->exit.valid) {
			stopped++;
			succeeded += c->exit.code == 0;
		} else {
			waiting++;
		}
	}
	/* A pod that has ended isn't told before everything in it has. */
	if (f->reason)
		return alive ? (running || stopped ? "Running" : "Pending") : "Failed";
	if (init_failed && !main_started(f))
		return alive ? "Pending" : "Failed";
	if (init_pending && !main_started(f))
		return f->deleting && f->finished ? "Failed" : "Pending";
	if (waiting > 0)
		return f->deleting && f->finished ? "Failed" : "Pending";
	if (running > 0)
		return "Running";
	if (f->finished && n_main > 0)
		return stopped == succeeded ? "Succeeded" : "Failed";
	return "Running";
}

/* ---- container statuses ---- */

static void set_time(struct arena *a, struct json *o, const char *key, int64_t ns)
{
	char text[TIME_RFC3339_MAX];

	if (ns > 0)
		json_set_str(a, o, key, time_format(ns, text));
	else
		json_set(a, o, key, json_new(a, JSON_NULL));
}

static void put_terminated(struct arena *a, struct json *state, const struct container_exit *e)
{
	struct json *t = json_object_in(a, state, "terminated");

	json_set_int(a, t, "exitCode", e->code);
	if (e->signal)
		json_set_int(a, t, "signal", e->signal);
	json_set_str(a, t, "reason", e->reason);
	if (!str_empty(e->message))
		json_set_str(a, t, "message", e->message);
	set_time(a, t, "startedAt", e->started_ns);
	set_time(a, t, "finishedAt", e->finished_ns);
	if (e->id)
		json_set(a, t, "containerID", json_new_strf(a, CONTAINER_ID_SCHEME "%s", e->id));
}

static void put_state(struct arena *a, const struct pod_facts *f, const struct container *c, struct json *s)
{
	struct json *state = json_object_in(a, s, "state"), *last = json_object_in(a, s, "lastState");

	if (shows_running(c)) {
		set_time(a, json_object_in(a, state, "running"), "startedAt", c->started_ns);
		if (c->last.valid)
			put_terminated(a, last, &c->last);
		return;
	}
	if (shows_waiting(c) && !f->finished) {
		struct json *w = json_object_in(a, state, "waiting");
		bool has_init = json_len(json_path(f->pod, "spec.initContainers")) > 0;
		const char *usual = has_init ? "PodInitializing" : "ContainerCreating";

		json_set_str(a, w, "reason", c->waiting_reason ? c->waiting_reason : usual);
		if (c->waiting_reason && c->waiting_message)
			json_set_str(a, w, "message", c->waiting_message);
		if (c->exit.valid)
			put_terminated(a, last, &c->exit);
		else if (c->last.valid)
			put_terminated(a, last, &c->last);
		return;
	}
	if (c->exit.valid) {
		put_terminated(a, state, &c->exit);
		if (c->last.valid)
			put_terminated(a, last, &c->last);
	} else { /* it will never run */
		json_set_str(a, json_object_in(a, state, "waiting"), "reason",
			     c->waiting_reason ? c->waiting_reason : "ContainerCreating");
	}
}

static const struct json *spec_of(const struct json *pod, const struct container *c)
{
	static const char *const lists[] = {"initContainers", "initContainers", "containers", "ephemeralContainers"};

	JSON_EACH(s, json_get(json_get(pod, "spec"), lists[c->kind]))
		if (str_eq(json_path_str(s, "name"), c->name))
			return s;
	return NULL;
}

/* What the node has given, or before that what the spec asks for. */
static const struct json *resources_of(struct arena *a, const char *text, const struct json *spec)
{
	struct json *v;
	struct json_error e;

	return text && json_parse(a, text, strlen(text), &v, &e) == 0 ? v : json_get(spec, "resources");
}

static void put_resources(struct arena *a, struct json *status, const struct resources_given *g,
			  const struct json *spec)
{
	const struct json *allocated = resources_of(a, g ? g->allocated : NULL, spec);
	const struct json *applied = resources_of(a, g ? g->applied : NULL, spec);

	if (json_len(json_get(allocated, "requests")))
		json_set(a, status, "allocatedResources", json_clone(a, json_get(allocated, "requests")));
	/* Also when there are none: it tells that this node resizes. */
	json_set(a, status, "resources", applied ? json_clone(a, applied) : json_new(a, JSON_OBJECT));
}

static void put_container(struct arena *a, const struct pod_facts *f, const struct container *c, struct json *list)
{
	const struct json *spec = spec_of(f->pod, c);
	struct json *s = json_append(list, json_new(a, JSON_OBJECT));
	bool running = shows_running(c);
	bool ready = running && c->ready;

	if (c->kind == CONTAINER_INIT)
		ready = c->stage == STAGE_EXITED && c->exit.valid && c->exit.code == 0;
	json_set_str(a, s, "name", c->name);
	put_state(a, f, c, s);
	json_set_bool(a, s, "ready", ready);
	json_set_int(a, s, "restartCount", c->restarts);
	json_set_str(a, s, "image", str_or(json_path_str(spec, "image"), ""));
	json_set_str(a, s, "imageID", str_or(c->image_digest, str_or(c->image_id, "")));
	if (c->id)
		json_set(a, s, "containerID", json_new_strf(a, CONTAINER_ID_SCHEME "%s", c->id));
	json_set_bool(a, s, "started", running && c->started);
	if (c->kind != CONTAINER_EPHEMERAL)
		put_resources(a, s, &c->resources, spec);
}

static void put_containers(struct arena *a, const struct pod_facts *f, struct json *status)
{
	static const char *const lists[] = {"initContainerStatuses", "initContainerStatuses", "containerStatuses",
					    "ephemeralContainerStatuses"};

	for (size_t i = 0; i < f->n_containers; i++)
		put_container(a, f, f->containers[i], json_array_in(a, status, lists[f->containers[i]->kind]));
}

/* ---- conditions ---- */

struct condition_text {
	const char *status, *reason;
	char message[512];
};

static void add_name(struct buf *b, const char *name)
{
	if (b->len)
		buf_addc(b, ' ');
	buf_adds(b, name);
}

static void ready_condition(const struct pod_facts *f, const char *phase, struct condition_text *t)
{
	_cleanup_buf_ struct buf unready = BUF_INIT;

	for (size_t i = 0; i < f->n_containers; i++) {
		const struct container *c = f->containers[i];

		if ((c->kind == CONTAINER_MAIN || c->kind == CONTAINER_SIDECAR) && !(shows_running(c) && c->ready))
			add_name(&unready, c->name);
	}
	*t = (struct condition_text){.status = "False"};
	if (str_eq(phase, "Succeeded")) {
		t->reason = "PodCompleted";
	} else if (str_eq(phase, "Failed")) {
		t->reason = "PodFailed";
	} else if (unready.len) {
		t->reason = "ContainersNotReady";
		snprintf(t->message, sizeof(t->message), "containers with unready status: [%s]", buf_str(&unready));
	} else {
		t->status = "True";
	}
}

static void initialized_condition(const struct pod_facts *f, const char *phase, struct condition_text *t)
{
	_cleanup_buf_ struct buf names = BUF_INIT;

	*t = (struct condition_text){.status = "True"};
	if (str_eq(phase, "Succeeded"))
		t->reason = "PodCompleted";
	if (main_started(f) || str_eq(phase, "Succeeded"))
		return;
	for (size_t i = 0; i < f->n_containers; i++)
		if (is_init(f->containers[i]) && !init_done(f->containers[i]))
			add_name(&names, f->containers[i]->name);
	if (!names.len)
		return;
	t->status = "False";
	t->reason = "ContainersNotInitialized";
	snprintf(t->message, sizeof(t->message), "containers with incomplete status: [%s]", buf_str(&names));
}

/* readinessGates: each names a condition that somebody else sets. */
static void gate_condition(const struct pod_facts *f, const struct json *conditions, struct condition_text *t)
{
	JSON_EACH(g, json_path(f->pod, "spec.readinessGates")) {
		const char *type = str_or(json_path_str(g, "conditionType"), "");
		const char *status = NULL;

		JSON_EACH(c, conditions)
			if (str_eq(json_path_str(c, "type"), type))
				status = json_path_str(c, "status");
		if (str_eq(status, "True") || !str_eq(t->status, "True"))
			continue;
		t->status = "False";
		t->reason = "ReadinessGatesNotReady";
		snprintf(t->message, sizeof(t->message),
			 status ? "the status of pod readiness gate \"%s\" is not \"True\", but %s"
				: "corresponding condition of pod readiness gate \"%s\" does not exist.",
			 type, status);
	}
}

static void put_condition(struct arena *a, const struct pod_facts *f, struct json *conditions, const char *type,
			  const struct condition_text *t)
{
	struct json *c = NULL;
	int64_t generation = meta_generation(f->pod);

	JSON_EACH(old, conditions)
		if (str_eq(json_path_str(old, "type"), type))
			c = old;
	if (!c) {
		c = json_append(conditions, json_new(a, JSON_OBJECT));
		json_set_str(a, c, "type", type);
	}
	if (!str_eq(json_path_str(c, "status"), t->status)) {
		json_set_str(a, c, "status", t->status);
		json_set(a, c, "lastProbeTime", json_new(a, JSON_NULL));
		set_time(a, c, "lastTransitionTime", f->now_ns);
	}
	json_remove(c, "reason");
	json_remove(c, "message");
	if (t->reason)
		json_set_str(a, c, "reason", t->reason);
	if (t->message[0])
		json_set_str(a, c, "message", t->message);
	if (generation)
		json_set_int(a, c, "observedGeneration", generation);
}

/* Only while there is something to tell; see take_away in pod_report.c. */
static const char *const resize_conditions[] = {"PodResizePending", "PodResizeInProgress", NULL};

static void put_resize_conditions(struct arena *a, const struct pod_facts *f, struct json *conditions)
{
	struct condition_text t = {.status = "True", .reason = f->resize_reason};
	struct json *c, *next;

	for (c = json_first(conditions); c; c = next) {
		bool keep =
		    str_eq(json_path_str(c, "type"), "PodResizePending") ? f->resize_reason != NULL : f->resizing;

		next = json_next(conditions, c);
		if (str_in(json_path_str(c, "type"), resize_conditions) && !keep)
			json_remove_child(conditions, c);
	}
	if (f->resize_reason) {
		snprintf(t.message, sizeof(t.message), "%s", str_or(f->resize_message, ""));
		put_condition(a, f, conditions, "PodResizePending", &t);
	}
	if (f->resizing) {
		t = (struct condition_text){.status = "True", .reason = f->resize_error ? "Error" : NULL};
		snprintf(t.message, sizeof(t.message), "%s", str_or(f->resize_error, ""));
		put_condition(a, f, conditions, "PodResizeInProgress", &t);
	}
}

static void put_conditions(struct arena *a, const struct pod_facts *f, const char *phase, struct json *status)
{
	const struct json *old = json_get(f->previous ? f->previous : json_get(f->pod, "status"), "conditions");
	const struct json *theirs = json_path(f->pod, "status.conditions");
	struct json *conditions = json_set(a, status, "conditions", old ? json_clone(a, old) : json_new(a, JSON_ARRAY));
	struct condition_text t;

	/* What others wrote since then (readiness gates, DisruptionTarget). */
	JSON_EACH(c, f->previous ? theirs : NULL) {
		bool seen = false;

		JSON_EACH(mine, conditions)
			seen |= str_eq(json_path_str(mine, "type"), json_path_str(c, "type"));
		if (!seen)
			json_append(conditions, json_clone(a, c));
	}
	put_resize_conditions(a, f, conditions);
	t = (struct condition_text){.status = f->sandbox_ready && !f->finished ? "True" : "False"};
	put_condition(a, f, conditions, "PodReadyToStartContainers", &t);
	initialized_condition(f, phase, &t);
	put_condition(a, f, conditions, "Initialized", &t);
	ready_condition(f, phase, &t);
	put_condition(a, f, conditions, "ContainersReady", &t);
	gate_condition(f, theirs, &t);
	put_condition(a, f, conditions, "Ready", &t);
	t = (struct condition_text){.status = "True"};
	put_condition(a, f, conditions, "PodScheduled", &t);
}

/* ---- the whole ---- */

static void put_ips(struct arena *a, struct json *status, const char *one, const char *many, const char *ip)
{
	if (!ip)
		return;
	json_set_str(a, status, one, ip);
	json_set_str(a, json_append(json_array_in(a, status, many), json_new(a, JSON_OBJECT)), "ip", ip);
}

struct json *pod_status(struct arena *a, const struct pod_facts *f)
{
	struct json *status = json_new(a, JSON_OBJECT);
	const char *phase = pod_phase(f);
	int64_t generation = meta_generation(f->pod);

	if (generation)
		json_set_int(a, status, "observedGeneration", generation);
	json_set_str(a, status, "phase", phase);
	put_conditions(a, f, phase, status);
	if (f->reason) {
		json_set_str(a, status, "reason", f->reason);
		if (f->message)
			json_set_str(a, status, "message", f->message);
	}
	put_ips(a, status, "hostIP", "hostIPs", f->host_ip);
	put_ips(a, status, "podIP", "podIPs", f->pod_ip);
	set_time(a, status, "startTime", f->start_ns);
	put_containers(a, f, status);
	if (json_path(f->pod, "spec.resources"))
		put_resources(a, status, f->resources, json_get(f->pod, "spec"));
	json_set_str(a, status, "qosClass", pod_qos(f->pod));
	return status;
}
