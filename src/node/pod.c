/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pod.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/object.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/events.h"
#include "image/image.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "node/kubelet_internal.h"
#include "node/probe.h"

#define SANDBOX_RETRY_MS_MAX 30000 /* a node that cannot make sandboxes may be repaired any moment */

/* ---- states ---- */

static const char *const state_names[] = {"new",      "volumes",  "sandbox",  "running", "stopping",
					  "removing", "finished", "deleting", "gone"};

static const unsigned short moves[] = {
    [POD_NEW] = 1 << POD_VOLUMES | 1 << POD_RUNNING | 1 << POD_STOPPING | 1 << POD_REMOVING | 1 << POD_FINISHED,
    [POD_VOLUMES] = 1 << POD_SANDBOX | 1 << POD_STOPPING | 1 << POD_REMOVING,
    [POD_SANDBOX] = 1 << POD_RUNNING | 1 << POD_VOLUMES | 1 << POD_STOPPING | 1 << POD_REMOVING,
    [POD_RUNNING] = 1 << POD_VOLUMES | 1 << POD_STOPPING | 1 << POD_REMOVING,
    [POD_STOPPING] = 1 << POD_REMOVING,
    [POD_REMOVING] = 1 << POD_FINISHED,
    [POD_FINISHED] = 1 << POD_DELETING | 1 << POD_GONE,
    [POD_DELETING] = 1 << POD_FINISHED | 1 << POD_GONE,
    [POD_GONE] = 0,
};

const char *pod_state_name(enum pod_state s)
{
	return state_names[s];
}

bool pod_can_move(enum pod_state from, enum pod_state to)
{
	return moves[from] >> to & 1;
}

void pod_move(struct pod *p, enum pod_state to)
{
	assert(pod_can_move(p->state, to));
	log_debug("pod moves pod=%s/%s from=%s to=%s", p->ns, p->name, state_names[p->state], state_names[to]);
	p->state = to;
	p->status_dirty = true;
	if (to == POD_FINISHED)
		pod_resize_room(p->agent);
	pod_wake(p);
}

/* ---- what it is made of ---- */

struct json *pod_tree(const struct pod *p, struct arena *a)
{
	return object_tree(p->object, a);
}

const struct json *pod_container_spec(const struct json *tree, const struct pod_container *pc)
{
	return downward_container(tree, pc->c.name);
}

struct pod_container *pod_container_named(struct pod *p, const char *name)
{
	for (size_t i = 0; i < p->n_containers; i++)
		if (str_eq(p->containers[i]->c.name, name))
			return p->containers[i];
	return NULL;
}

struct pod_container *pod_container_by_id(struct pod *p, const char *id)
{
	for (size_t i = 0; i < p->n_containers; i++)
		if (str_eq(p->containers[i]->c.id, id))
			return p->containers[i];
	return NULL;
}

static enum restart_policy parse_policy(const char *s, enum restart_policy fallback)
{
	if (str_eq(s, "Always"))
		return RESTART_ALWAYS;
	if (str_eq(s, "OnFailure"))
		return RESTART_ON_FAILURE;
	return str_eq(s, "Never") ? RESTART_NEVER : fallback;
}

static void add_container(struct pod *p, const struct json *spec, enum container_kind kind)
{
	struct pod_container *pc = NEW(struct pod_container);
	enum restart_policy policy = parse_policy(json_path_str(spec, "restartPolicy"), p->restart_policy);

	if (kind == CONTAINER_INIT && str_eq(json_path_str(spec, "restartPolicy"), "Always"))
		kind = CONTAINER_SIDECAR;
	pc->pod = p;
	pc->c.name = xstrdup(str_or(json_path_str(spec, "name"), ""));
	pc->c.kind = kind;
	pc->probe_grace_s = -1;
	pc->fallback_to_logs = str_eq(json_path_str(spec, "terminationMessagePolicy"), "FallbackToLogsOnError");
	p->containers = xrealloc(p->containers, (p->n_containers + 1) * sizeof(*p->containers));
	p->policies = xrealloc(p->policies, (p->n_containers + 1) * sizeof(*p->policies));
	p->containers[p->n_containers] = pc;
	p->policies[p->n_containers++] = policy;
}

