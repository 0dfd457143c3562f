/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting one container: find its image and make its directories (in a worker thread, they block), build its spec,
 * hand it to the runtime. What goes wrong becomes the container's waiting reason, an event, and another try later.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/informer.h"
#include "image/image.h"
#include "image/keyring.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "node/container_build.h"
#include "node/hook.h"
#include "node/image_pulls.h"
#include "node/node_status.h"
#include "node/pod.h"
#include "node/pod_env.h"
#include "node/probe.h"
#include "node/subpath.h"
#include "runtime/runtime.h"

#define ERROR_MAX 1024
#define CONFIG_RETRY_MS 10000	  /* what is wrong may be put right any moment; upstream looks again about as often */
#define PULL_FAILED_SHOWN_MS 3000 /* ErrImagePull, before it becomes ImagePullBackOff: long enough to be seen */
#define EXIT_START_ERROR 128	  /* what upstream's runtimes report for a command that cannot be executed */

struct start_job {
	struct agent *agent;
	struct pod_container *pc; /* its pod is held */
	struct arena arena;
	char *image_ref, *user; /* user: the pod's uid, for image_use */
	const char *policy;	/* static: Always, IfNotPresent, Never */
	char *pull_text;	/* of its event */
	char *pulled;		/* the id of what was pulled for this start; NULL: nothing */
	char *dir, *termination, *log_dir;
	struct image *image;
	int result;
	char error[ERROR_MAX];
	bool image_failed; /* result is about the image, else about directories */
	char id[CONTAINER_ID_LEN + 1];
};

static void job_free(struct start_job *j)
{
	struct agent *a = j->agent;
	struct pod *p = j->pc->pod;

	image_free(j->image);
	arena_release(&j->arena);
	free(j->image_ref);
	free(j->pulled);
	free(j->pull_text);
	free(j->user);
	free(j->dir);
	free(j->termination);
	free(j->log_dir);
	free(j);
	pod_unref(p);
	agent_job_end(a);
}

/* ---- in the worker thread: only j's own data ---- */

static int make_dirs(struct start_job *j)
{
	static const char *const names[] = {"upper", "work"};
	int r = 0, fd;

	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", j->dir, names[i]);

		r = fs_remove_tree(path);
		if (r == 0)
			r = fs_mkdir_p(path, 0755);
	}
	if (r == 0)
		r = fs_mkdir_p(j->log_dir, 0755);
	if (r < 0)
		return r;
	fd = open(j->termination, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, 0666) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* -ENOENT: it isn't here, or must be asked for whether here or not. */
static int find_image(struct start_job *j)
{
	_cleanup_buf_ struct buf name = BUF_INIT;
	struct image_store *s = j->agent->images;
	int r;

	if (image_ref_normalize(j->image_ref, &name) < 0) {
		snprintf(j->error, sizeof(j->error), "couldn't parse image name \"%s\": invalid reference format",
			 j->image_ref);
		return -EINVAL;
	}
	if (!j->pulled && str_eq(j->policy, "Always") && strchr(buf_str(&name), '/'))
		return -ENOENT;
	r = image_resolve(s, j->pulled ? j->pulled : j->image_ref, &j->image, j->error, sizeof(j->error));
	if (r == 0)
		r = image_use(s, j->image->id, j->user, j->error, sizeof(j->error));
	return r;
}

static void job_run(void *arg)
{
	struct start_job *j = arg;

	j->image_failed = true;
	j->result = find_image(j);
	if (j->result < 0)
		return;
	j->image_failed = false;
	j->result = make_dirs(j);
	if (j->result < 0)
		snprintf(j->error, sizeof(j->error), "cannot make the container's directories in %s: %s", j->dir,
			 strerror(-j->result));
}

static void job_done(void *arg);
static bool job_wanted(struct start_job *j);

/* ---- failures ---- */

static void failed(struct pod_container *pc, const char *reason, const char *message, int64_t retry_ms)
{
	struct pod *p = pc->pod;

	container_set_waiting(&pc->c, reason, message);
	pc->c.retry_ms = monotonic_ms() + retry_ms;
	container_move(&pc->c, pc->c.exit.valid ? STAGE_EXITED : STAGE_WAITING);
	p->status_dirty = true;
	log_info("container not started pod=%s/%s container=%s reason=%s error=%s", p->ns, p->name, pc->c.name, reason,
		 message);
	pod_wake(p);
}

