/* SPDX-License-Identifier: Apache-2.0 */
/* Containers and streams: each call is one request to the pod's shim. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/runtime_internal.h"
#include "runtime/seccomp_profile.h"
#include "runtime/spec_json.h"

static struct pod *find_or_fail(struct runtime *r, const char *uid, runtime_done_fn done, void *arg)
{
	struct pod *p = pod_find(r, uid);
	if (!p)
		call_later(r, done, arg, 404, "no such pod");
	return p;
}

/* A request about one container: {"id": …} and whatever the caller adds. */
static struct json *about(struct arena *a, const char *id)
{
	struct json *o = json_new(a, JSON_OBJECT);
	json_set_str(a, o, "id", id);
	return o;
}

void runtime_pod_update(struct runtime *r, const char *uid, const struct spec_resources *res, runtime_done_fn done,
			void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = find_or_fail(r, uid, done, arg);
	if (!p)
		return;
	struct json *o = json_new(&a, JSON_OBJECT);
	json_set(&a, o, "resources", spec_resources_to_json(&a, res));
	pod_call(p, FRAME_POD_UPDATE, &a, o, NULL, 0, done, arg);
}

void runtime_container_create(struct runtime *r, const char *uid, const struct container_spec *s, const int *fds,
			      int n_fds, bool start, runtime_done_fn done, void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ char *filter = NULL;
	struct container_spec copy = *s;
	struct pod *p = find_or_fail(r, uid, done, arg);
	if (!p)
		return;
	if (n_fds > FRAME_FDS_MAX) {
		call_later(r, done, arg, 400, "too many mounts by descriptor");
		return;
	}
	if (str_eq(s->seccomp, "RuntimeDefault") && !s->privileged) {
		int result = seccomp_default(r->run_dir, s, &filter);
		if (result < 0) {
			call_later(r, done, arg, 500, "the default seccomp filter cannot be made");
			return;
		}
		copy.seccomp = filter;
	}
	struct json *o = json_new(&a, JSON_OBJECT);
	json_set(&a, o, "spec", container_spec_to_json(&a, &copy));
	json_set_bool(&a, o, "start", start);
	pod_call(p, FRAME_CREATE, &a, o, fds, n_fds, done, arg);
}

static void simple(struct runtime *r, const char *uid, const char *id, int type, runtime_done_fn done, void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = find_or_fail(r, uid, done, arg);
	if (p)
		pod_call(p, type, &a, about(&a, id), NULL, 0, done, arg);
}

void runtime_container_start(struct runtime *r, const char *uid, const char *id, runtime_done_fn done, void *arg)
{
	simple(r, uid, id, FRAME_START, done, arg);
}

void runtime_container_reopen_log(struct runtime *r, const char *uid, const char *id, runtime_done_fn done, void *arg)
{
	simple(r, uid, id, FRAME_REOPEN_LOG, done, arg);
}

void runtime_container_signal(struct runtime *r, const char *uid, const char *id, int signum, runtime_done_fn done,
			      void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = find_or_fail(r, uid, done, arg);
	if (!p)
		return;
	struct json *o = about(&a, id);
	json_set_int(&a, o, "signal", signum);
	pod_call(p, FRAME_SIGNAL, &a, o, NULL, 0, done, arg);
}

void runtime_container_stop(struct runtime *r, const char *uid, const char *id, int signum, int64_t grace_ms,
			    runtime_done_fn done, void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = find_or_fail(r, uid, done, arg);
	if (!p)
		return;
	struct json *o = about(&a, id);
	json_set_int(&a, o, "signal", signum);
	json_set_int(&a, o, "graceMs", grace_ms);
	pod_call(p, FRAME_STOP, &a, o, NULL, 0, done, arg);
}

struct removal {
	struct runtime *r;
	char *uid, *id;
	runtime_done_fn done;
	void *arg;
};

static void removed(void *arg, const struct status *err)
{
	struct removal *m = arg;
	struct pod *p = pod_find(m->r, m->uid);
	if (p && !err)
		free(map_remove(&p->containers, m->id));
	if (m->done)
		m->done(m->arg, err);
	free(m->uid);
	free(m->id);
	free(m);
}

void runtime_container_remove(struct runtime *r, const char *uid, const char *id, runtime_done_fn done, void *arg)
{
	struct removal *m = NEW(struct removal);
	*m = (struct removal){r, xstrdup(uid), xstrdup(id), done, arg};
	simple(r, uid, id, FRAME_REMOVE, removed, m);
}