/* Containers that the object has and we don't: all of them at first, ephemeral ones later. */
static void add_containers(struct pod *p, const struct json *tree)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
	static const enum container_kind kinds[] = {CONTAINER_INIT, CONTAINER_MAIN, CONTAINER_EPHEMERAL};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(c, json_get(json_get(tree, "spec"), lists[i]))
			if (!pod_container_named(p, json_path_str(c, "name")))
				add_container(p, c, kinds[i]);
}

void pod_event(struct pod *p, struct pod_container *pc, const char *type, const char *reason, const char *fmt, ...)
{
	static const char *const lists[] = {"initContainers", "initContainers", "containers", "ephemeralContainers"};
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (pc)
		path = xasprintf("spec.%s{%s}", lists[pc->c.kind], pc->c.name);
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		return;
	recorder_event_ref(
	    p->agent->events,
	    &(struct event_ref){
		.api_version = "v1", .kind = "Pod", .ns = p->ns, .name = p->name, .uid = p->uid, .field_path = path},
	    type, reason, "%s", text);
}

/* ---- life ---- */

static void sync(void *arg);

static void on_timer(void *arg)
{
	pod_wake(arg);
}

struct pod *pod_ref(struct pod *p)
{
	p->refs++;
	return p;
}

void pod_unref(struct pod *p)
{
	if (!p || --p->refs > 0)
		return;
	for (size_t i = 0; i < p->n_containers; i++)
		pod_container_free(p->containers[i]);
	object_unref(p->object);
	free(p->containers);
	free(p->policies);
	free(p->ns);
	free(p->name);
	free(p->uid);
	free(p->dir);
	free(p->log_dir);
	free(p->message);
	free(p->problem);
	pod_resize_release(p);
	free(p);
}

struct pod *pod_worker_new(struct agent *a, const struct object *o)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const struct json *tree = object_tree(o, &arena);
	const char *start = json_path_str(tree, "status.startTime");
	struct pod *p = NEW(struct pod);

	p->agent = a;
	p->refs = 1;
	p->object = object_ref(o);
	p->ns = xstrdup(o->ns);
	p->name = xstrdup(o->name);
	p->uid = xstrdup(o->uid);
	p->dir = xasprintf("%s/pods/%s", a->cfg.data_dir, p->uid);
	p->log_dir = xasprintf("%s/%s_%s_%s", a->cfg.log_dir, p->ns, p->name, p->uid);
	p->restart_policy = parse_policy(json_path_str(tree, "spec.restartPolicy"), RESTART_ALWAYS);
	p->host_network = json_path_bool(tree, "spec.hostNetwork", false);
	if (!start || time_parse(start, &p->start_ns) < 0)
		p->start_ns = now_ns();
	add_containers(p, tree);
	p->resize.look = true;
	p->sync = loop_defer_new(a->loop, sync, p);
	p->timer = loop_timer_new(a->loop, on_timer, p);
	return p;
}

void pod_close(struct pod *p)
{
	for (size_t i = 0; i < p->n_containers; i++)
		probes_stop(p->containers[i]);
	pod_volumes_release(p);
	pod_report_release(p);
	loop_defer_free(p->sync);
	loop_timer_free(p->timer);
	p->sync = NULL;
	p->timer = NULL;
	p->state = POD_GONE;
}

void pod_wake(struct pod *p)
{
	if (p->sync)
		loop_defer_schedule(p->sync);
}

bool pod_deleting(const struct pod *p)
{
	return p->api_gone || p->object->deleting || p->agent->stopping;
}

void pod_changed(struct pod *p, const struct object *o)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const struct object *old = p->object;

	p->object = object_ref(o);
	object_unref(old);
	add_containers(p, pod_tree(p, &arena));
	p->resize.look = true;
	p->update_volumes = true; /* labels and annotations may be in a volume */
	p->status_dirty = true;
	pod_wake(p);
}

void pod_api_deleted(struct pod *p)
{
	p->api_gone = true;
	pod_wake(p);
}

void pod_fail(struct pod *p, const char *reason, const char *message)
{
	if (p->reason)
		return;
	p->reason = reason;
	p->message = xstrdup(message);
	pod_wake(p);
}

