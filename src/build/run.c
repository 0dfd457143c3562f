/* SPDX-License-Identifier: Apache-2.0 */
/* RUN: what is to be run, with which variables and mounts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build_internal.h"
#include "build/run_internal.h"
#include "image/stream.h"
#include "runtime/rootfs.h"

#define COPY_BYTES (16u << 20)
#define SECRETS_BYTES_MAX (512u << 10) /* as docker allows */

/* Known without ARG, never part of a key nor of the image. */
static const char *const proxies[] = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy",
				      "FTP_PROXY",  "ftp_proxy",  "NO_PROXY",	 "no_proxy",
				      "ALL_PROXY",  "all_proxy",  NULL};

/* ---- variables ---- */

static const char *const *environment(struct build *b, struct stage *s, bool for_key)
{
	const struct json *env = json_get(json_get(s->config, "config"), "Env");
	size_t max = json_len(env) + s->args.n + b->o->n_args + 2, n = 0;
	const char **out = arena_zalloc(&b->arena, max * sizeof(*out));
	struct stage_scope scope = {b, s};
	for (size_t k = 0; !for_key && k < b->o->n_args; k++)
		if (str_in(b->o->args[k].name, proxies))
			out[n++] = arena_printf(&b->arena, "%s=%s", b->o->args[k].name, b->o->args[k].value);
	for (size_t k = 0; k < s->args.n; k++) {
		const char *name = s->args.at[k].name, *value = stage_env_get(&scope, name);
		bool env_has = value && value != s->args.at[k].value;
		if (s->args.at[k].value && !env_has && !(for_key && str_in(name, proxies)))
			out[n++] = arena_printf(&b->arena, "%s=%s", name, s->args.at[k].value);
	}
	JSON_EACH(e, env)
		out[n++] = str_or(json_str(e), "");
	return out;
}

/* ---- --mount ---- */

static const char *field(const struct run_mount *m, const char *a, const char *b2, const char *c)
{
	const char *names[] = {a, b2, c};
	for (size_t k = 0; k < m->n; k++)
		for (size_t j = 0; j < ARRAY_SIZE(names); j++)
			if (names[j] && str_eq(m->fields[k].name, names[j]))
				return m->fields[k].value;
	return NULL;
}

static bool field_bool(const struct run_mount *m, const char *a, const char *b2)
{
	const char *v = field(m, a, b2, NULL);
	return v && (!*v || str_eq(v, "true") || str_eq(v, "1"));
}

static int check_fields(struct build *b, const struct dockerfile_instruction *i, const struct run_mount *m)
{
	static const char *const known[] = {
	    "type",	 "from", "source",  "src",  "target", "dst", "destination", "ro",   "readonly", "rw",
	    "readwrite", "id",	 "sharing", "mode", "uid",    "gid", "required",    "size", "env",	NULL};
	for (size_t k = 0; k < m->n; k++)
		if (!str_in(m->fields[k].name, known))
			return build_fail(b, i, -EINVAL, "unexpected key '%s' in --mount", m->fields[k].name);
	return 0;
}

static int parse_mount(struct build *b, struct stage *s, const struct dockerfile_instruction *i, const char *text,
		       struct run_mount *m)
{
	struct stage_scope scope = {b, s};
	struct expand_env e = stage_expander(&scope);
	char why[256];
	*m = (struct run_mount){.fd = -1, .lock = -1};
	for (const char *w = text; *w;) {
		size_t n = strcspn(w, ",");
		char *pair = arena_strndup(&b->arena, w, n), *eq = strchr(pair, '=');
		w += n + (w[n] == ',');
		if (!*pair)
			continue;
		if (m->n == RUN_FIELDS_MAX)
			return build_fail(b, i, -EINVAL, "a --mount has more than %d fields", RUN_FIELDS_MAX);
		if (eq)
			*eq++ = 0;
		m->fields[m->n].name = pair;
		if (expand_word(&b->arena, &e, eq ? eq : "", &m->fields[m->n].value, why, sizeof(why)) < 0)
			return build_fail(b, i, -EINVAL, "%s", why);
		m->n++;
	}
	m->type = str_or(field(m, "type", NULL, NULL), "bind");
	const char *target = field(m, "target", "dst", "destination");
	if (target)
		m->target = *target == '/'
				? target
				: arena_printf(&b->arena, "%s/%s", stage_config_str(s, "WorkingDir"), target);
	return check_fields(b, i, m);
}

