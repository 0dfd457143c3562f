/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs programs of a build in containers of our own runtime, each in a pod of its own, one after the other. The
 * runtime's directory is locked as long as the build lives; what a killed build left running is ended by the next one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "build/run_internal.h"
#include "build/sources.h"
#include "io/loop.h"
#include "runtime/cgroup.h"
#include "runtime/runtime.h"

#define RUN_BASE "/run/proa-build"
#define INTERRUPTED (-EINTR)

struct runner {
	struct loop *loop;
	struct runtime *runtime;
	char *name; /* of the directory below RUN_BASE and of the control group */
	int lock;
	unsigned n;
	unsigned removing; /* pods */
	/* of what is waited for */
	bool done;
	struct status err;
	/* of the container that runs */
	const char *pod, *id;
	bool exited, interrupted;
	int code;
	int out; /* read end of its output; -1: ended */
	struct loop_fd *watch;
	struct build *build;
};

/* ---- waiting ---- */

static void finished(void *arg, const struct status *err)
{
	struct runner *r = arg;
	r->done = true;
	if (err)
		status_copy(&r->err, err);
	loop_stop(r->loop);
}

/* After a call with finished() as its callback. 0, or negative errno with a reason. */
static int wait_done(struct runner *r, char *err, size_t err_len)
{
	while (!r->done)
		loop_run(r->loop);
	r->done = false;
	if (!status_failed(&r->err))
		return 0;
	int code = r->err.code;
	snprintf(err, err_len, "%s", str_or(r->err.message, "the runtime failed"));
	status_release(&r->err);
	r->err = (struct status)STATUS_INIT;
	return code == 404 ? -ENOENT : code >= 500 ? -EIO : -EINVAL;
}

static void on_container(void *arg, const char *pod, const struct container_status *st)
{
	struct runner *r = arg;
	if (!r->pod || !str_eq(pod, r->pod) || st->state != CONTAINER_EXITED)
		return;
	r->exited = true;
	r->code = st->exit_code;
	loop_stop(r->loop);
}

static void on_pod_lost(void *arg, const char *pod, const char *why)
{
	struct runner *r = arg;
	(void)why;
	if (!r->pod || !str_eq(pod, r->pod))
		return;
	r->exited = true;
	r->code = 137;
	loop_stop(r->loop);
}

/* ---- the runtime ---- */

static int start_runtime(struct runner *r, const char *name, const char *shim, char *err, size_t err_len)
{
	static const struct runtime_events events = {.on_container = on_container, .on_pod_lost = on_pod_lost};
	_cleanup_free_ char *dir = xasprintf(RUN_BASE "/%s", name), *cgroup = xasprintf("proa-build-%s", name);
	_cleanup_status_ struct status why = STATUS_INIT;
	int e = runtime_new(r->loop, &(struct runtime_config){.run_dir = dir, .cgroup_root = cgroup, .shim = shim},
			    &events, r, &r->runtime, &why);
	if (e < 0)
		snprintf(err, err_len, "%s", str_or(why.message, strerror(-e)));
	return e;
}

static void pod_removed(void *arg, const struct status *err)
{
	struct runner *r = arg;
	(void)err; /* what cannot be removed is tried again by the next build */
	r->removing--;
	loop_stop(r->loop);
}

static void remove_pod(void *arg, const char *pod, const struct container_status *containers, int n)
{
	struct runner *r = arg;
	(void)containers;
	(void)n;
	r->removing++;
	runtime_pod_remove(r->runtime, pod, pod_removed, r);
}

/* Ends every pod that is below the runtime's directory. */
static int recover(struct runner *r, char *err, size_t err_len)
{
	runtime_recover(r->runtime, remove_pod, finished, r);
	int e = wait_done(r, err, err_len);
	while (r->removing)
		loop_run(r->loop);
	return e;
}

static void nothing(void *arg, const struct status *err)
{
	(void)arg;
	(void)err;
}