/* ---- pulling ---- */

static const char *pull_policy(const struct json *spec)
{
	static const char *const policies[] = {"Always", "IfNotPresent", "Never"};
	const char *policy = json_path_str(spec, "imagePullPolicy"), *image = str_or(json_path_str(spec, "image"), "");
	const char *name = strrchr(image, '/') ? strrchr(image, '/') + 1 : image;

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (str_eq(policy, policies[i]))
			return policies[i];
	return (!strchr(name, ':') && !strchr(name, '@')) || str_has_suffix(name, ":latest") ? "Always"
											     : "IfNotPresent";
}

/* The pod's imagePullSecrets, as far as they are there. */
static struct keyring *pull_keyring(struct pod *p)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *tree = pod_tree(p, &a);
	struct keyring *k = keyring_new();
	struct volume_input in;

	pod_volume_input(p, tree, &a, &in);
	JSON_EACH(ref, json_path(tree, "spec.imagePullSecrets")) {
		const char *name = str_or(json_path_str(ref, "name"), "");
		const struct object *o = in.object(in.arg, "secrets", name);
		const struct json *data = o ? json_get(object_tree(o, &a), "data") : NULL;
		const char *text = json_str(json_get(data, ".dockerconfigjson"));
		const char *legacy = json_str(json_get(data, ".dockercfg"));
		_cleanup_buf_ struct buf b = BUF_INIT;
		struct json_error e;
		struct json *config;

		if (!o)
			pod_event(p, NULL, "Warning", "FailedToRetrieveImagePullSecret",
				  "Unable to retrieve some image pull secrets (%s); attempting to pull the image may "
				  "not succeed.",
				  name);
		if (!text && !legacy)
			continue;
		if (base64_decode(&b, text ? text : legacy, strlen(text ? text : legacy)) == 0 &&
		    json_parse(&a, buf_str(&b), b.len, &config, &e) == 0)
			keyring_add_docker(k, config, !text);
	}
	return k;
}

/* "1.234s", "1m2.5s": as durations appear in messages. */
static char *seconds_text(int64_t ms)
{
	return ms >= 60000  ? xasprintf("%lldm%lld.%llds", (long long)(ms / 60000), (long long)(ms / 1000 % 60),
					(long long)(ms / 100 % 10))
	       : ms >= 1000 ? xasprintf("%lld.%03llds", (long long)(ms / 1000), (long long)(ms % 1000))
			    : xasprintf("%lldms", (long long)ms);
}

static void pull_failed(struct start_job *j, const char *error)
{
	struct pod_container *pc = j->pc;
	int64_t now = monotonic_ms();

	backoff_raise(&pc->c.pull_backoff, now, now);
	free(pc->c.pull_error);
	pc->c.pull_error = xstrdup(error);
	pod_event(pc->pod, pc, "Warning", "Failed", "Failed to pull image \"%s\": %s", j->image_ref, error);
	pod_event(pc->pod, pc, "Warning", "Failed", "Error: ErrImagePull");
	failed(pc, "ErrImagePull", error, PULL_FAILED_SHOWN_MS);
}

static void on_pulled(void *arg, const struct image_pull_result *r)
{
	struct start_job *j = arg;
	struct pod_container *pc = j->pc;
	struct pod *p = pc->pod;

	if (!job_wanted(j))
		return;
	if (r->result < 0) {
		pull_failed(j, r->error);
		job_free(j);
		return;
	}
	_cleanup_free_ char *alone = seconds_text(r->ms), *all = seconds_text(r->waited_ms);
	j->pulled = xstrdup(r->id);
	pc->c.pull_backoff = (struct backoff){0};
	j->pull_text =
	    xasprintf("Successfully pulled image \"%s\" in %s (%s including waiting).", j->image_ref, alone, all);
	loop_work(p->agent->loop, job_run, job_done, j);
}

