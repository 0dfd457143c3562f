/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of proa run, in the words of docker and podman. */
#include "cmd/run_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "cmd/command.h"

#define ENV_FILE_BYTES_MAX (1u << 20)

/* "512m": bytes, or with b, k, m, g */
static int parse_size(const char *text, int64_t *ret)
{
	char *end;
	double n = strtod(text, &end);
	static const char units[] = "bkmg";
	const char *unit = *end ? strchr(units, *end | 32) : units;
	if (end == text || !unit ||
	    (*end && end[1] && strcasecmp(end + 1, "b") != 0 && strcasecmp(end + 1, "ib") != 0) || n <= 0)
		return -EINVAL;
	for (; unit > units; unit--)
		n *= 1024;
	*ret = (int64_t)n;
	return n < 9e18 ? 0 : -ERANGE;
}

/* "80" or "8000-8010" */
static int parse_range(const char *text, int64_t *ret_first, int64_t *ret_last)
{
	_cleanup_free_ char *first = xstrndup(text, strcspn(text, "-"));
	const char *last = text[strlen(first)] ? text + strlen(first) + 1 : first;
	if (parse_int_range(first, 1, 65535, ret_first) < 0 || parse_int_range(last, *ret_first, 65535, ret_last) < 0)
		return -EINVAL;
	return 0;
}

/* "[IP:]HOST:CONTAINER[/tcp]", where both may be ranges of one length */
static int parse_port(struct arena *a, const char *text, struct local_options *o)
{
	char *copy = arena_strdup(a, text), *slash = strchr(copy, '/'), *last = strrchr(copy, ':');
	int64_t host, host_last, container, container_last;
	if (slash && !str_eq(slash, "/tcp"))
		return -ENOTSUP;
	if (slash)
		*slash = 0;
	if (!last)
		return -EINVAL;
	*last = 0;
	char *before = strrchr(copy, ':');
	if (before)
		*before = 0;
	if (parse_range(before ? before + 1 : copy, &host, &host_last) < 0 ||
	    parse_range(last + 1, &container, &container_last) < 0 || host_last - host != container_last - container)
		return -EINVAL;
	for (; host <= host_last; host++, container++) {
		if (o->n_ports == LOCAL_PORTS_MAX)
			return -E2BIG;
		o->ports[o->n_ports++] = (struct local_port){before ? copy : "", (int)host, (int)container};
	}
	return 0;
}

/* What -v says after the second colon. Labels are for SELinux, which is not here; ways of copying and caching for
 * others. */
static int volume_option(const char *word, bool *readonly)
{
	static const char *const nothing[] = {"rw",	"z",	     "Z",	   "nocopy", "copy",
					      "cached", "delegated", "consistent", NULL};
	*readonly |= str_eq(word, "ro");
	return *readonly || str_in(word, nothing) ? 0 : -EINVAL;
}

static const char *host_path(struct arena *a, const char *source)
{
	_cleanup_free_ char *real = *source == '.' || *source == '~' ? realpath(source, NULL) : NULL;
	return real ? arena_strdup(a, real) : source;
}

/* "SOURCE:TARGET[:ro,z]", or "TARGET" alone: a volume without a name */
static int parse_volume(struct arena *a, const char *text, struct local_volume *ret)
{
	char *source = arena_strdup(a, text), *target = strchr(source, ':'), *save = NULL;
	bool readonly = false;
	if (!target || target == source)
		return -EINVAL;
	*target++ = 0;
	char *options = strchr(target, ':');
	if (options)
		*options++ = 0;
	for (char *w = options ? strtok_r(options, ",", &save) : NULL; w; w = strtok_r(NULL, ",", &save))
		if (volume_option(w, &readonly) < 0)
			return -EINVAL;
	*ret = (struct local_volume){.source = host_path(a, source), .target = target, .readonly = readonly};
	return 0;
}

/* "TARGET[:size=64m,mode=1777]" */
static int parse_tmpfs(struct arena *a, const char *text, struct local_volume *ret)
{
	size_t n = strcspn(text, ":");
	*ret =
	    (struct local_volume){.target = arena_strndup(a, text, n), .tmpfs = text[n] ? text + n + 1 : "mode=1777"};
	return *text == '/' ? 0 : -EINVAL;
}

static bool is_true(const char *value)
{
	return !value || str_eq(value, "true") || str_eq(value, "1");
}

