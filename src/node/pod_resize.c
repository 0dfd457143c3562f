/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resizing in place (KEP-1287): what the containers of a running pod have follows what its spec asks for.
 *
 *     spec ── the node has room ──► allocated ── cgroups are written, or the container is started again ──► applied
 *
 * All containers of a pod are given what they ask for at once, or wait as they are: Deferred until other pods end,
 * Infeasible on a node that is too small. The pod's own cgroup is widened before its containers change and brought to
 * its size after them, so that no container ever has more than its pod.
 */
#include <stdlib.h>
#include <string.h>

#include "api/amounts.h"
#include "api/pod_resources.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "node/agent_internal.h"
#include "node/container_build.h"
#include "node/node_status.h"
#include "node/pod.h"
#include "runtime/runtime.h"

#define RESIZE_RETRY_MS 10000 /* what a cgroup refused, as a limit below what is in use, may be possible later */

static const char *const names[] = {"cpu", "memory"};

/* ---- what each container has ---- */

static const char *text_of(struct arena *a, const struct json *resources)
{
	return resources ? json_to_string(a, resources) : "{}";
}

static struct json *parse(struct arena *a, const char *text)
{
	struct json *v = NULL;
	struct json_error e;

	return text && json_parse(a, text, strlen(text), &v, &e) == 0 ? v : json_new(a, JSON_OBJECT);
}

/* The pod's object, its containers with what is allocated (or applied) instead of what they ask for. */
static struct json *tree_with(const struct pod *p, struct arena *a, bool applied)
{
	struct json *tree = pod_tree(p, a);
	const char *whole = applied ? p->resize.resources.applied : p->resize.resources.allocated;

	if (json_path(tree, "spec.resources") && whole)
		json_set_path(a, tree, "spec.resources", parse(a, whole));
	for (size_t i = 0; i < p->n_containers; i++) {
		const struct container *c = &p->containers[i]->c;
		const char *text = applied ? c->resources.applied : c->resources.allocated;
		struct json *spec = text ? (struct json *)pod_container_spec(tree, p->containers[i]) : NULL;

		if (spec)
			json_set(a, spec, "resources", parse(a, text));
	}
	return tree;
}

struct json *pod_allocated_tree(const struct pod *p, struct arena *a)
{
	return tree_with(p, a, false);
}

static void set(struct resources_given *g, const struct json *resources)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	xreplace(&g->allocated, text_of(&a, resources));
	xreplace(&g->applied, g->allocated);
}

void pod_resize_started(struct pod_container *pc, const struct json *container)
{
	set(&pc->c.resources, json_get(container, "resources"));
}

void pod_resize_made(struct pod *p, const struct json *tree)
{
	set(&p->resize.resources, json_path(tree, "spec.resources"));
}

/* ---- room on the node ---- */

static struct amounts requests(struct arena *a, struct json *tree)
{
	json_remove(tree, "status"); /* it tells what was */
	return pod_amounts(a, tree, "requests");
}

static int64_t value_of(const struct amounts *m, const char *name)
{
	const struct quantity *q = amounts_get(m, name);

	return !q ? 0 : str_eq(name, "cpu") ? quantity_milli(q) : quantity_value(q);
}

static void used_by_others(const struct pod *p, int64_t sums[])
{
	MAP_EACH(slot, &p->agent->pods) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		const struct pod *other = slot->value;

		if (other == p || other->finished || other->state >= POD_FINISHED)
			continue;
		struct amounts m = requests(&a, pod_allocated_tree(other, &a));
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			sums[i] += value_of(&m, names[i]);
	}
}

static void pending(struct pod *p, const char *reason, const char *message)
{
	if (str_eq(p->resize.reason, reason) && str_eq(p->resize.message, message))
		return;
	p->resize.reason = reason;
	xreplace(&p->resize.message, message);
	p->status_dirty = true;
	if (reason)
		pod_event(p, NULL, "Warning", str_eq(reason, "Deferred") ? "ResizeDeferred" : "ResizeInfeasible",
			  "Pod resize is %s: %s", str_eq(reason, "Deferred") ? "deferred" : "infeasible", message);
}