/* There is no such image here, or its registry has the last word. Takes the job. */
static void image_missing(struct start_job *j)
{
	struct pod_container *pc = j->pc;
	int64_t now = monotonic_ms(), until = pc->c.pull_backoff.updated_ms + pc->c.pull_backoff.delay_ms;
	_cleanup_free_ char *message = NULL;

	if (str_eq(j->policy, "Never")) {
		message = xasprintf("Container image \"%s\" is not present with pull policy of Never", j->image_ref);
		pod_event(pc->pod, pc, "Warning", "ErrImageNeverPull", "%s", message);
		pod_event(pc->pod, pc, "Warning", "Failed", "Error: ErrImageNeverPull");
		failed(pc, "ErrImageNeverPull", message, CONFIG_RETRY_MS);
		job_free(j);
	} else if (pc->c.pull_backoff.delay_ms && until > now) {
		message = xasprintf("Back-off pulling image \"%s\": ErrImagePull: %s", j->image_ref,
				    str_or(pc->c.pull_error, ""));
		pod_event(pc->pod, pc, "Normal", "BackOff", "Back-off pulling image \"%s\"", j->image_ref);
		pod_event(pc->pod, pc, "Warning", "Failed", "Error: ImagePullBackOff");
		failed(pc, "ImagePullBackOff", message, until - now);
		job_free(j);
	} else {
		pod_event(pc->pod, pc, "Normal", "Pulling", "Pulling image \"%s\"", j->image_ref);
		image_pulls_start(j->agent->pulls, j->image_ref, pull_keyring(pc->pod), on_pulled, j);
	}
}

static void job_failed(struct start_job *j)
{
	struct pod_container *pc = j->pc;

	if (j->image_failed && j->result == -EINVAL) {
		_cleanup_free_ char *message =
		    xasprintf("Failed to apply default image tag \"%s\": %s", j->image_ref, j->error);

		pod_event(pc->pod, pc, "Warning", "InspectFailed", "%s", message);
		pod_event(pc->pod, pc, "Warning", "Failed", "Error: InvalidImageName");
		failed(pc, "InvalidImageName", message, CONFIG_RETRY_MS);
	} else {
		pod_event(pc->pod, pc, "Warning", "Failed", "Error: %s", j->error);
		failed(pc, j->image_failed ? "ImageInspectError" : "CreateContainerError", j->error, CONFIG_RETRY_MS);
	}
}

/* The command cannot be executed: the container ran and failed, as far as restarts are concerned. */
static void start_error(struct pod_container *pc, const char *id, const char *message)
{
	struct container_exit e = {.valid = true,
				   .code = EXIT_START_ERROR,
				   .reason = "StartError",
				   .message = xstrdup(message),
				   .id = xstrdup(id),
				   .finished_ns = now_ns()};

	if (pc->c.exit.valid) {
		container_exit_release(&pc->c.last);
		pc->c.last = pc->c.exit;
	}
	pc->c.exit = e;
	pc->c.exited_ms = monotonic_ms();
	free(pc->c.id);
	pc->c.id = xstrdup(id);
	container_set_waiting(&pc->c, "RunContainerError", message);
	container_move(&pc->c, STAGE_EXITED);
	pc->pod->status_dirty = true;
	pod_record_save(pc->pod);
	pod_wake(pc->pod);
}

/* subPath mounts: from descriptors to paths that the runtime can mount. */
static int bind_subpaths(struct start_job *j, struct container_spec *spec, const struct build_fds *fds,
			 struct status *err)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		struct spec_mount *m = &spec->mounts[i];
		int r;

		if (!m->source_fd_index)
			continue;
		m->source = arena_printf(&j->arena, "%s/subpaths/%s/%zu", j->pc->pod->dir, j->pc->c.name, i);
		r = subpath_bind(fds->fds.at[m->source_fd_index - 1], m->source, err);
		if (r < 0)
			return r;
		m->source_fd_index = 0;
	}
	return 0;
}

/* ---- in the loop again ---- */

static void on_started(void *arg, const struct status *err)
{
	struct start_job *j = arg;
	struct pod_container *pc = j->pc;
	struct pod *p = pc->pod;
	struct container_status st;

	if (p->state == POD_GONE) {
		job_free(j);
		return;
	}
	if (err && pc->c.stage == STAGE_STARTING) {
		const char *message = str_or(err->message, "unknown error");

		pod_event(p, pc, "Warning", "Failed", "Error: %s", message);
		if (str_eq(err->reason, "StartError"))
			start_error(pc, j->id, message);
		else
			failed(pc,
			       str_eq(err->reason, "CreateContainerConfigError") ? "CreateContainerConfigError"
										 : "CreateContainerError",
			       message, CONFIG_RETRY_MS);
	} else if (!err) {
		pod_event(p, pc, "Normal", "Started", "Started container %s", pc->c.name);
		if (pc->c.stage == STAGE_STARTING && runtime_container_status(p->agent->runtime, p->uid, j->id, &st)) {
			pod_container_running(pc, &st);
			if (st.state == CONTAINER_EXITED)
				pod_container_exited(pc, &st);
		}
	}
	job_free(j);
}

