/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's sandbox: its shim with namespaces and cgroup, its network, and taking both over or away. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "node/agent_internal.h"
#include "node/container_build.h"
#include "node/pod.h"
#include "node/pod_status.h"
#include "node/probe.h"
#include "runtime/runtime.h"

/* ---- making ---- */

static void sandbox_failed(struct pod *p, const struct status *err)
{
	_cleanup_free_ char *message = xasprintf("Failed to create pod sandbox: %s", str_or(err->message, "unknown"));
	_cleanup_status_ struct status wrapped = STATUS_INIT;

	status_set(&wrapped, 500, "%s", message);
	pod_problem(p, "FailedCreatePodSandBox", &wrapped);
}

static int attach_network(struct pod *p, struct status *err)
{
	_cleanup_close_ int netns = -1;

	if (p->host_network) {
		snprintf(p->ip, sizeof(p->ip), "%s", p->agent->cfg.node_ip);
		return 0;
	}
	netns = runtime_pod_netns(p->agent->runtime, p->uid);
	if (netns < 0) {
		status_set(err, 500, "no network namespace: %s", strerror(-netns));
		return netns;
	}
	return network_attach(p->agent->network, p->uid, netns, p->ip, err);
}

static void on_removed_after_failure(void *arg, const struct status *err)
{
	struct pod *p = arg;

	(void)err;
	p->busy = false;
	if (p->state != POD_GONE)
		pod_wake(p);
	pod_unref(p);
}

static void on_created(void *arg, const struct status *err)
{
	_cleanup_status_ struct status failed = STATUS_INIT;
	struct pod *p = arg;

	p->busy = false;
	if (p->state == POD_GONE) {
		pod_unref(p);
		return;
	}
	if (err && err->code == 404)
		err = NULL;
	if (err) {
		sandbox_failed(p, err);
	} else {
		p->sandbox_made = true;
		if (attach_network(p, &failed) == 0) {
			p->sandbox_ready = true;
			p->sandbox_backoff = (struct backoff){0};
			if (p->state == POD_SANDBOX)
				pod_move(p, POD_RUNNING);
			pod_record_save(p);
		} else {
			sandbox_failed(p, &failed);
			p->busy = true;
			p->sandbox_made = false;
			runtime_pod_remove(p->agent->runtime, p->uid, on_removed_after_failure, pod_ref(p));
		}
	}
	pod_wake(p);
	pod_unref(p);
}

static void read_sysctls(const struct json *tree, struct arena *a, struct pod_spec *s)
{
	const struct json *list = json_path(tree, "spec.securityContext.sysctls");

	s->sysctls = arena_zalloc(a, (json_len(list) + 1) * sizeof(*s->sysctls));
	JSON_EACH(c, list) {
		s->sysctls[s->n_sysctls++] = (struct spec_sysctl){
		    .name = str_or(json_path_str(c, "name"), ""),
		    .value = str_or(json_path_str(c, "value"), ""),
		};
	}
}

static const char *cgroup_parent(const struct json *tree)
{
	const char *qos = pod_qos(tree);

	if (str_eq(qos, "BestEffort"))
		return "besteffort";
	return str_eq(qos, "Burstable") ? "burstable" : "";
}

static bool wants_apparmor(const struct json *security)
{
	const char *type = json_path_str(security, "appArmorProfile.type");

	return !str_empty(type) && !str_eq(type, "Unconfined");
}

/* What the pod asks to be confined by, and this node cannot confine it by. */
static bool refuse(struct pod *p, const struct json *tree)
{
	static const char *const lists[] = {"spec.initContainers", "spec.containers"};
	bool apparmor = wants_apparmor(json_path(tree, "spec.securityContext"));

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		JSON_EACH(c, json_path(tree, lists[i]))
			apparmor |= wants_apparmor(json_get(c, "securityContext"));
	if (apparmor)
		pod_fail(p, "AppArmor",
			 access("/sys/module/apparmor", F_OK) < 0
			     ? "Cannot enforce AppArmor: AppArmor is not enabled on the host"
			     : "Cannot enforce AppArmor: this node doesn't support it");
	if (!apparmor && !json_path_bool(tree, "spec.hostUsers", true)) {
		_cleanup_status_ struct status err = STATUS_INIT;
		status_set(&err, 500,
			   "cannot set spec.hostUsers to false: this node doesn't support user namespaces for pods");
		on_created(pod_ref(p), &err);
		return true;
	}
	return apparmor;
}