void runtime_container_update(struct runtime *r, const char *uid, const char *id, const struct spec_resources *res,
			      runtime_done_fn done, void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = find_or_fail(r, uid, done, arg);
	if (!p)
		return;
	struct json *o = about(&a, id);
	json_set(&a, o, "resources", spec_resources_to_json(&a, res));
	pod_call(p, FRAME_UPDATE, &a, o, NULL, 0, done, arg);
}

bool runtime_container_status(struct runtime *r, const char *uid, const char *id, struct container_status *ret)
{
	struct pod *p = pod_find(r, uid);
	struct container_status *s = p ? map_get(&p->containers, id) : NULL;
	if (s)
		*ret = *s;
	return s != NULL;
}

void runtime_container_resize(struct runtime *r, const char *uid, const char *id, int rows, int columns,
			      runtime_done_fn done, void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = find_or_fail(r, uid, done, arg);
	if (!p)
		return;
	struct json *o = about(&a, id);
	json_set_int(&a, o, "rows", rows);
	json_set_int(&a, o, "columns", columns);
	pod_call(p, FRAME_RESIZE, &a, o, NULL, 0, done, arg);
}

/* ---- streams ---- */

static int add_streams(struct arena *a, struct json *o, const int fds[3], int out[3])
{
	int n = 0;
	struct json *has = json_array_in(a, o, "has");
	for (int i = 0; i < 3; i++) {
		json_append(has, json_new_bool(a, fds[i] >= 0));
		if (fds[i] >= 0)
			out[n++] = fds[i];
	}
	return n;
}

struct no_exec {
	runtime_exec_started_fn started;
	void *arg;
};

static void no_exec(void *arg, const struct status *err)
{
	struct no_exec *n = arg;
	n->started(n->arg, -1, 0, err);
	free(n);
}

void runtime_exec(struct runtime *r, const char *uid, const char *id, const struct container_spec *s, const int fds[3],
		  runtime_exec_started_fn started, runtime_exec_exited_fn exited, void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = pod_find(r, uid);
	struct no_exec *n = NEW(struct no_exec);
	int send[3], count = 0;
	*n = (struct no_exec){started, arg};
	if (!p) {
		call_later(r, no_exec, n, 404, "no such pod");
		return;
	}
	struct json *o = about(&a, id);
	json_set(&a, o, "spec", container_spec_to_json(&a, s));
	if (!s->tty)
		count = add_streams(&a, o, fds, send);
	json_set_bool(&a, o, "killOnClose", true);
	struct request *q = pod_call(p, FRAME_EXEC, &a, o, send, count, no_exec, n);
	if (!q)
		return;
	free(n);
	q->done = NULL;
	q->started = started;
	q->exited = exited;
	q->arg = arg;
}

void runtime_exec_kill(struct runtime *r, const char *uid, int pid, runtime_done_fn done, void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = find_or_fail(r, uid, done, arg);
	if (!p)
		return;
	struct json *o = json_new(&a, JSON_OBJECT);
	json_set_int(&a, o, "pid", pid);
	pod_call(p, FRAME_EXEC_KILL, &a, o, NULL, 0, done, arg);
}

void runtime_attach(struct runtime *r, const char *uid, const char *id, const int fds[3], runtime_done_fn done,
		    void *arg)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = find_or_fail(r, uid, done, arg);
	int send[3];
	if (!p)
		return;
	struct json *o = about(&a, id);
	int n = add_streams(&a, o, fds, send);
	pod_call(p, FRAME_ATTACH, &a, o, send, n, done, arg);
}

/* ---- usage ---- */

int runtime_pod_stats(struct runtime *r, const char *uid, struct runtime_stats *ret)
{
	struct pod *p = pod_find(r, uid);
	return p ? cgroup_stats(&r->layout, p->state.cgroup, ret) : -ENOENT;
}

int runtime_container_stats(struct runtime *r, const char *uid, const char *id, struct runtime_stats *ret)
{
	struct pod *p = pod_find(r, uid);
	char path[CGROUP_PATH_MAX];
	if (!p || !map_get(&p->containers, id))
		return -ENOENT;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", p->state.cgroup, id) >= sizeof(path))
		return -ENAMETOOLONG;
	return cgroup_stats(&r->layout, path, ret);
}