/* The Services that a container hears of: those of its namespace and default/kubernetes. */
static const struct json **service_trees(struct pod *p, struct arena *a, size_t *ret_n)
{
	struct informer *services = p->agent->services;
	struct object_list all = {0};
	const struct json **trees;
	size_t n = 0;

	if (services)
		all = informer_list(services, a);
	trees = arena_alloc(a, (all.n + 1) * sizeof(*trees));
	for (size_t i = 0; i < all.n; i++) {
		bool master = str_eq(all.at[i]->ns, "default") && str_eq(all.at[i]->name, "kubernetes");

		if (master || str_eq(all.at[i]->ns, p->ns))
			trees[n++] = object_tree(all.at[i], a);
	}
	*ret_n = n;
	return trees;
}

static int build(struct start_job *j, struct container_spec *spec, struct build_fds *fds, struct env_list *env,
		 struct status *err)
{
	struct pod_container *pc = j->pc;
	struct pod *p = pc->pod;
	struct arena *a = &j->arena;
	struct json *tree = pod_allocated_tree(p, a);
	const struct json *container = pod_container_spec(tree, pc), **services;
	struct volume_input in;
	struct pod_files files;
	size_t n_services;
	int r;

	pod_volume_input(p, tree, a, &in);
	services = service_trees(p, a, &n_services);
	r = env_build(env, container, services, n_services, &in, err);
	if (r < 0) {
		err->reason = "CreateContainerConfigError";
		return r;
	}
	r = pod_files_write(p, tree, a, &files, err);
	if (r < 0)
		return r;
	pc->stop_signal = build_signal(json_path_str(container, "lifecycle.stopSignal"));
	if (!pc->stop_signal)
		pc->stop_signal = build_signal(j->image->stop_signal);
	pod_resize_started(pc, container);
	container_id_make(j->id);
	return container_build(&(struct build_input){.arena = a,
						     .pod = tree,
						     .container = container,
						     .image = j->image,
						     .id = j->id,
						     .hostname = files.hostname_text,
						     .upperdir = arena_printf(a, "%s/upper", j->dir),
						     .workdir = arena_printf(a, "%s/work", j->dir),
						     .log_path = pc->log_path,
						     .hosts_path = files.hosts,
						     .resolv_path = files.resolv,
						     .hostname_path = files.hostname,
						     .termination_path = j->termination,
						     .volumes = p->volumes.at,
						     .n_volumes = p->volumes.n,
						     .env = env,
						     .node_memory = node_memory(p->agent->node)},
			       spec, fds, err);
}

/* False, and the job is gone: the pod doesn't want the container any more. */
static bool job_wanted(struct start_job *j)
{
	struct pod_container *pc = j->pc;
	struct pod *p = pc->pod;

	if (p->state == POD_RUNNING && !j->agent->closing)
		return true;
	if (p->state != POD_GONE && !j->agent->closing && pc->c.stage == STAGE_STARTING) {
		container_move(&pc->c, pc->c.exit.valid ? STAGE_EXITED : STAGE_WAITING);
		pod_wake(p);
	}
	job_free(j);
	return false;
}

static void note_image(struct start_job *j)
{
	struct container *c = &j->pc->c;

	free(c->image_id);
	free(c->image_digest);
	c->image_id = xstrdup(j->image->id);
	c->image_digest = xstrdup(j->image->repo_digests[0]);
	c->pull_backoff = (struct backoff){0};
}