/* "type=bind,source=/a,target=/b,readonly" */
static int parse_mount(struct arena *a, const char *text, struct local_volume *ret)
{
	char *copy = arena_strdup(a, text), *save = NULL;
	const char *type = "volume", *size = NULL, *mode = "1777";
	*ret = (struct local_volume){.source = NULL};
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		char *value = strchr(w, '=');
		if (value)
			*value++ = 0;
		if (str_eq(w, "readonly") || str_eq(w, "ro"))
			ret->readonly = is_true(value);
		else if (!value)
			return -EINVAL;
		else if (str_eq(w, "type"))
			type = value;
		else if (str_eq(w, "source") || str_eq(w, "src"))
			ret->source = host_path(a, value);
		else if (str_eq(w, "target") || str_eq(w, "destination") || str_eq(w, "dst"))
			ret->target = value;
		else if (str_eq(w, "tmpfs-size"))
			size = value;
		else if (str_eq(w, "tmpfs-mode"))
			mode = value;
		else
			return -EINVAL;
	}
	if (str_eq(type, "tmpfs"))
		ret->tmpfs = arena_printf(a, "mode=%s%s%s", mode, size ? ",size=" : "", str_or(size, ""));
	bool path = ret->source && *ret->source == '/';
	if (!ret->target || (str_eq(type, "bind") && !path) || (str_eq(type, "volume") && (!ret->source || path)))
		return -EINVAL;
	return str_in(type, (const char *const[]){"bind", "volume", "tmpfs", NULL}) ? 0 : -EINVAL;
}

static int parse_ports(const struct args *a, struct arena *arena, struct local_options *o)
{
	const char *text;
	for (int i = 0; (text = args_each(a, "publish", i)); i++) {
		int r = parse_port(arena, text, o);
		if (r < 0)
			return r == -ENOTSUP ? command_fail("--publish=%s: only TCP ports can be published", text)
			       : r == -E2BIG ? command_fail("more than %d ports", LOCAL_PORTS_MAX)
					     : command_fail("--publish=%s: it must be [IP:]HOST:CONTAINER", text);
	}
	return 0;
}

static int parse_volumes(const struct args *a, struct arena *arena, struct local_options *o)
{
	static const struct {
		const char *flag;
		int (*parse)(struct arena *a, const char *text, struct local_volume *ret);
		const char *form;
	} kinds[] = {{"volume", parse_volume, "SOURCE:TARGET[:ro]"},
		     {"mount", parse_mount, "type=bind|volume|tmpfs,source=SOURCE,target=TARGET"},
		     {"tmpfs", parse_tmpfs, "/TARGET[:OPTIONS]"}};
	const char *text;
	o->volumes = arena_zalloc(arena, ARGS_GIVEN_MAX * sizeof(*o->volumes));
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (int i = 0; (text = args_each(a, kinds[k].flag, i)); i++)
			if (kinds[k].parse(arena, text, &o->volumes[o->n_volumes++]) < 0)
				return command_fail("--%s=%s: it must be %s", kinds[k].flag, text, kinds[k].form);
	return 0;
}

static const char *const *list(const struct args *a, struct arena *arena, const char *flag)
{
	const char **all = arena_zalloc(arena, (ARGS_GIVEN_MAX + 1) * sizeof(*all)), *text;
	for (int i = 0; (text = args_each(a, flag, i)); i++)
		all[i] = text;
	return all;
}

/* ---- variables ---- */

struct variables {
	struct arena *arena;
	VEC(const char *) at;
};

/* "NAME=VALUE", or "NAME" for what it is here. */
static void add_variable(struct variables *v, const char *text)
{
	const char *here = strchr(text, '=') ? NULL : getenv(text);
	if (here)
		VEC_PUSH(&v->at, arena_printf(v->arena, "%s=%s", text, here));
	else if (strchr(text, '='))
		VEC_PUSH(&v->at, text);
}

/* As docker reads it: nothing is a quote, lines with # are comments. */
static int read_env_file(struct variables *v, const char *path)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = fs_read(path, ENV_FILE_BYTES_MAX, &b);
	char *save = NULL;
	if (r < 0)
		return command_fail("--env-file=%s: %s", path, strerror(-r));
	for (char *line = strtok_r(arena_strdup(v->arena, buf_str(&b)), "\r\n", &save); line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		line += strspn(line, " \t");
		if (*line && *line != '#')
			add_variable(v, line);
	}
	return 0;
}

static int parse_variables(const struct args *a, struct arena *arena, struct local_options *o)
{
	struct variables v = {.arena = arena};
	const char *text;
	int r = 0;
	for (int i = 0; r == 0 && (text = args_each(a, "env-file", i)); i++)
		r = read_env_file(&v, text);
	for (int i = 0; r == 0 && (text = args_each(a, "env", i)); i++)
		add_variable(&v, text);
	const char **all = arena_zalloc(arena, (v.at.n + 1) * sizeof(*all));
	if (v.at.n)
		memcpy(all, v.at.at, v.at.n * sizeof(*all));
	VEC_RELEASE(&v.at);
	o->env = all;
	return r;
}

/* ---- limits ---- */