static void remove_left(const char *name)
{
	_cleanup_free_ char *dir = xasprintf(RUN_BASE "/%s", name), *cgroup = xasprintf("proa-build-%s", name);
	struct cgroup_layout layout;
	if (cgroup_layout_detect(&layout) >= 0) {
		cgroup_kill(&layout, cgroup);
		cgroup_remove(&layout, cgroup);
	}
	fs_remove_tree(dir);
}

/* The directory's lock, or -1 when somebody lives there. */
static int lock_dir(const char *name, bool make)
{
	_cleanup_free_ char *dir = xasprintf(RUN_BASE "/%s", name), *file = xasprintf("%s/lock", dir);
	if (make && fs_mkdir_p(dir, 0700) < 0)
		return -1;
	_cleanup_close_ int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? TAKE_FD(fd) : -1;
}

/* What killed builds left: their containers end, and so does everything else of theirs. */
static void sweep(struct runner *r, const char *shim)
{
	DIR *d = opendir(RUN_BASE);
	char why[256];
	for (struct dirent *e; d && (e = readdir(d));) {
		if (*e->d_name == '.')
			continue;
		_cleanup_close_ int lock = lock_dir(e->d_name, false);
		if (lock < 0)
			continue;
		if (start_runtime(r, e->d_name, shim, why, sizeof(why)) == 0) {
			recover(r, why, sizeof(why));
			runtime_free(TAKE_PTR(r->runtime));
		}
		remove_left(e->d_name);
	}
	if (d)
		closedir(d);
}

static struct runner *runner_new(struct build *b, char *err, size_t err_len)
{
	struct runner *r = NEW(struct runner);
	r->build = b;
	r->out = -1;
	r->err = (struct status)STATUS_INIT;
	r->name = xasprintf("%d-%llx", (int)getpid(), (unsigned long long)b->now_ns);
	if (mkdir(RUN_BASE, 0700) < 0 && errno != EEXIST) {
		snprintf(err, err_len, RUN_BASE ": %s", strerror(errno));
		free(r->name);
		free(r);
		return NULL;
	}
	r->lock = -1;
	if (loop_new(&r->loop) == 0) {
		sweep(r, b->o->shim);
		r->lock = lock_dir(r->name, true);
		if (start_runtime(r, r->name, b->o->shim, err, err_len) == 0 && recover(r, err, err_len) == 0)
			return r;
	}
	runner_free(r);
	return NULL;
}

void runner_free(struct runner *r)
{
	if (!r)
		return;
	if (r->runtime)
		runtime_free(r->runtime);
	if (r->loop)
		loop_free(r->loop);
	remove_left(r->name);
	if (r->lock >= 0)
		close(r->lock);
	status_release(&r->err);
	free(r->name);
	free(r);
}

/* ---- output ---- */

static void end_output(struct runner *r)
{
	loop_fd_free(r->watch);
	r->watch = NULL;
	if (r->out >= 0)
		close(r->out);
	r->out = -1;
	loop_stop(r->loop);
}