void pod_sandbox_make(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *tree = pod_tree(p, &a);
	struct pod_spec s = {
	    .uid = p->uid,
	    .name = p->name,
	    .namespace_ = p->ns,
	    .hostname = pod_hostname(tree, &a),
	    .host_network = p->host_network,
	    .host_pid = json_path_bool(tree, "spec.hostPID", false),
	    .host_ipc = json_path_bool(tree, "spec.hostIPC", false),
	    .share_pid = json_path_bool(tree, "spec.shareProcessNamespace", false),
	    .cgroup_parent = cgroup_parent(tree),
	};

	if (p->sandbox_ready) { /* adopted, or only the volumes had to be made again */
		pod_move(p, POD_RUNNING);
		return;
	}
	if (refuse(p, tree))
		return;
	read_sysctls(tree, &a, &s);
	tree = pod_allocated_tree(p, &a);
	build_pod_resources(tree, &s.resources);
	pod_resize_made(p, tree);
	p->busy = true;
	runtime_pod_create(p->agent->runtime, &s, on_created, pod_ref(p));
}

/* ---- losing ---- */

/*
 * The shim died, and with it every container: they ended without anybody who could say how. The pod gets a new sandbox
 * if its restart policy lets anything run again; init containers run again too, as in a new pod.
 */
void pod_sandbox_lost(struct pod *p, const char *why)
{
	log_warn("pod lost its sandbox pod=%s/%s why=%s", p->ns, p->name, why);
	for (size_t i = 0; i < p->n_containers; i++) {
		struct pod_container *pc = p->containers[i];
		struct container_status st = {.exit_code = 137, .signal = 9};

		if (!container_is_alive(&pc->c))
			continue;
		snprintf(st.id, sizeof(st.id), "%s", str_or(pc->c.id, ""));
		st.finished_at_ns = now_ns();
		st.started_at_ns = pc->c.started_ns;
		pod_container_exited(pc, &st);
		pc->c.exit.reason = "ContainerStatusUnknown";
		if (pc->c.kind == CONTAINER_INIT && p->restart_policy != RESTART_NEVER)
			container_move(&pc->c, STAGE_WAITING);
	}
	p->sandbox_made = p->sandbox_ready = false;
	if (!p->host_network)
		network_detach(p->agent->network, p->uid);
	p->ip[0] = 0;
	p->status_dirty = true;
	if (p->state == POD_RUNNING) {
		pod_event(p, NULL, "Normal", "SandboxChanged",
			  "Pod sandbox changed, it will be killed and re-created: %s.", why);
		pod_move(p, POD_VOLUMES);
	}
	pod_wake(p);
}

/* ---- removing ---- */

static void remove_managed_files(struct pod *p)
{
	static const char *const names[] = {"etc-hosts", "resolv.conf", "hostname"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", p->dir, names[i]);

		unlink(path);
	}
}

static void on_removed(void *arg, const struct status *err)
{
	struct pod *p = arg;

	p->busy = false;
	if (p->state != POD_GONE) {
		if (err)
			log_warn("pod sandbox removal failed pod=%s/%s error=%s", p->ns, p->name,
				 str_or(err->message, ""));
		p->sandbox_made = p->sandbox_ready = false;
		if (!p->host_network && p->agent->network)
			network_detach(p->agent->network, p->uid);
		pod_volumes_remove(p);
		remove_managed_files(p);
		p->finished = true;
		pod_move(p, POD_FINISHED);
		pod_record_save(p);
	}
	pod_unref(p);
}

void pod_sandbox_remove(struct pod *p)
{
	p->busy = true;
	for (size_t i = 0; i < p->n_containers; i++)
		probes_stop(p->containers[i]);
	runtime_pod_remove(p->agent->runtime, p->uid, on_removed, pod_ref(p));
}