static int number(struct build *b, const struct dockerfile_instruction *i, const struct run_mount *m, const char *name,
		  int base, long fallback, long *ret)
{
	const char *v = field(m, name, NULL, NULL);
	char *end;
	*ret = fallback;
	if (!v)
		return 0;
	*ret = strtol(v, &end, base);
	return *v && !*end && *ret >= 0 ? 0 : build_fail(b, i, -EINVAL, "--mount: %s=%s is no number", name, v);
}

/* A directory that stays between builds, by its id. */
static int open_cache(struct build *b, struct stage *s, const struct dockerfile_instruction *i, struct run_mount *m)
{
	char hex[65];
	const char *id = str_or(field(m, "id", NULL, NULL), m->target);
	const char *sharing = str_or(field(m, "sharing", NULL, NULL), "shared");
	long mode, uid, gid;
	(void)s;
	if (number(b, i, m, "mode", 8, 0755, &mode) < 0 || number(b, i, m, "uid", 10, 0, &uid) < 0 ||
	    number(b, i, m, "gid", 10, 0, &gid) < 0)
		return -EINVAL;
	image_digest(id, strlen(id), hex);
	m->source = arena_printf(&b->arena, "%s/caches/%s", b->o->state_dir, hex);
	bool fresh = access(m->source, F_OK) < 0;
	int r = fs_mkdir_p(m->source, 0755);
	if (r < 0)
		return build_fail(b, i, r, "%s: %s", m->source, strerror(-r));
	if (fresh && (chown(m->source, (uid_t)uid, (gid_t)gid) < 0 || chmod(m->source, (mode_t)mode) < 0))
		return build_fail(b, i, -errno, "%s: %s", m->source, strerror(errno));
	m->lock = open(m->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* private is locked: who comes second waits, instead of getting an empty one. */
	if (m->lock >= 0 && flock(m->lock, str_eq(sharing, "shared") ? LOCK_SH : LOCK_EX) < 0)
		return build_fail(b, i, -errno, "%s: %s", m->source, strerror(errno));
	m->readonly = field_bool(m, "ro", "readonly");
	return 0;
}

/* What is written to a bind mount is seen by that RUN and by nobody after it. */
static int open_writable(struct build *b, const struct dockerfile_instruction *i, int at, struct run_mount *m)
{
	struct stat st;
	if (fstat(at, &st) < 0)
		return build_fail(b, i, -errno, "--mount: %s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return view_open_writable(b, m->source, &m->over);
	const char *copy = arena_printf(&b->arena, "%s/%u-copy", b->work, b->n_steps++);
	_cleanup_close_ int from = open(m->source, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = from < 0 || to < 0 ? -errno : 0;
	for (ssize_t n = 1; r == 0 && n > 0;)
		if ((n = copy_file_range(from, NULL, to, NULL, COPY_BYTES, 0)) < 0 &&
		    (n = sendfile(to, from, NULL, COPY_BYTES)) < 0)
			r = -errno;
	if (r == 0 && (fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0))
		r = -errno;
	m->source = copy;
	m->secret = true; /* goes with the mount */
	return r < 0 ? build_fail(b, i, r, "--mount: %s", strerror(-r)) : 0;
}

static int open_bind(struct build *b, const struct dockerfile_instruction *i, struct run_mount *m)
{
	const char *from = field(m, "from", NULL, NULL), *source = str_or(field(m, "source", "src", NULL), "");
	char path[64], real[4096];
	bool context;
	int r = build_source_open(b, i, from, &m->fd, &m->view, &context);
	if (r < 0)
		return r;
	_cleanup_close_ int at = root_open(m->fd, source, O_PATH);
	if (at < 0)
		return build_fail(b, i, at, "--mount: source=%s: %s", source, strerror(-at));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
	ssize_t n = readlink(path, real, sizeof(real) - 1);
	if (n < 0)
		return build_fail(b, i, -errno, "--mount: source=%s: %s", source, strerror(errno));
	real[n] = 0;
	m->source = arena_strdup(&b->arena, real);
	m->readonly = !field_bool(m, "rw", "readwrite");
	return m->readonly ? 0 : open_writable(b, i, at, m);
}

static int open_secret(struct build *b, const struct dockerfile_instruction *i, struct run_mount *m)
{
	const char *id = field(m, "id", NULL, NULL), *file = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	long mode, uid, gid;
	if (!id)
		id = str_or(field(m, "source", "src", NULL), NULL);
	if (!id)
		return build_fail(b, i, -EINVAL, "--mount: a secret needs an id");
	for (size_t k = 0; k < b->o->n_secrets; k++)
		if (str_eq(b->o->secrets[k].name, id))
			file = b->o->secrets[k].value;
	if (!file && field_bool(m, "required", NULL))
		return build_fail(b, i, -ENOENT, "secret %s: not found", id);
	m->skip = !file;
	if (!file)
		return 0;
	if (number(b, i, m, "mode", 8, 0400, &mode) < 0 || number(b, i, m, "uid", 10, 0, &uid) < 0 ||
	    number(b, i, m, "gid", 10, 0, &gid) < 0)
		return -EINVAL;
	int r = fs_read(file, SECRETS_BYTES_MAX, &text);
	if (r < 0)
		return build_fail(b, i, r, "secret %s: %s: %s", id, file, strerror(-r));
	if (!m->target)
		m->target = arena_printf(&b->arena, "/run/secrets/%s", id);
	m->source = arena_printf(&b->arena, "%s/%u-secret", b->work, b->n_steps++);
	_cleanup_close_ int out = open(m->source, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	m->secret = true;
	m->readonly = true;
	if (out < 0 || fs_write_all(out, buf_str(&text), text.len) < 0 || fchown(out, (uid_t)uid, (gid_t)gid) < 0 ||
	    fchmod(out, (mode_t)mode) < 0)
		return build_fail(b, i, -errno, "%s: %s", m->source, strerror(errno));
	return 0;
}

static int open_mount(struct build *b, struct stage *s, const struct dockerfile_instruction *i, struct run_mount *m)
{
	if (str_eq(m->type, "secret"))
		return open_secret(b, i, m);
	if (str_eq(m->type, "ssh")) { /* nobody forwards an agent: RUN goes on without, unless it says that it can't */
		m->skip = true;
		return field_bool(m, "required", NULL)
			   ? build_fail(b, i, -ENOENT,
					"ssh: no agent is forwarded to builds, and the mount is required")
			   : 0;
	}
	if (!m->target)
		return build_fail(b, i, -EINVAL, "--mount: target is required");
	if (str_eq(m->type, "cache"))
		return open_cache(b, s, i, m);
	if (str_eq(m->type, "bind"))
		return open_bind(b, i, m);
	if (str_eq(m->type, "tmpfs")) {
		const char *size = field(m, "size", NULL, NULL);
		m->tmpfs = size ? arena_printf(&b->arena, "size=%s,mode=1777", size) : "mode=1777";
		return 0;
	}
	return build_fail(b, i, -ENOTSUP, "--mount: type=%s is not supported", m->type);
}

static void close_mounts(struct build *b, struct run *run)
{
	for (size_t k = 0; k < run->n_mounts; k++) {
		struct run_mount *m = &run->mounts[k];
		view_close_writable(b, m->over);
		build_source_close(b, m->fd, m->view);
		if (m->lock >= 0)
			close(m->lock);
		if (m->secret)
			unlink(m->source);
	}
}

/* ---- where mounts leave traces ---- */

struct trace {
	const char *path; /* below the root */
	struct trace *next;
};

/* What is missing of a mount's target now will be made for it, and goes again afterwards if nothing came into it. */
static void note_missing(struct build *b, int root, const char *target, struct trace **list)
{
	char *path = arena_strdup(&b->arena, target + strspn(target, "/"));
	for (char *p = path;; p++) {
		if (*p && *p != '/')
			continue;
		char was = *p;
		*p = 0;
		_cleanup_close_ int there = root_open(root, path, O_PATH | O_NOFOLLOW);
		if (there < 0 && *path) {
			struct trace *t = ARENA_NEW(&b->arena, struct trace);
			*t = (struct trace){arena_strdup(&b->arena, path), *list};
			*list = t; /* the deepest first */
		}
		*p = was;
		if (!was)
			return;
	}
}

/* A directory that was copied up only because something was made in it, is as it was below, and is empty again. */
static void remove_copied(int upper, int lower, const char *path)
{
	struct stat up, low;
	_cleanup_close_ int above = root_open_nosymlinks(upper, path, O_PATH | O_DIRECTORY);
	_cleanup_close_ int below = root_open_nosymlinks(lower, path, O_PATH | O_DIRECTORY);
	if (above >= 0 && below >= 0 && fstat(above, &up) == 0 && fstat(below, &low) == 0 &&
	    up.st_mode == low.st_mode && up.st_uid == low.st_uid && up.st_gid == low.st_gid)
		unlinkat(upper, path, AT_REMOVEDIR);
}

static void remove_traces(struct build *b, const char *upper, int lower, const struct trace *list)
{
	_cleanup_close_ int dir = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (; list; list = list->next) {
		struct stat st;
		_cleanup_close_ int at = root_open_nosymlinks(dir, list->path, O_PATH);
		if (at < 0 || fstat(at, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			unlinkat(dir, list->path, AT_REMOVEDIR); /* not when there is something in it */
		else if (S_ISREG(st.st_mode) && st.st_size == 0)
			unlinkat(dir, list->path, 0);
		const char *slash = strrchr(list->path, '/');
		if (slash)
			remove_copied(dir, lower, arena_strndup(&b->arena, list->path, (size_t)(slash - list->path)));
	}
}

static void find_traces(struct build *b, int root, const struct run *run, struct trace **ret)
{
	static const char *const own[] = {"/etc/resolv.conf", "/etc/hosts", "/proc", "/sys", "/dev"};
	for (size_t k = 0; k < ARRAY_SIZE(own); k++)
		note_missing(b, root, own[k], ret);
	for (size_t k = 0; k < run->n_mounts; k++)
		if (run->mounts[k].target)
			note_missing(b, root, run->mounts[k].target, ret);
}

/* ---- RUN ---- */

static int perform(struct build *b, struct stage *s, struct step *step, const char *upper, const char *workdir)
{
	struct run *run = step->arg;
	struct trace *traces = NULL;
	const char *view;
	int code = 0, lower = view_open(b, s->dirs, &view);
	if (lower < 0)
		return lower;
	find_traces(b, lower, run, &traces);
	run->lower = s->dirs;
	run->upper = upper;
	run->workdir = workdir;
	int r = runner_run(b, run, &code, b->err, b->err_len);
	remove_traces(b, upper, lower, traces);
	view_close(b, lower, view);
	if (r < 0) {
		_cleanup_free_ char *why = xstrdup(b->err);
		return build_fail(b, step->ins, r, "%s", why);
	}
	return code ? build_fail(b, step->ins, -ECHILD, "the command '%s' returned a non-zero code: %d", run->shown,
				 code)
		    : 0;
}

static const char *shown(struct build *b, const char *const *words)
{
	_cleanup_buf_ struct buf all = BUF_INIT;
	for (; *words; words++)
		buf_addf(&all, "%s%s", all.len ? " " : "", *words);
	return arena_strdup(&b->arena, buf_str(&all));
}

/*
 * The shell gets the line as it is; with here-documents also these, for it knows them itself. One that is the whole
 * command is the script, run by the program that its #! names or by the shell.
 */
static const char *const *command(struct build *b, struct stage *s, const struct dockerfile_instruction *i,
				  struct run *run)
{
	size_t n = 0;
	if (i->words)
		return i->words;
	while (s->shell[n])
		n++;
	const char **out = arena_zalloc(&b->arena, (n + 3) * sizeof(*out));
	memcpy(out, s->shell, n * sizeof(*out));
	const char *text = i->rest;
	if (i->n_heredocs == 1 && str_has_prefix(text, "<<") && !strpbrk(text, " \t")) {
		const char *script = i->heredocs[0].content;
		if (str_has_prefix(script, "#!")) {
			run->script = script;
			out[0] = RUN_SCRIPT_PATH;
			out[1] = NULL;
			return out;
		}
		text = script;
	} else {
		for (size_t k = 0; k < i->n_heredocs; k++)
			text = arena_printf(&b->arena, "%s\n%s%s", text, i->heredocs[k].content, i->heredocs[k].name);
	}
	out[n] = text;
	return out;
}

static int run_flags(struct build *b, struct stage *s, const struct dockerfile_instruction *i, struct run *run)
{
	for (size_t k = 0; k < i->n_flags; k++) {
		const char *name = i->flags[k].name, *value = str_or(i->flags[k].value, "");
		if (str_eq(name, "mount")) {
			if (run->n_mounts == RUN_MOUNTS_MAX)
				return build_fail(b, i, -EINVAL, "more than %d mounts", RUN_MOUNTS_MAX);
			struct run_mount *m = &run->mounts[run->n_mounts++];
			if (parse_mount(b, s, i, value, m) < 0 || open_mount(b, s, i, m) < 0)
				return -EINVAL;
		} else if (str_eq(name, "network")) {
			if (!str_in(value, (const char *const[]){"default", "host", "none", NULL}))
				return build_fail(b, i, -EINVAL, "--network must be default, host or none");
			run->no_network |= str_eq(value, "none");
		} else if (str_eq(name, "security")) {
			if (!str_eq(value, "sandbox"))
				return build_fail(b, i, -ENOTSUP, "--security=%s is not allowed", value);
		} else {
			return build_fail(b, i, -EINVAL, "unknown flag: --%s", name);
		}
	}
	return 0;
}

static void run_key(struct build *b, struct stage *s, const struct dockerfile_instruction *i, const struct run *run,
		    struct step *step)
{
	VEC(const char *) parts = {0};
	VEC_PUSH(&parts, "RUN");
	for (const char *const *w = run->args; *w; w++)
		VEC_PUSH(&parts, *w);
	VEC_PUSH(&parts, "");
	for (const char *const *w = environment(b, s, true); *w; w++)
		VEC_PUSH(&parts, *w);
	VEC_PUSH(&parts, run->user);
	VEC_PUSH(&parts, run->cwd);
	VEC_PUSH(&parts, run->no_network ? "no network" : "");
	VEC_PUSH(&parts, str_or(run->script, ""));
	for (size_t k = 0; k < i->n_flags; k++)
		VEC_PUSH(&parts, str_or(i->flags[k].value, ""));
	for (size_t k = 0; k < run->n_mounts; k++)
		VEC_PUSH(&parts, str_or(run->mounts[k].digest, ""));
	step_key(s, step->key, parts.at, parts.n);
	VEC_RELEASE(&parts);
}

/* What a bind mount shows counts like what COPY copies. */
static int digest_binds(struct build *b, const struct dockerfile_instruction *i, struct run *run)
{
	for (size_t k = 0; k < run->n_mounts; k++) {
		struct run_mount *m = &run->mounts[k];
		char hex[65], why[512] = "";
		if (!str_eq(m->type, "bind"))
			continue;
		int r = mount_digest(b, m, str_or(field(m, "source", "src", NULL), ""), hex, why, sizeof(why));
		if (r < 0)
			return build_fail(b, i, r, "%s", why);
		m->digest = arena_strdup(&b->arena, hex);
	}
	return 0;
}

int run_do(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	struct run *run = ARENA_NEW(&b->arena, struct run);
	struct step step = {.ins = i, .text = i->text, .run = perform, .arg = run};
	run->no_network = b->o->no_network;
	run->args = command(b, s, i, run);
	run->shown = i->words ? shown(b, run->args) : run->script ? i->rest : shown(b, run->args);
	run->env = environment(b, s, false);
	run->user = stage_config_str(s, "User");
	run->cwd = stage_config_str(s, "WorkingDir");
	int r = run_flags(b, s, i, run);
	if (r == 0)
		r = digest_binds(b, i, run);
	if (r == 0) {
		run_key(b, s, i, run, &step);
		r = step_do(b, s, &step);
	}
	close_mounts(b, run);
	return r;
}