int64_t pod_grace_ms(const struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *tree = pod_tree(p, &a);
	int64_t spec = json_path_int(tree, "spec.terminationGracePeriodSeconds", 30);
	int64_t grace = json_path_int(tree, "metadata.deletionGracePeriodSeconds", spec);

	if (p->agent->stopping)
		grace = MIN_OF(grace, p->agent->stop_grace_s);
	return grace * 1000;
}

bool pod_any_alive(const struct pod *p)
{
	for (size_t i = 0; i < p->n_containers; i++)
		if (container_is_alive(&p->containers[i]->c))
			return true;
	return false;
}

/* ---- deciding ---- */

static void wake_in(struct pod *p, int64_t ms)
{
	loop_timer_start(p->timer, MAX_OF(ms, 1));
}

/* An event once for each problem; tries again when an event comes or the back-off is over. */
static void problem(struct pod *p, const char *reason, const struct status *err, bool retry)
{
	const char *message = str_or(err->message, "unknown error");

	if (!str_eq(p->problem, message)) {
		free(p->problem);
		p->problem = xstrdup(message);
		pod_event(p, NULL, "Warning", reason, "%s", message);
		log_warn("pod cannot start pod=%s/%s reason=%s error=%s", p->ns, p->name, reason, message);
	}
	if (retry) {
		int64_t ms =
		    p->sandbox_backoff.delay_ms ? MIN_OF(p->sandbox_backoff.delay_ms * 2, SANDBOX_RETRY_MS_MAX) : 1000;

		p->sandbox_backoff.delay_ms = ms;
		p->retry_ms = monotonic_ms() + ms;
		wake_in(p, ms);
	}
}

void pod_problem(struct pod *p, const char *reason, const struct status *err)
{
	problem(p, reason, err, true);
}

static void sync_volumes(struct pod *p)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	int r;

	if (p->retry_ms > monotonic_ms()) {
		wake_in(p, p->retry_ms - monotonic_ms());
		return;
	}
	p->retry_ms = 0;
	r = pod_volumes_make(p, &err);
	if (r == -EAGAIN)
		return; /* an event will come */
	if (r < 0) {
		problem(p, "FailedMount", &err, r != -ENOENT);
		return;
	}
	p->volumes_ready = true;
	free(p->problem);
	p->problem = NULL;
	pod_move(p, POD_SANDBOX);
}

static void sync_sandbox(struct pod *p)
{
	if (p->busy)
		return;
	if (p->retry_ms > monotonic_ms()) {
		wake_in(p, p->retry_ms - monotonic_ms());
		return;
	}
	p->retry_ms = 0;
	pod_sandbox_make(p);
}

/* activeDeadlineSeconds: false when it is over. Otherwise *ret_ms is when it will be. */
static bool within_deadline(struct pod *p, int64_t *ret_ms)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	int64_t s = json_path_int(pod_tree(p, &a), "spec.activeDeadlineSeconds", -1), left;

	*ret_ms = -1;
	if (s < 0)
		return true;
	left = p->start_ns / 1000000 + s * 1000 - now_ns() / 1000000;
	*ret_ms = left;
	return left > 0;
}

static void act(struct pod *p, const enum plan_step *steps)
{
	for (size_t i = 0; i < p->n_containers; i++) {
		struct pod_container *pc = p->containers[i];

		if (steps[i] == PLAN_START) {
			pod_container_start(pc);
		} else if (steps[i] == PLAN_WAIT && pc->c.stage == STAGE_EXITED && !pc->c.retry_ms &&
			   !str_eq(pc->c.waiting_reason, "CrashLoopBackOff")) {
			char delay[BACKOFF_TEXT_MAX];
			_cleanup_free_ char *message = NULL;

			backoff_text(pc->c.restart_backoff.delay_ms, delay);
			message = xasprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", delay,
					    pc->c.name, p->name, p->ns, p->uid);
			container_set_waiting(&pc->c, "CrashLoopBackOff", message);
			pod_event(p, pc, "Warning", "BackOff",
				  "Back-off restarting failed container %s in pod %s_%s(%s)", pc->c.name, p->name,
				  p->ns, p->uid);
			p->status_dirty = true;
		} else if (steps[i] == PLAN_STOP) {
			pod_container_stop(pc, pod_grace_ms(p), NULL);
		}
	}
}