/* What doesn't grow needs no room. */
static bool has_room(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct amounts want = requests(&a, pod_tree(p, &a)), has = requests(&a, pod_allocated_tree(p, &a));
	int64_t capacity[ARRAY_SIZE(names)], used[ARRAY_SIZE(names)] = {0}, storage;

	used_by_others(p, used);
	node_allocatable(p->agent->node, &capacity[0], &capacity[1], &storage);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int64_t wants = value_of(&want, names[i]);

		if (wants <= value_of(&has, names[i]))
			continue;
		if (wants > capacity[i]) {
			pending(p, "Infeasible",
				arena_printf(&a,
					     "Node didn't have enough capacity: %s, requested: %lld, capacity: %lld",
					     names[i], (long long)wants, (long long)capacity[i]));
			return false;
		}
		if (wants > capacity[i] - used[i]) {
			pending(p, "Deferred",
				arena_printf(
				    &a,
				    "Node didn't have enough resource: %s, requested: %lld, used: %lld, capacity: %lld",
				    names[i], (long long)wants, (long long)used[i], (long long)capacity[i]));
			return false;
		}
	}
	return true;
}

void pod_resize_room(struct agent *a)
{
	MAP_EACH(slot, &a->pods) {
		struct pod *p = slot->value;

		if (!str_eq(p->resize.reason, "Deferred"))
			continue;
		p->resize.look = true;
		pod_wake(p);
	}
}

/* ---- from the spec to what is allocated ---- */

/* Of what was made by an agent that kept no account, what it asks for now is taken for given. */
static bool differs(struct arena *a, struct resources_given *g, const struct json *resources)
{
	if (!g->allocated)
		set(g, resources);
	return !json_equal(parse(a, g->allocated), resources ? resources : json_new(a, JSON_OBJECT));
}

static bool asks_for_other(struct pod *p, struct arena *a, const struct json *tree)
{
	bool other = differs(a, &p->resize.resources, json_path(tree, "spec.resources"));

	for (size_t i = 0; i < p->n_containers; i++) {
		struct pod_container *pc = p->containers[i];
		const struct json *spec = pod_container_spec(tree, pc);

		if (spec && (pc->c.resources.allocated || container_is_alive(&pc->c)))
			other |= differs(a, &pc->c.resources, json_get(spec, "resources"));
	}
	return other;
}

static void allocate(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *tree = pod_tree(p, &a);

	if (!asks_for_other(p, &a, tree)) {
		pending(p, NULL, NULL);
		return;
	}
	if (!has_room(p))
		return;
	xreplace(&p->resize.resources.allocated, text_of(&a, json_path(tree, "spec.resources")));
	for (size_t i = 0; i < p->n_containers; i++) {
		struct pod_container *pc = p->containers[i];

		if (pc->c.resources.allocated)
			xreplace(&pc->c.resources.allocated,
				 text_of(&a, json_get(pod_container_spec(tree, pc), "resources")));
	}
	pending(p, NULL, NULL);
	xreplace(&p->resize.error, NULL);
	p->resize.under_way = true;
	p->resize.widened = false;
	p->resize.retry_ms = 0;
	p->status_dirty = true;
	pod_event(p, NULL, "Normal", "ResizeStarted", "Pod resize started");
	pod_record_save(p);
}

/* ---- from what is allocated to what is applied ---- */

static void round_over(struct pod *p)
{
	if (p->resize.error) {
		p->resize.widened = false;
		p->resize.retry_ms = monotonic_ms() + RESIZE_RETRY_MS;
	} else if (p->resize.last) {
		p->resize.under_way = false;
		xreplace(&p->resize.resources.applied, p->resize.resources.allocated);
		pod_event(p, NULL, "Normal", "ResizeCompleted", "Pod resize completed");
		pod_resize_room(p->agent);
	}
	p->status_dirty = true;
	pod_record_save(p);
	pod_wake(p);
}

static void failed(struct pod *p, struct pod_container *pc, const char *message)
{
	if (p->resize.error)
		return;
	p->resize.error = pc ? xasprintf("container %s: %s", pc->c.name, message) : xstrdup(message);
	if (!str_eq(p->resize.error, p->resize.told))
		pod_event(p, pc, "Warning", "ResizeError", "Pod resize failed: %s", p->resize.error);
	xreplace(&p->resize.told, p->resize.error);
}

struct call {
	struct pod *p;
	struct pod_container *pc; /* NULL: the pod's own group */
	char *text;
};

static void call_end(struct pod *p)
{
	if (--p->resize.calls == 0 && p->state != POD_GONE)
		round_over(p);
}

static void on_updated(void *arg, const struct status *err)
{
	struct call *c = arg;
	struct pod *p = c->p;

	if (err)
		failed(p, c->pc, str_or(err->message, "unknown error"));
	else if (c->pc)
		xreplace(&c->pc->c.resources.applied, c->text);
	call_end(p);
	free(c->text);
	free(c);
	pod_unref(p);
}

static struct call *call_new(struct pod *p, struct pod_container *pc)
{
	struct call *c = NEW(struct call);

	*c = (struct call){pod_ref(p), pc, pc ? xstrdup(pc->c.resources.allocated) : NULL};
	p->resize.calls++;
	return c;
}

