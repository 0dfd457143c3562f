/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent has to know of a pod after it was killed and started again, and the runtime doesn't: which container
 * id belongs to which container, how often it was restarted, how it ended before. RUN_DIR/agent/UID.json, replaced
 * atomically whenever one of these changes; gone after a reboot, as the containers are (counts then come from the API).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "node/agent_internal.h"
#include "node/pod.h"

#define RECORD_BYTES_MAX (4u << 20) /* some 1,000 containers with full termination messages */

static char *record_path(const struct agent *a, const char *uid)
{
	return xasprintf("%s/agent/%s.json", a->cfg.run_dir, uid);
}

static void put_resources(struct arena *a, struct json *o, const struct resources_given *g)
{
	json_set_str(a, o, "allocated", g->allocated);
	json_set_str(a, o, "applied", g->applied);
}

static void get_resources(const struct json *o, struct resources_given *g)
{
	resources_given_release(g);
	g->allocated = xstrdup(json_path_str(o, "allocated"));
	g->applied = xstrdup(json_path_str(o, "applied"));
}

static void put_exit(struct arena *a, struct json *o, const char *key, const struct container_exit *e)
{
	struct json *x;

	if (!e->valid)
		return;
	x = json_object_in(a, o, key);
	json_set_int(a, x, "code", e->code);
	json_set_str(a, x, "reason", e->reason);
	json_set_str(a, x, "message", e->message);
	json_set_str(a, x, "id", e->id);
	json_set_int(a, x, "started", e->started_ns);
	json_set_int(a, x, "finished", e->finished_ns);
}

void pod_record_save(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_free_ char *path = record_path(p->agent, p->uid);
	struct json *record = json_new(&a, JSON_OBJECT), *list = json_array_in(&a, record, "containers");
	int64_t now = monotonic_ms();
	int r;

	json_set_bool(&a, record, "finished", p->finished);
	json_set_str(&a, record, "reason", p->reason);
	json_set_str(&a, record, "message", p->message);
	put_resources(&a, record, &p->resize.resources);
	json_set_bool(&a, record, "resizing", p->resize.under_way);
	for (size_t i = 0; i < p->n_containers; i++) {
		const struct pod_container *pc = p->containers[i];
		struct json *c = json_append(list, json_new(&a, JSON_OBJECT));

		json_set_str(&a, c, "name", pc->c.name);
		json_set_int(&a, c, "stage", pc->c.stage);
		json_set_int(&a, c, "restarts", pc->c.restarts);
		json_set_str(&a, c, "id", pc->c.id);
		json_set_str(&a, c, "image", pc->c.image_id);
		json_set_str(&a, c, "imageDigest", pc->c.image_digest);
		put_resources(&a, c, &pc->c.resources);
		json_set_bool(&a, c, "startAgain", pc->c.start_again);
		json_set_str(&a, c, "log", pc->log_path);
		json_set_str(&a, c, "termination", pc->termination_path);
		json_set_int(&a, c, "signal", pc->stop_signal);
		json_set_int(&a, c, "running", pc->c.started_ns);
		json_set_bool(&a, c, "started", pc->c.started);
		json_set_bool(&a, c, "ready", pc->c.ready);
		json_set_int(&a, c, "backoff", pc->c.restart_backoff.delay_ms);
		/* Monotonic times mean nothing to another process: how long ago it was does. */
		json_set_int(&a, c, "raised", now_ns() / 1000000 - (now - pc->c.restart_backoff.updated_ms));
		json_set_int(&a, c, "exited", now_ns() / 1000000 - (now - pc->c.exited_ms));
		put_exit(&a, c, "exit", &pc->c.exit);
		put_exit(&a, c, "last", &pc->c.last);
	}
	json_write(&out, record);
	r = fs_write_replace(path, buf_str(&out), out.len, 0600);
	if (r < 0)
		log_error("pod record not written path=%s error=%s", path, strerror(-r));
}