static void sync_running(struct pod *p)
{
	enum plan_step *steps = xcalloc(p->n_containers + 1, sizeof(*steps));
	struct plan plan;
	int64_t deadline_ms, now = monotonic_ms();

	if (!within_deadline(p, &deadline_ms)) {
		pod_fail(p, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
		pod_event(p, NULL, "Normal", "DeadlineExceeded", "%s", p->message);
		free(steps);
		return;
	}
	if (p->update_volumes)
		pod_volumes_update(p);
	p->update_volumes = false;
	pod_resize(p);
	pod_plan((const struct container *const *)p->containers, p->policies, p->n_containers, now, steps, &plan);
	if (!plan.finished)
		act(p, steps);
	free(steps);
	if (plan.finished) {
		pod_move(p, POD_STOPPING);
		return;
	}
	if (deadline_ms > 0 && (plan.wake_ms < 0 || now + deadline_ms < plan.wake_ms))
		plan.wake_ms = now + deadline_ms;
	if (p->resize.retry_ms > now && (plan.wake_ms < 0 || p->resize.retry_ms < plan.wake_ms))
		plan.wake_ms = p->resize.retry_ms;
	if (plan.wake_ms >= 0)
		wake_in(p, plan.wake_ms - now);
	else
		loop_timer_stop(p->timer);
}

static void sync_stopping(struct pod *p)
{
	int64_t by = monotonic_ms() + pod_grace_ms(p);

	/* A second delete may shorten the grace period, never lengthen it. */
	if (!p->stop_by_ms || by < p->stop_by_ms)
		p->stop_by_ms = by;
	if (pod_any_alive(p)) {
		pod_stop_containers(p);
		return;
	}
	if (!p->busy)
		pod_move(p, POD_REMOVING);
}

/* Nothing of it was ever made: its end is only told. */
static bool nothing_made(const struct pod *p)
{
	return !p->sandbox_made && !p->busy && !pod_any_alive(p);
}

static bool wants_stop(const struct pod *p)
{
	return pod_deleting(p) || p->reason;
}

static void sync_once(struct pod *p)
{
	if (wants_stop(p) && p->state < POD_STOPPING && !(p->state == POD_SANDBOX && p->busy))
		pod_move(p, nothing_made(p) ? POD_REMOVING : POD_STOPPING);
	switch (p->state) {
	case POD_NEW:
		pod_volumes_need(p);
		pod_move(p, POD_VOLUMES);
		break;
	case POD_VOLUMES:
		sync_volumes(p);
		break;
	case POD_SANDBOX:
		sync_sandbox(p);
		break;
	case POD_RUNNING:
		sync_running(p);
		break;
	case POD_STOPPING:
		sync_stopping(p);
		break;
	case POD_REMOVING:
		if (!p->busy)
			pod_sandbox_remove(p);
		break;
	case POD_FINISHED:
		if (p->api_gone)
			pod_move(p, POD_GONE);
		else if (p->object->deleting && !p->busy && pod_report_settled(p))
			pod_delete_object(p);
		break;
	case POD_DELETING:
		if (p->api_gone)
			pod_move(p, POD_GONE);
		break;
	case POD_GONE:
		break;
	}
}

/* The images that it held may be collected. */
static void image_unuse_all(struct pod *p)
{
	for (size_t i = 0; i < p->n_containers; i++)
		if (p->containers[i]->c.image_id)
			image_unuse(p->agent->images, p->containers[i]->c.image_id, p->uid);
}

static void forget(struct pod *p)
{
	struct agent *a = p->agent;

	pod_record_remove(a, p->uid);
	fs_remove_tree(p->dir);
	fs_remove_tree(p->log_dir);
	log_info("pod is gone pod=%s/%s uid=%s", p->ns, p->name, p->uid);
	map_remove(&a->pods, p->uid);
	kubelet_logs_wake(a->api, p->uid);
	image_unuse_all(p);
	pod_close(p);
	pod_unref(p);
	agent_pod_gone(a);
}

static void sync(void *arg)
{
	struct pod *p = arg;
	enum pod_state before;

	do {
		before = p->state;
		sync_once(p);
	} while (p->state != before);
	if (p->state == POD_GONE) {
		forget(p);
		return;
	}
	if (p->state == POD_FINISHED && p->agent->stopping)
		agent_pod_gone(p->agent);
	if (p->status_dirty)
		pod_report(p);
}