static void on_output(void *arg, int events)
{
	struct runner *r = arg;
	char chunk[16384];
	(void)events;
	ssize_t n = read(r->out, chunk, sizeof(chunk));
	if (n > 0)
		r->build->o->output(r->build->o->arg, chunk, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		end_output(r);
}

static void on_interrupt(void *arg)
{
	struct runner *r = arg;
	r->interrupted = true;
	if (r->id)
		runtime_container_stop(r->runtime, r->pod, r->id, SIGKILL, 0, nothing, NULL);
}

/* ---- a container ---- */

static size_t add_mounts(struct build *b, const struct run *run, struct spec_mount *m, const char **ret_script)
{
	size_t n = 0;
	static const char *const own[] = {"/etc/resolv.conf", "/etc/hosts"};
	for (size_t i = 0; !run->no_network && i < ARRAY_SIZE(own); i++)
		if (access(own[i], R_OK) == 0)
			m[n++] = (struct spec_mount){.source = own[i], .target = own[i], .readonly = true};
	for (size_t i = 0; i < run->n_mounts; i++) {
		const struct run_mount *x = &run->mounts[i];
		if (x->skip)
			continue;
		m[n++] = (struct spec_mount){.type = x->source ? NULL : "tmpfs",
					     .source = x->over ? x->over : x->source,
					     .target = x->target,
					     .data = x->tmpfs,
					     .readonly = x->readonly};
	}
	if (run->script) {
		const char *path = arena_printf(&b->arena, "%s/%u-script", b->work, b->n_steps++);
		_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
		if (fd >= 0 && fs_write_all(fd, run->script, strlen(run->script)) == 0)
			m[n++] = (struct spec_mount){.source = path, .target = RUN_SCRIPT_PATH, .readonly = true};
		*ret_script = path;
	}
	return n;
}

static int make_container(struct runner *r, const struct run *run, const char *id, char *err, size_t err_len)
{
	struct spec_mount mounts[RUN_MOUNTS_MAX + 4];
	const char *script = NULL;
	struct container_spec c = {.id = id,
				   .name = "build",
				   .lowerdirs = run->lower,
				   .upperdir = run->upper,
				   .workdir = run->workdir,
				   .args = run->args,
				   .env = run->env,
				   .cwd = run->cwd,
				   .user = run->user,
				   .mounts = mounts};
	int out[2];
	c.n_mounts = add_mounts(r->build, run, mounts, &script);
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	runtime_container_create(r->runtime, r->pod, &c, NULL, 0, false, finished, r);
	int e = wait_done(r, err, err_len);
	if (script)
		unlink(script); /* it is mounted by now, or never will be */
	if (e == 0) {
		runtime_attach(r->runtime, r->pod, id, (int[]){-1, out[1], out[1]}, finished, r);
		e = wait_done(r, err, err_len);
	}
	close(out[1]);
	if (e < 0) {
		close(out[0]);
		return e;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	r->out = out[0];
	r->watch = loop_fd_new(r->loop, r->out, LOOP_READABLE, on_output, r);
	runtime_container_start(r->runtime, r->pod, id, finished, r);
	return wait_done(r, err, err_len);
}

static int run_in_pod(struct runner *r, const struct run *run, int *ret_code, char *err, size_t err_len)
{
	char id[CONTAINER_ID_LEN + 1];
	struct loop_signal *signals[] = {loop_signal_new(r->loop, SIGINT, on_interrupt, r),
					 loop_signal_new(r->loop, SIGTERM, on_interrupt, r)};
	container_id_make(id);
	r->exited = false;
	r->id = id;
	int e = make_container(r, run, id, err, err_len);
	while (e == 0 && (!r->exited || r->out >= 0))
		loop_run(r->loop);
	if (r->out >= 0)
		end_output(r);
	r->id = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		loop_signal_free(signals[i]);
	if (r->interrupted) {
		snprintf(err, err_len, "interrupted");
		return INTERRUPTED;
	}
	*ret_code = r->code;
	return e;
}

int runner_run(struct build *b, const struct run *run, int *ret_code, char *err, size_t err_len)
{
	char pod[32], ignored[256];
	if (!b->runner)
		b->runner = runner_new(b, err, err_len);
	struct runner *r = b->runner;
	if (!r)
		return -EIO;
	snprintf(pod, sizeof(pod), "build-%u", r->n++);
	r->pod = pod;
	struct pod_spec spec = {
	    .uid = pod, .name = pod, .namespace_ = "build", .hostname = "build", .host_network = !run->no_network};
	runtime_pod_create(r->runtime, &spec, finished, r);
	int e = wait_done(r, err, err_len);
	if (e == 0)
		e = run_in_pod(r, run, ret_code, err, err_len);
	r->pod = NULL;
	runtime_pod_remove(r->runtime, pod, finished, r);
	(void)wait_done(r, ignored, sizeof(ignored));
	return e;
}

int mount_digest(struct build *b, const struct run_mount *m, const char *source, char ret[65], char *err,
		 size_t err_len)
{
	struct sources t = {0};
	struct source_options o = {.ignore = m->view ? NULL : &b->ignore};
	int r = sources_list(&t, m->fd, source, &o, err, err_len);
	if (r == 0)
		r = sources_digest(&t, m->fd, m->view != NULL, ret, err, err_len);
	sources_release(&t);
	return r;
}