/* The static strings that reasons are. */
static const char *known_reason(const char *s)
{
	static const char *const reasons[] = {
	    "Completed",	"Error",     "OOMKilled", "StartError", "ContainerStatusUnknown",
	    "DeadlineExceeded", "OutOfpods", "AppArmor",  NULL};

	for (size_t i = 0; reasons[i]; i++)
		if (str_eq(s, reasons[i]))
			return reasons[i];
	return NULL;
}

static void get_exit(const struct json *x, struct container_exit *e)
{
	if (!x)
		return;
	container_exit_release(e);
	*e = (struct container_exit){.valid = true,
				     .code = (int)json_path_int(x, "code", 0),
				     .reason = str_or(known_reason(json_path_str(x, "reason")), "Error"),
				     .message = xstrdup(json_path_str(x, "message")),
				     .id = xstrdup(json_path_str(x, "id")),
				     .started_ns = json_path_int(x, "started", 0),
				     .finished_ns = json_path_int(x, "finished", 0)};
}

static void get_container(struct pod_container *pc, const struct json *c)
{
	int64_t stage = json_path_int(c, "stage", STAGE_WAITING), now = monotonic_ms(), wall = now_ns() / 1000000;

	free(pc->c.id);
	pc->c.id = xstrdup(json_path_str(c, "id"));
	free(pc->c.image_id);
	pc->c.image_id = xstrdup(json_path_str(c, "image"));
	free(pc->c.image_digest);
	pc->c.image_digest = xstrdup(json_path_str(c, "imageDigest"));
	get_resources(c, &pc->c.resources);
	pc->c.start_again = json_path_bool(c, "startAgain", false);
	free(pc->log_path);
	pc->log_path = xstrdup(json_path_str(c, "log"));
	free(pc->termination_path);
	pc->termination_path = xstrdup(json_path_str(c, "termination"));
	pc->stop_signal = (int)json_path_int(c, "signal", 0);
	pc->c.restarts = (unsigned)json_path_int(c, "restarts", 0);
	pc->c.started_ns = json_path_int(c, "running", 0);
	pc->c.started = json_path_bool(c, "started", false);
	pc->c.ready = json_path_bool(c, "ready", false);
	pc->c.restart_backoff.delay_ms = json_path_int(c, "backoff", 0);
	pc->c.restart_backoff.updated_ms = now - (wall - json_path_int(c, "raised", wall));
	pc->c.exited_ms = now - (wall - json_path_int(c, "exited", wall));
	get_exit(json_get(c, "exit"), &pc->c.exit);
	get_exit(json_get(c, "last"), &pc->c.last);
	pc->c.stage = stage >= STAGE_WAITING && stage <= STAGE_EXITED ? (enum container_stage)stage : STAGE_WAITING;
	if (pc->c.stage == STAGE_STOPPING) /* what was told to end is told again */
		pc->c.stage = STAGE_STARTING;
	else if (pc->c.stage == STAGE_RUNNING)
		pc->c.stage = STAGE_STARTING; /* until the runtime says so: see adopt_container */
}

bool pod_record_load(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *path = record_path(p->agent, p->uid);
	struct json_error error;
	const char *reason;
	struct json *record;
	int r = fs_read(path, RECORD_BYTES_MAX, &text);

	if (r < 0)
		return false;
	if (json_parse(&a, buf_str(&text), text.len, &record, &error) < 0) {
		log_warn("pod record is damaged path=%s error=%s", path, error.message);
		return false;
	}
	p->finished = json_path_bool(record, "finished", false);
	get_resources(record, &p->resize.resources);
	p->resize.under_way = json_path_bool(record, "resizing", false);
	reason = known_reason(json_path_str(record, "reason"));
	if (reason)
		pod_fail(p, reason, json_path_str(record, "message"));
	JSON_EACH(c, json_get(record, "containers")) {
		struct pod_container *pc = pod_container_named(p, json_path_str(c, "name"));

		if (pc)
			get_container(pc, c);
	}
	return true;
}

void pod_record_remove(struct agent *a, const char *uid)
{
	_cleanup_free_ char *path = record_path(a, uid);

	unlink(path);
}
