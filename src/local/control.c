/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a container: made, started, waited for, stopped, removed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "image/image.h"
#include "io/loop.h"
#include "local/local_internal.h"
#include "network/network.h"
#include "runtime/cgroup.h"
#include "runtime/runtime.h"

#define POD "c" /* the one pod of a container's runtime */

int local_fail(char *err, size_t err_len, int r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err, err_len, fmt, ap);
	va_end(ap);
	return r;
}

/* ---- answers ---- */

void local_answered(void *arg, const struct status *err)
{
	struct local_answer *a = arg;
	a->done = true;
	if (err) {
		a->code = err->code;
		snprintf(a->message, sizeof(a->message), "%s", str_or(err->message, "the runtime failed"));
	}
	loop_stop(a->loop);
}

int local_await(struct local_answer *a, char *err, size_t err_len)
{
	while (!a->done)
		loop_run(a->loop);
	if (!a->code)
		return 0;
	snprintf(err, err_len, "%s", a->message);
	return a->code == 404 ? -ENOENT : a->code == 409 ? -EBUSY : a->code >= 500 ? -EIO : -EINVAL;
}

/* ---- session ---- */

int local_open(struct local *l, const char *state_dir, const char *shim, char *err, size_t err_len)
{
	*l = (struct local){.state_dir = xstrdup(state_dir), .shim = shim};
	int r = fs_mkdir_p(state_dir, 0700);
	fs_spread_children(state_dir);
	if (r == 0)
		r = fs_mkdir_p(LOCAL_RUN, 0700);
	if (r == 0)
		r = loop_new(&l->loop);
	return r < 0 ? local_fail(err, err_len, r, "%s: %s", state_dir, strerror(-r)) : 0;
}

void local_close(struct local *l)
{
	if (l->loop)
		loop_free(l->loop);
	free(l->state_dir);
}

/* ---- its runtime ---- */

static void on_container(void *arg, const char *pod, const struct container_status *st)
{
	struct local_container *c = arg;
	(void)pod;
	c->status = *st;
	c->exited = st->state == CONTAINER_EXITED;
	if (c->exited)
		loop_stop(c->local->loop);
}

static void on_pod_lost(void *arg, const char *pod, const char *why)
{
	struct local_container *c = arg;
	(void)pod;
	(void)why;
	c->exited = true;
	loop_stop(c->local->loop);
}

static void on_pod(void *arg, const char *pod, const struct container_status *containers, int n)
{
	struct local_answer *a = arg;
	(void)pod;
	(void)containers;
	(void)n;
	a->code = -1; /* found one */
}

static char *cgroup_of(const char *id)
{
	return xasprintf("proa-run-%.12s", id);
}

static bool run_dir_there(const char *id)
{
	_cleanup_free_ char *pods = xasprintf(LOCAL_RUN "/%s/pods/" POD, id);
	return access(pods, F_OK) == 0;
}

int local_attach_runtime(struct local_container *c, bool fresh, char *err, size_t err_len)
{
	static const struct runtime_events events = {.on_container = on_container, .on_pod_lost = on_pod_lost};
	_cleanup_free_ char *dir = xasprintf(LOCAL_RUN "/%s", c->record->id), *cgroup = cgroup_of(c->record->id);
	_cleanup_status_ struct status why = STATUS_INIT;
	struct local_answer a = {.loop = c->local->loop};
	if (!fresh && !run_dir_there(c->record->id))
		return local_fail(err, err_len, -ENOENT, "container %s is not running", c->record->name);
	int r = runtime_new(c->local->loop,
			    &(struct runtime_config){.run_dir = dir, .cgroup_root = cgroup, .shim = c->local->shim},
			    &events, c, &c->runtime, &why);
	if (r < 0)
		return local_fail(err, err_len, r, "%s", str_or(why.message, strerror(-r)));
	runtime_recover(c->runtime, on_pod, local_answered, &a);
	while (!a.done)
		loop_run(c->local->loop);
	if (fresh)
		return 0;
	if (a.code != -1 || !runtime_container_status(c->runtime, POD, c->record->id, &c->status)) {
		runtime_free(TAKE_PTR(c->runtime));
		return local_fail(err, err_len, -ENOENT, "container %s is not running", c->record->name);
	}
	c->exited = c->status.state == CONTAINER_EXITED;
	return 0;
}

void local_container_free(struct local_container *c)
{
	if (!c)
		return;
	if (c->runtime)
		runtime_free(c->runtime);
	if (c->lock >= 0)
		close(c->lock);
	local_record_free(c->record);
	free(c);
}

/* ---- network ---- */

