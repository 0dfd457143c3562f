/* SPDX-License-Identifier: Apache-2.0 */
/* proa ps, exec, stop and rm. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/local_internal.h"

/* ---- ps ---- */

static const char *age(struct arena *a, int64_t ns)
{
	static const struct {
		int64_t s;
		const char *unit;
	} units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	int64_t s = (now_ns() - ns) / 1000000000;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (s >= units[i].s) {
			int64_t n = s / units[i].s;
			return arena_printf(a, "%lld %s%s", (long long)n, units[i].unit, n == 1 ? "" : "s");
		}
	return "less than a second";
}

static const char *state_of(const struct local_container *c)
{
	return c->exited ? "exited" : c->status.state == CONTAINER_RUNNING ? "running" : "created";
}

static const char *status_text(struct arena *a, const struct local_container *c)
{
	if (!c->exited)
		return c->status.state == CONTAINER_RUNNING ? arena_printf(a, "Up %s", age(a, c->status.started_at_ns))
							    : "Created";
	if (!c->runtime)
		return "Exited (unknown)";
	return arena_printf(a, "Exited (%d) %s ago", c->status.exit_code, age(a, c->status.finished_at_ns));
}

static const char *ports_text(struct arena *a, const struct local_record *r)
{
	const char *text = "";
	for (size_t i = 0; i < r->n_ports; i++)
		text = arena_printf(a, "%s%s%s:%d->%d/tcp", text, i ? ", " : "",
				    *r->ports[i].host_ip ? r->ports[i].host_ip : "0.0.0.0", r->ports[i].host,
				    r->ports[i].container);
	return text;
}

struct ps {
	struct arena arena;
	const struct args *args; /* for --filter */
	bool all, quiet, json;
	struct json *list;
};

/* "KEY", or "KEY=VALUE" */
static bool has_label(const struct local_record *r, const char *wanted)
{
	size_t n = strlen(wanted);
	for (const char *const *l = r->labels; l && *l; l++)
		if (strncmp(*l, wanted, n) == 0 && (!(*l)[n] || (!strchr(wanted, '=') && (*l)[n] == '=')))
			return true;
	return false;
}

static const char *const filters[] = {"name", "id", "status", "label", "ancestor", NULL};

static bool filter_fits(const char *key, const char *value, const struct local_container *c)
{
	const struct local_record *r = c->record;
	return str_eq(key, "name")     ? strstr(r->name, value) != NULL
	       : str_eq(key, "id")     ? str_has_prefix(r->id, value)
	       : str_eq(key, "status") ? str_eq(state_of(c), value)
	       : str_eq(key, "label")  ? has_label(r, value)
				       : str_eq(r->image, value);
}

/* Those of one key are alternatives, except labels; keys all have to fit. */
static bool filtered_out(const struct ps *p, const struct local_container *c)
{
	for (const char *const *key = filters; *key; key++) {
		bool asked = false, fits = false, all = true;
		const char *text;
		for (int i = 0; (text = args_each(p->args, "filter", i)); i++) {
			size_t n = strlen(*key);
			if (strncmp(text, *key, n) != 0 || text[n] != '=')
				continue;
			bool one = filter_fits(*key, text + n + 1, c);
			asked = true;
			fits |= one;
			all &= one;
		}
		if (asked && !(str_eq(*key, "label") ? all : fits))
			return true;
	}
	return false;
}

static int check_filters(const struct args *a)
{
	const char *text;
	for (int i = 0; (text = args_each(a, "filter", i)); i++) {
		_cleanup_free_ char *key = xstrndup(text, strcspn(text, "="));
		if (!strchr(text, '=') || !str_in(key, filters))
			return command_fail(
			    "--filter=%s: it must be name, id, status, label or ancestor, = and a value", text);
	}
	return 0;
}

