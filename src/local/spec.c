/* SPDX-License-Identifier: Apache-2.0 */
/* From an image and what the command line says to what the runtime makes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image.h"
#include "local/local_internal.h"

#define PATH_USUAL "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define HOST_FILE_MAX (1u << 20)
#define CPU_PERIOD_US 100000

int local_signal_number(const char *name)
{
	int64_t n;
	if (str_empty(name))
		return 0;
	if (parse_int_range(name, 1, SIGRTMAX, &n) == 0)
		return (int)n;
	if (str_has_prefix(name, "SIG"))
		name += 3;
	for (int i = 1; i <= SIGSYS; i++)
		if (str_eq(sigabbrev_np(i), name))
			return i;
	return 0;
}

static size_t count(const char *const *list)
{
	size_t n = 0;
	while (list && list[n])
		n++;
	return n;
}

static void add(const char **out, size_t *n, const char *const *list)
{
	for (; list && *list; list++)
		out[(*n)++] = *list;
}

/* Words replace the image's command, an entry point both. */
static const char *const *arguments(struct arena *a, const struct local_options *o, const struct image *image)
{
	size_t n = 0, max = count(image->entrypoint) + count(image->cmd) + o->n_words + 2;
	const char **out = arena_zalloc(a, max * sizeof(*out));
	if (!o->entrypoint)
		add(out, &n, image->entrypoint);
	else if (*o->entrypoint)
		out[n++] = o->entrypoint;
	for (size_t i = 0; i < o->n_words; i++)
		out[n++] = o->words[i];
	if (!o->n_words && !o->entrypoint)
		add(out, &n, image->cmd);
	return out;
}

static void set_variable(const char **out, size_t *n, const char *pair)
{
	size_t len = strcspn(pair, "=") + 1;
	for (size_t i = 0; i < *n; i++)
		if (strncmp(out[i], pair, len) == 0) {
			out[i] = pair;
			return;
		}
	out[(*n)++] = pair;
}

static const char *const *environment(struct arena *a, const struct local_options *o, const struct image *image,
				      const char *hostname)
{
	size_t n = 0, max = count(image->env) + count(o->env) + 5;
	const char **out = arena_zalloc(a, max * sizeof(*out));
	set_variable(out, &n, PATH_USUAL);
	set_variable(out, &n, arena_printf(a, "HOSTNAME=%s", hostname));
	if (o->tty)
		set_variable(out, &n, "TERM=xterm");
	for (const char *const *e = image->env; *e; e++)
		set_variable(out, &n, *e);
	for (const char *const *e = o->env; e && *e; e++)
		set_variable(out, &n, *e);
	return out;
}

const char *local_hostname(struct arena *a, const struct local_options *o, const char *id)
{
	return o->hostname ? o->hostname : arena_strndup(a, id, 12);
}

/* ---- mounts ---- */