static int open_network(struct network **ret, char *err, size_t err_len)
{
	_cleanup_status_ struct status why = STATUS_INIT;
	int r = network_new(&(struct network_config){.id = "run",
						     .pod_cidr = LOCAL_CIDR,
						     .cluster_cidr = LOCAL_CIDR,
						     .run_dir = LOCAL_RUN,
						     .masquerade = true},
			    ret, &why);
	return r < 0 ? local_fail(err, err_len, r, "%s", str_or(why.message, strerror(-r))) : 0;
}

/* One at a time: two that make the bridge, or take an address, must not meet. */
static int lock_network(void)
{
	int fd = open(LOCAL_RUN, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)flock(fd, LOCK_EX);
	return fd;
}

static int connect_network(struct local_container *c, enum local_network kind, char *err, size_t err_len)
{
	_cleanup_status_ struct status why = STATUS_INIT;
	_cleanup_close_ int lock = lock_network();
	struct network *n;
	char ip[NETWORK_IP_MAX] = "";
	if (kind == LOCAL_HOST)
		return 0;
	_cleanup_close_ int netns = runtime_pod_netns(c->runtime, POD);
	if (netns < 0)
		return local_fail(err, err_len, netns, "the network namespace is gone: %s", strerror(-netns));
	if (kind == LOCAL_NONE)
		return network_loopback_up(netns, &why);
	int r =
	    lock < 0 ? local_fail(err, err_len, lock, LOCAL_RUN " cannot be locked") : open_network(&n, err, err_len);
	if (r < 0)
		return r;
	r = network_attach(n, c->record->id, netns, ip, &why);
	network_free(n);
	if (r < 0)
		return local_fail(err, err_len, r, "%s", str_or(why.message, strerror(-r)));
	c->record->ip = arena_strdup(&c->record->arena, ip);
	return 0;
}

static void disconnect_network(struct local_container *c)
{
	_cleanup_close_ int lock = lock_network();
	struct network *n;
	char why[256];
	if (lock < 0 || !c->record->bridged || open_network(&n, why, sizeof(why)) < 0)
		return;
	network_detach(n, c->record->id);
	network_free(n);
}

/* ---- making ---- */

static const char *command_text(struct arena *a, const char *const *args)
{
	const char *text = "";
	for (; args && *args; args++)
		text = arena_printf(a, "%s%s%s", text, *text ? " " : "", *args);
	return text;
}

static int make_pod(struct local_container *c, const struct local_spec *spec, const struct local_options *o, char *err,
		    size_t err_len)
{
	struct local_answer a = {.loop = c->local->loop};
	runtime_pod_create(c->runtime, &spec->pod, local_answered, &a);
	int r = local_await(&a, err, err_len);
	if (r == 0)
		r = connect_network(c, o->network, err, err_len);
	if (r == 0)
		r = local_write_files(c->local, c->record->id, str_or(spec->pod.hostname, ""), c->record->ip, o->hosts,
				      err, err_len);
	if (r < 0)
		return r;
	a = (struct local_answer){.loop = c->local->loop};
	runtime_container_create(c->runtime, POD, &spec->container, NULL, 0, false, local_answered, &a);
	return local_await(&a, err, err_len);
}

static int make(struct local_container *c, const struct local_options *o, char *err, size_t err_len)
{
	struct local *l = c->local;
	struct local_record *rec = c->record;
	struct local_spec spec = {0};
	struct image *image;
	int r = image_resolve_platform(l->images, o->image, o->platform, &image, err, err_len);
	if (r < 0)
		return r;
	rec->image_id = arena_strdup(&rec->arena, image->id);
	r = image_use(l->images, image->id, arena_printf(&rec->arena, IMAGE_USER_LOCAL "%s", rec->id), err, err_len);
	if (r == 0)
		r = local_spec_fill(l, &rec->arena, o, image, rec->id, &spec, err, err_len);
	spec.pod.uid = POD;
	if (r == 0)
		r = local_attach_runtime(c, true, err, err_len);
	if (r == 0)
		r = make_pod(c, &spec, o, err, err_len);
	if (r == 0) {
		rec->command = command_text(&rec->arena, spec.container.args);
		rec->complete = true;
		r = local_record_save(l, rec);
		if (r < 0)
			local_fail(err, err_len, r, "%s: %s", l->state_dir, strerror(-r));
	}
	image_free(image);
	return r;
}

static bool name_valid(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
	return n && !s[n] && n <= LOCAL_NAME_MAX && *s != '-' && *s != '.';
}

/* Nobody else has it from now on, and what is made is known to be of this process. */
static int take_name(struct local_container *c, char *err, size_t err_len)
{
	struct local *l = c->local;
	const struct local_record *rec = c->record;
	if (!name_valid(rec->name))
		return local_fail(err, err_len, -EINVAL, "invalid container name \"%s\"", rec->name);
	_cleanup_close_ int all = local_lock_all(l);
	if (all >= 0 && local_name_taken(l, rec->name))
		return local_fail(err, err_len, -EEXIST, "the name \"%s\" is in use by another container", rec->name);
	int r = all < 0 ? all : (c->lock = local_lock(l, rec->id, true)) < 0 ? c->lock : local_record_save(l, rec);
	return r < 0 ? local_fail(err, err_len, r, "%s: %s", l->state_dir, strerror(-r)) : 0;
}