/* "nofile=1024:4096" */
static int parse_ulimit(struct arena *a, const char *text, struct spec_rlimit *ret)
{
	size_t n = strcspn(text, "=");
	if (!text[n])
		return -EINVAL;
	char *name = arena_printf(a, "RLIMIT_%.*s", (int)n, text), *soft = arena_strdup(a, text + n + 1);
	char *hard = strchr(soft, ':');
	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	if (hard)
		*hard++ = 0;
	else
		hard = soft;
	ret->name = name;
	return parse_int_range(soft, -1, INT64_MAX, &ret->soft) < 0 ||
		       parse_int_range(hard, -1, INT64_MAX, &ret->hard) < 0
		   ? -EINVAL
		   : 0;
}

static int parse_kernel(const struct args *a, struct arena *arena, struct local_options *o)
{
	const char *text, *shm = args_value(a, "shm-size");
	o->rlimits = arena_zalloc(arena, ARGS_GIVEN_MAX * sizeof(*o->rlimits));
	o->sysctls = arena_zalloc(arena, ARGS_GIVEN_MAX * sizeof(*o->sysctls));
	for (int i = 0; (text = args_each(a, "ulimit", i)); i++)
		if (parse_ulimit(arena, text, &o->rlimits[o->n_rlimits++]) < 0)
			return command_fail("--ulimit=%s: it must be NAME=SOFT[:HARD]", text);
	for (int i = 0; (text = args_each(a, "sysctl", i)); i++) {
		size_t n = strcspn(text, "=");
		if (!n || !text[n])
			return command_fail("--sysctl=%s: it must be NAME=VALUE", text);
		o->sysctls[o->n_sysctls++] = (struct spec_sysctl){arena_strndup(arena, text, n), text + n + 1};
	}
	if (shm && parse_size(shm, &o->shm_size) < 0)
		return command_fail("--shm-size=%s: it must be bytes, or a number with k, m or g", shm);
	return 0;
}

static int parse_hosts(const struct args *a, struct local_options *o)
{
	for (const char *const *h = o->hosts; *h; h++)
		if (!strchr(*h, ':') || **h == ':' || !strchr(*h, ':')[1])
			return command_fail("--add-host=%s: it must be NAME:IP", *h);
	(void)a;
	return 0;
}

static int parse_limits(const struct args *a, struct local_options *o)
{
	const char *memory = args_value(a, "memory"), *cpus = args_value(a, "cpus"),
		   *pids = args_value(a, "pids-limit");
	char *end = NULL;
	if (memory && parse_size(memory, &o->memory) < 0)
		return command_fail("--memory=%s: it must be bytes, or a number with k, m or g", memory);
	o->cpus = cpus ? strtod(cpus, &end) : 0;
	if (cpus && (end == cpus || *end || o->cpus < 0.01))
		return command_fail("--cpus=%s: it must be a number of at least 0.01", cpus);
	if (pids && parse_int_range(pids, 1, 1 << 22, &o->pids) < 0)
		return command_fail("--pids-limit=%s is no number of processes", pids);
	return 0;
}

int run_options_parse(const struct args *a, struct arena *arena, struct local_options *o)
{
	static const char *const networks[] = {"bridge", "host", "none"};
	const char *network = args_value(a, "network");
	o->image = a->operands[0];
	o->words = a->operands + 1;
	o->n_words = (size_t)a->n_operands - 1;
	o->name = args_value(a, "name");
	o->platform = args_value(a, "platform");
	o->entrypoint = args_value(a, "entrypoint");
	o->user = args_value(a, "user");
	o->workdir = args_value(a, "workdir");
	o->hostname = args_value(a, "hostname");
	o->hosts = list(a, arena, "add-host");
	o->labels = list(a, arena, "label");
	o->stop_signal = args_value(a, "stop-signal");
	o->cap_add = list(a, arena, "cap-add");
	o->cap_drop = list(a, arena, "cap-drop");
	o->tty = args_switch(a, "tty");
	o->interactive = args_switch(a, "interactive");
	o->readonly = args_switch(a, "read-only");
	o->privileged = args_switch(a, "privileged");
	o->remove = args_switch(a, "rm");
	for (int i = 0; i < 3; i++)
		if (str_eq(networks[i], network))
			o->network = (enum local_network)i;
	if (!str_in(network, (const char *const[]){"bridge", "host", "none", NULL}))
		return command_fail("--network is bridge, host or none, not \"%s\"", network);
	if (o->stop_signal && !local_signal_number(o->stop_signal))
		return command_fail("--stop-signal=%s is no signal", o->stop_signal);
	if (parse_ports(a, arena, o) != 0 || parse_volumes(a, arena, o) != 0 || parse_variables(a, arena, o) != 0 ||
	    parse_kernel(a, arena, o) != 0 || parse_hosts(a, o) != 0)
		return 1;
	return parse_limits(a, o);
}