static bool show(void *arg, struct local_container *c)
{
	struct ps *p = arg;
	struct arena *a = &p->arena;
	const struct local_record *r = c->record;
	if ((!p->all && (c->exited || c->status.state != CONTAINER_RUNNING)) || filtered_out(p, c))
		return true;
	if (p->quiet) {
		printf("%.12s\n", r->id);
	} else if (p->json) {
		struct json *o = json_append(p->list, json_new(a, JSON_OBJECT));
		char time[TIME_RFC3339_MAX];
		json_set_str(a, o, "id", r->id);
		json_set_str(a, o, "name", r->name);
		json_set_str(a, o, "image", r->image);
		json_set_str(a, o, "command", r->command);
		json_set_str(a, o, "state", state_of(c));
		json_set_str(a, o, "status", status_text(a, c));
		json_set_str(a, o, "created", time_format(r->created_ns, time));
		json_set_int(a, o, "pid", c->exited ? 0 : c->status.pid);
		if (c->exited && c->runtime)
			json_set_int(a, o, "exitCode", c->status.exit_code);
		json_set_str(a, o, "ip", r->ip);
		json_set_str(a, o, "ports", ports_text(a, r));
		struct json *labels = json_object_in(a, o, "labels");
		for (const char *const *l = r->labels; l && *l; l++) {
			size_t n = strcspn(*l, "=");
			json_set_str(a, labels, arena_strndup(a, *l, n), (*l)[n] ? *l + n + 1 : "");
		}
	} else {
		printf("%-14.12s %-24.24s %-22.22s %-22s %-26s %-20s %s\n", r->id, r->image, r->command,
		       arena_printf(a, "%s ago", age(a, r->created_ns)), status_text(a, c), ports_text(a, r), r->name);
	}
	return true;
}

static int ps(const struct args *a)
{
	struct ps p = {.args = a, .all = args_switch(a, "all"), .quiet = args_switch(a, "quiet")};
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct local l;
	char why[LOCAL_ERR_MAX] = "";
	p.json = str_eq(args_value(a, "format"), "json");
	if (!p.json && !str_eq(args_value(a, "format"), "table"))
		return command_fail("--format is table or json, not \"%s\"", args_value(a, "format"));
	/* A state that is asked for by name is shown. */
	for (int i = 0; args_each(a, "filter", i); i++)
		p.all |= str_has_prefix(args_each(a, "filter", i), "status=");
	if (check_filters(a) != 0 || local_command_open(a, &p.arena, &l) != 0)
		return 1;
	p.list = json_new(&p.arena, JSON_ARRAY);
	if (!p.quiet && !p.json)
		printf("%-14s %-24s %-22s %-22s %-26s %-20s %s\n", "CONTAINER ID", "IMAGE", "COMMAND", "CREATED",
		       "STATUS", "PORTS", "NAME");
	int r = local_each(&l, show, &p, why, sizeof(why));
	local_command_close(&l);
	if (p.json && !p.quiet) {
		json_write_pretty(&out, p.list);
		puts(buf_str(&out));
	}
	arena_release(&p.arena);
	return r < 0 ? command_fail("%s", why) : 0;
}

static const struct flag ps_flags[] = {
    {"all", NULL, NULL, "Those that do not run, too."},
    {"quiet", NULL, NULL, "Ids only."},
    {"filter", "KEY=VALUE", NULL,
     "Only those with this name, id, status, label or ancestor (image). May be given again."},
    {"format", "table|json", "table", "How to print."},
    LOCAL_DATA_DIR_FLAG,
    {0},
};

const struct command command_ps = {
    .name = "ps",
    .summary = "List the containers that 'proa run' made",
    .about = "List the containers that 'proa run' made.",
    .example = "  proa ps\n\n  # With those that have exited\n  proa ps -a",
    .operands = "",
    .flags = ps_flags,
    .letters = "a=all q=quiet f=filter",
    .run = ps,
};

/* ---- exec ---- */

static int exec(const struct args *a)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct local l;
	struct local_container *c;
	char why[LOCAL_ERR_MAX] = "";
	const char **env = arena_zalloc(&arena, (ARGS_GIVEN_MAX + 2) * sizeof(*env));
	if (local_command_open(a, &arena, &l) != 0)
		return EXIT_OURS;
	int r = local_command_find(&l, a->operands[0], &c);
	if (r == 0) {
		struct local_exec x = {.words = a->operands + 1,
				       .env = env,
				       .user = args_value(a, "user"),
				       .workdir = args_value(a, "workdir"),
				       .tty = args_switch(a, "tty"),
				       .interactive = args_switch(a, "interactive")};
		int n = 0;
		if (x.tty)
			env[n++] = "TERM=xterm";
		for (int i = 0; args_each(a, "env", i); i++)
			env[n++] = args_each(a, "env", i);
		r = local_exec(c, &x, why, sizeof(why));
		if (r < 0) {
			command_fail("%s", why);
			r = local_exit_status(r, why);
		}
		local_container_free(c);
	}
	local_command_close(&l);
	return r;
}