/* ---- taking over ---- */

static const struct container_status *status_of(const struct container_status *all, int n, const char *id)
{
	for (int i = 0; i < n; i++)
		if (str_eq(all[i].id, id))
			return &all[i];
	return NULL;
}

/* What the record said was running is compared with what the runtime has. */
static void adopt_container(struct pod_container *pc, const struct container_status *all, int n)
{
	const struct container_status *st = pc->c.id ? status_of(all, n, pc->c.id) : NULL;
	struct container_status lost = {.exit_code = 137};

	if (st && st->state == CONTAINER_RUNNING) {
		if (pc->c.stage != STAGE_RUNNING)
			pod_container_running(pc, st);
		return;
	}
	if (st && st->state == CONTAINER_EXITED && container_is_alive(&pc->c)) {
		pod_container_exited(pc, st);
	} else if (!st && container_is_alive(&pc->c)) {
		lost.started_at_ns = pc->c.started_ns;
		lost.finished_at_ns = now_ns();
		snprintf(lost.id, sizeof(lost.id), "%s", str_or(pc->c.id, ""));
		pod_container_exited(pc, &lost);
		pc->c.exit.reason = "ContainerStatusUnknown";
	}
}

void pod_adopt(struct pod *p, const struct container_status *containers, int n)
{
	_cleanup_status_ struct status err = STATUS_INIT;

	p->sandbox_made = true;
	for (size_t i = 0; i < p->n_containers; i++)
		adopt_container(p->containers[i], containers, n);
	/* Containers that the record doesn't know were being started when the agent ended: they are started again. */
	for (int i = 0; i < n; i++)
		if (!pod_container_by_id(p, containers[i].id))
			runtime_container_stop(p->agent->runtime, p->uid, containers[i].id, 9, 0, NULL, NULL);
	if (attach_network(p, &err) < 0) {
		log_warn("pod keeps running without its address pod=%s/%s error=%s", p->ns, p->name, err.message);
	}
	p->sandbox_ready = true;
	pod_wake(p);
}

void pod_adopt_nothing(struct pod *p)
{
	for (size_t i = 0; i < p->n_containers; i++) {
		adopt_container(p->containers[i], NULL, 0);
		/* A new sandbox starts with its init containers, as upstream does after a reboot. */
		if (p->containers[i]->c.kind == CONTAINER_INIT && p->containers[i]->c.stage == STAGE_EXITED &&
		    p->restart_policy != RESTART_NEVER)
			container_move(&p->containers[i]->c, STAGE_WAITING);
	}
}

/* ---- what the API remembers ---- */

static void take_exit(const struct json *t, struct container_exit *e)
{
	const char *at;

	e->valid = true;
	e->code = (int)json_path_int(t, "exitCode", 0);
	e->reason = e->code ? "Error" : "Completed";
	e->message = xstrdup(json_path_str(t, "message"));
	e->id = xstrdup(str_after(str_or(json_path_str(t, "containerID"), ""), "proa://"));
	if ((at = json_path_str(t, "startedAt")))
		time_parse(at, &e->started_ns);
	if ((at = json_path_str(t, "finishedAt")))
		time_parse(at, &e->finished_ns);
}

static void take_status(struct pod *p, bool ended)
{
	static const char *const lists[] = {"initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"};
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const struct json *status = json_get(pod_tree(p, &a), "status");

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
		JSON_EACH(s, json_get(status, lists[l])) {
			struct pod_container *pc = pod_container_named(p, json_path_str(s, "name"));
			const struct json *terminated = json_path(s, "state.terminated");

			if (!pc)
				continue;
			pc->c.restarts = (unsigned)json_path_int(s, "restartCount", 0);
			if (!ended && json_path(s, "state.running"))
				pc->c.restarts++;
			if (ended && terminated) {
				take_exit(terminated, &pc->c.exit);
				pc->c.stage = STAGE_EXITED;
			}
		}
	}
}

void pod_take_history(struct pod *p)
{
	take_status(p, false);
}

void pod_ended_before(struct pod *p)
{
	take_status(p, true);
}