static int add_volume(struct local *l, struct arena *a, const struct local_volume *v, struct spec_mount *m, char *err,
		      size_t err_len)
{
	const char *source = v->source;
	if (*v->target != '/')
		return local_fail(err, err_len, -EINVAL, "a volume's place must be an absolute path, not \"%s\"",
				  v->target);
	if (v->tmpfs) {
		*m = (struct spec_mount){.type = "tmpfs",
					 .target = v->target,
					 .data = v->tmpfs,
					 .readonly = v->readonly,
					 .nosuid = true,
					 .nodev = true};
		return 0;
	}
	if (*source != '/') { /* a name: a directory that stays */
		if (!*source ||
		    strspn(source, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
			strlen(source) ||
		    *source == '.')
			return local_fail(err, err_len, -EINVAL, "invalid volume name \"%s\"", source);
		source = arena_printf(a, "%s/../volumes/%s", l->state_dir, v->source);
	}
	int r = access(source, F_OK) == 0 ? 0 : fs_mkdir_p(source, 0755); /* as docker's -v */
	if (r < 0)
		return local_fail(err, err_len, r, "%s: %s", source, strerror(-r));
	*m = (struct spec_mount){.source = source, .target = v->target, .readonly = v->readonly};
	return 0;
}

static int write_own(struct local *l, const char *id, const char *name, const struct buf *text, char *err,
		     size_t err_len)
{
	_cleanup_free_ char *path = local_path(l, id, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : fs_write_all(fd, buf_str(text), text->len);
	return r < 0 ? local_fail(err, err_len, r, "%s: %s", path, strerror(-r)) : 0;
}

int local_write_files(struct local *l, const char *id, const char *hostname, const char *ip, const char *const *more,
		      char *err, size_t err_len)
{
	_cleanup_buf_ struct buf hosts = BUF_INIT, resolv = BUF_INIT, name = BUF_INIT;
	if (!*hostname)
		(void)fs_read("/etc/hosts", HOST_FILE_MAX, &hosts);
	else
		buf_addf(&hosts, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
	if (!str_empty(ip))
		buf_addf(&hosts, "%s\t%s\n", ip, hostname);
	for (; more && *more; more++) {
		const char *address = strchr(*more, ':') + 1;
		buf_addf(&hosts, "%s\t%.*s\n", address, (int)(address - 1 - *more), *more);
	}
	(void)fs_read("/etc/resolv.conf", HOST_FILE_MAX, &resolv);
	buf_addf(&name, "%s\n", hostname);
	if (write_own(l, id, "hosts", &hosts, err, err_len) < 0 ||
	    write_own(l, id, "resolv.conf", &resolv, err, err_len) < 0)
		return -EIO;
	return *hostname ? write_own(l, id, "hostname", &name, err, err_len) : 0;
}

static int add_mounts(struct local *l, struct arena *a, const struct local_options *o, const char *id,
		      struct local_spec *s, char *err, size_t err_len)
{
	static const char *const own[] = {"hosts", "resolv.conf", "hostname"};
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (o->network != LOCAL_HOST || i < 2)
			s->mounts[n++] =
			    (struct spec_mount){.source = arena_printf(a, "%s/%s/%s", l->state_dir, id, own[i]),
						.target = arena_printf(a, "/etc/%s", own[i])};
	if (o->n_volumes > ARRAY_SIZE(s->mounts) - n)
		return local_fail(err, err_len, -E2BIG, "too many volumes");
	for (size_t i = 0; i < o->n_volumes; i++)
		if (add_volume(l, a, &o->volumes[i], &s->mounts[n++], err, err_len) < 0)
			return -EINVAL;
	s->container.mounts = s->mounts;
	s->container.n_mounts = n;
	return 0;
}

static int make_dirs(struct local *l, struct arena *a, const char *id, struct container_spec *c, char *err,
		     size_t err_len)
{
	c->upperdir = arena_printf(a, "%s/%s/upper", l->state_dir, id);
	c->workdir = arena_printf(a, "%s/%s/work", l->state_dir, id);
	int r = fs_mkdir_p(c->upperdir, 0755);
	if (r == 0)
		r = fs_mkdir_p(c->workdir, 0700);
	return r < 0 ? local_fail(err, err_len, r, "%s: %s", c->upperdir, strerror(-r)) : 0;
}

static const char *const *copy_list(struct arena *a, const char *const *list)
{
	const char **out = arena_zalloc(a, (count(list) + 1) * sizeof(*out));
	for (size_t i = 0; list[i]; i++)
		out[i] = arena_strdup(a, list[i]);
	return out;
}

int local_spec_fill(struct local *l, struct arena *a, const struct local_options *o, const struct image *image,
		    const char *id, struct local_spec *ret, char *err, size_t err_len)
{
	const char *hostname = local_hostname(a, o, id);
	struct container_spec *c = &ret->container;
	bool host = o->network == LOCAL_HOST;
	ret->pod.name = "run";
	ret->pod.namespace_ = "local";
	ret->pod.hostname = host ? NULL : hostname;
	ret->pod.host_network = host;
	c->id = id;
	c->name = "run";
	c->args = arguments(a, o, image);
	if (!*c->args)
		return local_fail(err, err_len, -EINVAL, "no command: neither the image nor the command line has one");
	c->lowerdirs = copy_list(a, image->layers);
	if (!*c->lowerdirs)
		return local_fail(err, err_len, -EINVAL, "the image %s has no files", o->image);
	c->env = environment(a, o, image, hostname);
	c->cwd = o->workdir ? o->workdir : arena_strdup(a, image->working_dir);
	c->user = o->user ? o->user : arena_strdup(a, image->user);
	c->readonly_rootfs = o->readonly;
	c->privileged = o->privileged;
	c->cap_add = o->cap_add;
	c->cap_drop = o->cap_drop;
	c->tty = o->tty;
	c->stdin_ = c->stdin_once = o->interactive;
	c->log_path = arena_printf(a, "%s/%s/log", l->state_dir, id);
	c->rlimits = o->rlimits;
	c->n_rlimits = o->n_rlimits;
	ret->pod.sysctls = o->sysctls;
	ret->pod.n_sysctls = o->n_sysctls;
	ret->pod.shm_size = o->shm_size;
	c->resources.memory_limit = o->memory;
	c->resources.pids_limit = o->pids;
	if (o->cpus > 0) {
		c->resources.cpu_period_us = CPU_PERIOD_US;
		c->resources.cpu_quota_us = (int64_t)(o->cpus * CPU_PERIOD_US);
	}
	if (make_dirs(l, a, id, c, err, err_len) < 0)
		return -EIO;
	return add_mounts(l, a, o, id, ret, err, err_len);
}