static void job_done(void *arg)
{
	_cleanup_(build_fds_release) struct build_fds fds = {0};
	_cleanup_(env_list_release) struct env_list env = {0};
	_cleanup_status_ struct status err = STATUS_INIT;
	struct start_job *j = arg;
	struct pod_container *pc = j->pc;
	struct pod *p = pc->pod;
	struct container_spec spec;

	if (!job_wanted(j))
		return;
	if (j->result == -ENOENT && j->image_failed && !j->pulled) {
		image_missing(j);
		return;
	}
	if (j->result < 0) {
		job_failed(j);
		job_free(j);
		return;
	}
	note_image(j);
	if (build(j, &spec, &fds, &env, &err) < 0 || bind_subpaths(j, &spec, &fds, &err) < 0) {
		pod_event(p, pc, "Warning", "Failed", "Error: %s", err.message);
		failed(pc,
		       str_eq(err.reason, "CreateContainerError") ? "CreateContainerError"
								  : "CreateContainerConfigError",
		       err.message, CONFIG_RETRY_MS);
		job_free(j);
		return;
	}
	if (j->pull_text)
		pod_event(p, pc, "Normal", "Pulled", "%s Image size: %llu bytes.", j->pull_text,
			  (unsigned long long)j->image->size);
	else
		pod_event(p, pc, "Normal", "Pulled", "Container image \"%s\" already present on machine", j->image_ref);
	if (pc->c.exit.valid && pc->c.id)
		runtime_container_remove(p->agent->runtime, p->uid, pc->c.id, NULL, NULL);
	if (pc->c.exit.valid) {
		container_exit_release(&pc->c.last);
		pc->c.last = pc->c.exit;
		pc->c.exit = (struct container_exit){0};
	}
	free(pc->c.id);
	pc->c.id = xstrdup(j->id);
	pc->c.retry_ms = 0;
	pod_record_save(p);
	pod_event(p, pc, "Normal", "Created", "Created container: %s", pc->c.name);
	runtime_container_create(p->agent->runtime, p->uid, &spec, NULL, 0, true, on_started, j);
}

void pod_container_start(struct pod_container *pc)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = pc->pod;
	const struct json *spec = pod_container_spec(pod_tree(p, &a), pc);
	struct start_job *j = NEW(struct start_job);

	/* retry_ms: this is another try of a start that didn't come to anything, counted already. */
	if (pc->c.stage == STAGE_EXITED && !pc->c.retry_ms) {
		backoff_raise(&pc->c.restart_backoff, pc->c.exited_ms, monotonic_ms());
		pc->c.restarts++;
	}
	container_move(&pc->c, STAGE_STARTING);
	pc->stop_by_ms = 0;
	pc->stop_sent = false;
	pc->probe_grace_s = -1;
	free(pc->log_path);
	pc->log_path = xasprintf("%s/%s/%u.log", p->log_dir, pc->c.name, pc->c.restarts);
	free(pc->termination_path);
	j->agent = p->agent;
	j->pc = pc;
	j->image_ref = xstrdup(str_or(json_path_str(spec, "image"), ""));
	j->policy = pull_policy(spec);
	j->user = xstrdup(p->uid);
	j->dir = xasprintf("%s/containers/%s", p->dir, pc->c.name);
	j->log_dir = xasprintf("%s/%s", p->log_dir, pc->c.name);
	j->termination = xasprintf("%s/termination-log", j->dir);
	pc->termination_path = xstrdup(j->termination);
	pod_ref(p);
	agent_job_begin(p->agent);
	loop_work(p->agent->loop, job_run, job_done, j);
}

void pod_container_running(struct pod_container *pc, const struct container_status *st)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod *p = pc->pod;
	const struct json *spec = pod_container_spec(pod_tree(p, &a), pc);
	bool fresh = pc->c.stage == STAGE_STARTING;

	if (pc->c.stage == STAGE_RUNNING || pc->c.stage == STAGE_STOPPING)
		return;
	container_set_waiting(&pc->c, NULL, NULL);
	container_move(&pc->c, STAGE_RUNNING);
	pc->c.start_again = false;
	pc->c.started_ns = st->started_at_ns ? st->started_at_ns : now_ns();
	if (fresh || !json_get(spec, "startupProbe"))
		pc->c.started = json_get(spec, "startupProbe") == NULL;
	pc->c.ready = pc->c.started && json_get(spec, "readinessProbe") == NULL;
	p->status_dirty = true;
	if (fresh)
		hook_post_start(pc);
	probes_start(pc);
	pod_record_save(p);
	pod_wake(p);
}