int local_create(struct local *l, const struct local_options *o, struct local_container **ret, char *err,
		 size_t err_len)
{
	struct local_container *c = NEW(struct local_container);
	char suffix[8];
	c->local = l;
	c->record = NEW(struct local_record);
	struct local_record *rec = c->record;
	container_id_make(rec->id);
	random_suffix(suffix, 6);
	rec->name = o->name ? arena_strdup(&rec->arena, o->name) : arena_printf(&rec->arena, "proa-%s", suffix);
	rec->image = arena_strdup(&rec->arena, o->image);
	rec->ip = rec->command = "";
	rec->stop_signal = str_or(o->stop_signal, "");
	rec->labels = o->labels;
	rec->created_ns = now_ns();
	rec->remove = o->remove;
	rec->tty = o->tty;
	memcpy(rec->ports, o->ports, sizeof(rec->ports));
	rec->n_ports = o->n_ports;
	c->lock = -1;
	rec->bridged = o->network == LOCAL_BRIDGE;
	int r = take_name(c, err, err_len);
	if (r == 0 && (r = make(c, o, err, err_len)) < 0)
		local_discard(c);
	if (r < 0) {
		local_container_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

/* ---- running ---- */

int local_start(struct local_container *c, char *err, size_t err_len)
{
	struct local_answer a = {.loop = c->local->loop};
	runtime_container_start(c->runtime, POD, c->record->id, local_answered, &a);
	return local_await(&a, err, err_len);
}

int local_wait(struct local_container *c)
{
	while (!c->exited)
		loop_run(c->local->loop);
	return c->runtime ? c->status.exit_code : 137;
}

int local_signal(struct local_container *c, int signum, char *err, size_t err_len)
{
	struct local_answer a = {.loop = c->local->loop};
	if (c->exited)
		return local_fail(err, err_len, -ESRCH, "container %s is not running", c->record->name);
	runtime_container_signal(c->runtime, POD, c->record->id, signum, local_answered, &a);
	return local_await(&a, err, err_len);
}

/* What the image wants to be stopped by. */
static int stop_signal(struct local_container *c)
{
	struct image *image;
	char why[128];
	int signum = SIGTERM;
	if (*c->record->stop_signal)
		return local_signal_number(c->record->stop_signal);
	if (c->local->images && image_resolve_platform(c->local->images, c->record->image_id, IMAGE_PLATFORM_ALL,
						       &image, why, sizeof(why)) == 0) {
		int n = local_signal_number(image->stop_signal);
		signum = n ? n : signum;
		image_free(image);
	}
	return signum;
}

int local_stop(struct local_container *c, int64_t grace_ms, char *err, size_t err_len)
{
	struct local_answer a = {.loop = c->local->loop};
	if (c->exited)
		return 0;
	runtime_container_stop(c->runtime, POD, c->record->id, stop_signal(c), grace_ms, local_answered, &a);
	int r = local_await(&a, err, err_len);
	if (r == 0)
		local_wait(c);
	return r;
}

/* ---- removal ---- */

void local_discard(struct local_container *c)
{
	struct local *l = c->local;
	struct local_answer a = {.loop = l->loop};
	char why[LOCAL_ERR_MAX];
	_cleanup_free_ char *dir = local_path(l, c->record->id, ""), *run = xasprintf(LOCAL_RUN "/%s", c->record->id);
	_cleanup_free_ char *cgroup = cgroup_of(c->record->id);
	struct cgroup_layout layout;
	if (c->runtime) {
		runtime_pod_remove(c->runtime, POD, local_answered, &a);
		(void)local_await(&a, why, sizeof(why));
		runtime_free(TAKE_PTR(c->runtime));
	}
	disconnect_network(c);
	if (cgroup_layout_detect(&layout) >= 0) {
		cgroup_kill(&layout, cgroup);
		cgroup_remove(&layout, cgroup);
	}
	if (l->images && !str_empty(c->record->image_id))
		image_unuse(l->images, c->record->image_id,
			    arena_printf(&c->record->arena, IMAGE_USER_LOCAL "%s", c->record->id));
	fs_remove_tree(run);
	fs_remove_tree(dir);
}

int local_remove(struct local_container *c, bool force, char *err, size_t err_len)
{
	if (!c->exited && c->status.state == CONTAINER_RUNNING && !force)
		return local_fail(err, err_len, -EBUSY,
				  "container %s is running: stop it first, or remove it with --force", c->record->name);
	local_discard(c);
	return 0;
}

char *local_log_path(const struct local_container *c)
{
	return local_path(c->local, c->record->id, "log");
}