/* Taking memory away that is in use would end what runs. */
static bool leaves_what_is_used(struct pod *p, struct pod_container *pc, const struct spec_resources *r)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct runtime *rt = p->agent->runtime;
	struct runtime_stats s;
	int e = pc ? runtime_container_stats(rt, p->uid, pc->c.id, &s) : runtime_pod_stats(rt, p->uid, &s);

	if (r->memory_limit <= 0 || e < 0 || s.memory_working_set <= r->memory_limit)
		return true;
	failed(p, pc,
	       arena_printf(&a, "the memory limit %lld is below what is in use, %lld", (long long)r->memory_limit,
			    (long long)s.memory_working_set));
	return false;
}

static void update(struct pod_container *pc)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = pc->pod;
	struct spec_resources r;

	build_resources(parse(&a, pc->c.resources.allocated), &r);
	if (!leaves_what_is_used(p, pc, &r))
		return;
	runtime_container_update(p->agent->runtime, p->uid, pc->c.id, &r, on_updated, call_new(p, pc));
}

static int64_t wider(int64_t x, int64_t y)
{
	return x <= 0 || y <= 0 ? 0 : MAX_OF(x, y); /* 0: no limit */
}

static void update_group(struct pod *p, bool widen)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct spec_resources r, had;

	build_pod_resources(pod_allocated_tree(p, &a), &r);
	if (widen) {
		build_pod_resources(tree_with(p, &a, true), &had);
		r.cpu_shares = MAX_OF(r.cpu_shares, had.cpu_shares);
		r.cpu_quota_us = wider(r.cpu_quota_us, had.cpu_quota_us);
		r.memory_limit = wider(r.memory_limit, had.memory_limit);
	}
	if (widen || leaves_what_is_used(p, NULL, &r))
		runtime_pod_update(p->agent->runtime, p->uid, &r, on_updated, call_new(p, NULL));
}

/* resizePolicy: a resource that changes and is not taken up by a running program. */
static bool must_restart(const struct json *spec, const struct container *c)
{
	static const char *const kinds[] = {"requests", "limits"};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *to = parse(&a, c->resources.allocated), *from = parse(&a, c->resources.applied);

	JSON_EACH(policy, json_get(spec, "resizePolicy")) {
		const char *name = str_or(json_path_str(policy, "resourceName"), "");

		if (!str_eq(json_path_str(policy, "restartPolicy"), "RestartContainer"))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			const struct json *x = json_get(json_get(from, kinds[i]), name),
					  *y = json_get(json_get(to, kinds[i]), name);

			if (x && y ? !json_equal(x, y) : x || y)
				return true;
		}
	}
	return false;
}

static void apply(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *tree = pod_tree(p, &a);
	struct pod_container **now = arena_alloc(&a, (p->n_containers + 1) * sizeof(struct pod_container *));
	bool later = false;
	size_t n = 0;

	for (size_t i = 0; i < p->n_containers; i++) {
		struct pod_container *pc = p->containers[i];

		if (!pc->c.resources.allocated || str_eq(pc->c.resources.allocated, pc->c.resources.applied))
			continue;
		if (!container_is_alive(&pc->c)) { /* it will be started with it */
			xreplace(&pc->c.resources.applied, pc->c.resources.allocated);
		} else if (pc->c.stage != STAGE_RUNNING) {
			later = true;
		} else if (must_restart(pod_container_spec(tree, pc), &pc->c)) {
			pc->c.start_again = true;
			pod_record_save(p); /* before it ends, perhaps without an agent */
			pod_container_stop(pc, pod_grace_ms(p),
					   arena_printf(&a, "Container %s resize requires restart", pc->c.name));
			later = true;
		} else {
			now[n++] = pc;
		}
	}
	bool widen = !p->resize.widened;
	if (later && n == 0 && !widen)
		return; /* its end, and its start, wake the pod */
	xreplace(&p->resize.error, NULL);
	p->resize.last = !widen && n == 0;
	p->resize.retry_ms = 0;
	p->resize.widened = true;
	p->resize.calls++;
	if (widen || p->resize.last)
		update_group(p, widen);
	for (size_t i = 0; i < n; i++)
		update(now[i]);
	call_end(p);
}

void pod_resize(struct pod *p)
{
	if (p->resize.calls) /* the answer wakes the pod */
		return;
	if (p->resize.look)
		allocate(p);
	p->resize.look = false;
	if (p->resize.under_way && p->resize.retry_ms <= monotonic_ms())
		apply(p);
}

void pod_resize_release(struct pod *p)
{
	resources_given_release(&p->resize.resources);
	free(p->resize.message);
	free(p->resize.error);
	free(p->resize.told);
}