static const struct flag exec_flags[] = {
    {"interactive", NULL, NULL, "Pass this command's input on."},
    {"tty", NULL, NULL, "Give it a terminal."},
    {"env", "NAME=VALUE", NULL, "A variable. May be given again."},
    {"user", "USER[:GROUP]", NULL, "Who runs it; the container's user if not given."},
    {"workdir", "DIR", NULL, "Where it begins."},
    LOCAL_DATA_DIR_FLAG,
    {0},
};

const struct command command_exec = {
    .name = "exec",
    .summary = "Run a command in a running container of 'proa run'",
    .about = "Run a command in a running container of 'proa run'.",
    .example = "  proa exec -it web sh",
    .operands = "CONTAINER COMMAND [ARG...]",
    .operands_min = 2,
    .operands_max = OPERANDS_MAX,
    .flags_first = true,
    .flags = exec_flags,
    .letters = "i=interactive t=tty e=env u=user w=workdir",
    .run = exec,
};

/* ---- stop, rm: each of several containers ---- */

static int each(const struct args *a,
		int (*fn)(const struct args *a, struct local_container *c, char *err, size_t err_len))
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct local l;
	int status = 0;
	if (local_command_open(a, &arena, &l) != 0)
		return 1;
	for (int i = 0; i < a->n_operands; i++) {
		struct local_container *c;
		char why[LOCAL_ERR_MAX] = "";
		if (local_command_find(&l, a->operands[i], &c) != 0) {
			status = 1;
			continue;
		}
		if (fn(a, c, why, sizeof(why)) < 0)
			status = command_fail("%s", why);
		else
			puts(a->operands[i]);
		local_container_free(c);
	}
	local_command_close(&l);
	return status;
}

static int stop_one(const struct args *a, struct local_container *c, char *err, size_t err_len)
{
	int64_t s;
	if (parse_int_range(args_value(a, "time"), 0, 1 << 20, &s) < 0) {
		snprintf(err, err_len, "--time=%s is no number of seconds", args_value(a, "time"));
		return -EINVAL;
	}
	return local_stop(c, s * 1000, err, err_len);
}

static int stop(const struct args *a)
{
	return each(a, stop_one);
}

static const struct flag stop_flags[] = {
    {"time", "SECONDS", "10", "How long it has before it is killed."},
    LOCAL_DATA_DIR_FLAG,
    {0},
};

const struct command command_stop = {
    .name = "stop",
    .summary = "Stop containers of 'proa run'",
    .about = "Stop containers of 'proa run': their stop signal, and SIGKILL when that does not end them in time.",
    .example = "  proa stop web",
    .operands = "CONTAINER...",
    .operands_min = 1,
    .operands_max = OPERANDS_MAX,
    .flags = stop_flags,
    .letters = "t=time",
    .run = stop,
};

static int remove_one(const struct args *a, struct local_container *c, char *err, size_t err_len)
{
	return local_remove(c, args_switch(a, "force"), err, err_len);
}

static int rm(const struct args *a)
{
	return each(a, remove_one);
}

static const struct flag rm_flags[] = {
    {"force", NULL, NULL, "Kill those that run."},
    LOCAL_DATA_DIR_FLAG,
    {0},
};

const struct command command_rm = {
    .name = "rm",
    .summary = "Remove containers of 'proa run'",
    .about = "Remove containers of 'proa run', with their files and logs. Volumes stay.",
    .example = "  proa rm web",
    .operands = "CONTAINER...",
    .operands_min = 1,
    .operands_max = OPERANDS_MAX,
    .flags = rm_flags,
    .letters = "f=force",
    .run = rm,
};
