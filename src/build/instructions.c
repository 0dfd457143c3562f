/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that only change the configuration, WORKDIR, and the table of all. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "build/build_internal.h"
#include "runtime/rootfs.h"

typedef int (*instruction_fn)(struct build *b, struct stage *s, const struct dockerfile_instruction *i);

/* ---- words ---- */

static int expand_one(struct build *b, struct stage *s, const struct dockerfile_instruction *i, const char *text,
		      const char **ret)
{
	struct stage_scope scope = {b, s};
	struct expand_env e = stage_expander(&scope);
	char why[256];
	return expand_word(&b->arena, &e, text, ret, why, sizeof(why)) < 0 ? build_fail(b, i, -EINVAL, "%s", why) : 0;
}

static int expand_all(struct build *b, struct stage *s, const struct dockerfile_instruction *i, const char *const **ret,
		      size_t *ret_n)
{
	struct stage_scope scope = {b, s};
	struct expand_env e = stage_expander(&scope);
	char why[256];
	if (expand_words(&b->arena, &e, i->rest, ret, ret_n, why, sizeof(why)) < 0)
		return build_fail(b, i, -EINVAL, "%s", why);
	return *ret_n ? 0 : build_fail(b, i, -EINVAL, "requires at least one argument");
}

static struct json *word_list(struct build *b, const char *const *words)
{
	struct json *list = json_new(&b->arena, JSON_ARRAY);
	for (; words && *words; words++)
		json_append(list, json_new_str(&b->arena, *words));
	return list;
}

/* The JSON form as it is; the shell form as the shell's argument. */
static struct json *command_list(struct build *b, const struct stage *s, const struct dockerfile_instruction *i)
{
	if (i->words)
		return word_list(b, i->words);
	struct json *list = word_list(b, s->shell);
	json_append(list, json_new_str(&b->arena, i->rest));
	return list;
}

/* ---- name=value pairs ---- */

/*
 * "a=1 b='x y'" all at once: each value is expanded with what held before the instruction; or, when the first word has
 * no "=", the old form: a name and the rest of the line.
 */
static int pairs(struct build *b, struct stage *s, const struct dockerfile_instruction *i,
		 void (*set)(struct build *b, struct stage *s, const char *name, const char *value))
{
	size_t n;
	const char *const *words = split_words(&b->arena, b->file.escape, i->rest, &n);
	if (!strchr(words[0], '=')) {
		const char *value = i->rest + strlen(words[0]);
		while (isspace((unsigned char)*value))
			value++;
		if (n < 2 || !*value)
			return build_fail(b, i, -EINVAL, "must have two arguments");
		const char *name, *expanded;
		if (expand_one(b, s, i, words[0], &name) < 0 || expand_one(b, s, i, value, &expanded) < 0)
			return -EINVAL;
		set(b, s, name, expanded);
		return 0;
	}
	struct build_pair *all = arena_alloc(&b->arena, n * sizeof(*all));
	for (size_t k = 0; k < n; k++) {
		const char *eq = strchr(words[k], '=');
		if (!eq)
			return build_fail(b, i, -EINVAL,
					  "syntax error: can't find = in \"%s\"; must be of the form name=value",
					  words[k]);
		const char *raw = arena_strndup(&b->arena, words[k], (size_t)(eq - words[k]));
		if (expand_one(b, s, i, raw, &all[k].name) < 0 || expand_one(b, s, i, eq + 1, &all[k].value) < 0)
			return -EINVAL;
		if (!*all[k].name)
			return build_fail(b, i, -EINVAL, "names can not be blank");
	}
	for (size_t k = 0; k < n; k++)
		set(b, s, all[k].name, all[k].value);
	return 0;
}

static int do_env(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	return pairs(b, s, i, stage_env_set);
}

static void set_label(struct build *b, struct stage *s, const char *name, const char *value)
{
	json_set_str(&b->arena, json_object_in(&b->arena, stage_config(b, s), "Labels"), name, value);
}

static int do_label(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	return pairs(b, s, i, set_label);
}

static const struct build_pair *given(const struct build *b, const char *name)
{
	for (size_t k = b->o->n_args; k-- > 0;)
		if (str_eq(b->o->args[k].name, name))
			return &b->o->args[k];
	return NULL;
}

static int do_arg(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	size_t n;
	const char *const *words = split_words(&b->arena, b->file.escape, i->rest, &n);
	for (size_t k = 0; k < n; k++) {
		struct build_pair arg = {0};
		const char *eq = strchr(words[k], '=');
		arg.name = eq ? arena_strndup(&b->arena, words[k], (size_t)(eq - words[k])) : words[k];
		const struct build_pair *g = given(b, arg.name);
		if (g) {
			arg.value = g->value;
		} else if (eq) {
			if (expand_one(b, s, i, eq + 1, &arg.value) < 0)
				return -EINVAL;
		} else {
			for (size_t j = 0; j < b->globals.n; j++)
				if (str_eq(b->globals.at[j].name, arg.name))
					arg.value = b->globals.at[j].value;
		}
		VEC_PUSH(&s->args, arg);
	}
	return 0;
}

/* ---- single values ---- */

static int do_cmd(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	json_set(&b->arena, stage_config(b, s), "Cmd", command_list(b, s, i));
	s->cmd_given = true;
	return 0;
}

/* Resets a CMD of the base image, which was meant for another entry point. */
static int do_entrypoint(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	json_set(&b->arena, stage_config(b, s), "Entrypoint", command_list(b, s, i));
	if (!s->cmd_given)
		json_remove(stage_config(b, s), "Cmd");
	return 0;
}

static int do_shell(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	if (!i->words || !i->n_words)
		return build_fail(b, i, -EINVAL, "requires the arguments to be in JSON form");
	json_set(&b->arena, stage_config(b, s), "Shell", word_list(b, i->words));
	s->shell = i->words;
	return 0;
}

static int do_user(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	const char *user;
	if (expand_one(b, s, i, i->rest, &user) < 0)
		return -EINVAL;
	json_set_str(&b->arena, stage_config(b, s), "User", user);
	return 0;
}

static int do_stopsignal(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	const char *name;
	int64_t n;
	if (expand_one(b, s, i, i->rest, &name) < 0)
		return -EINVAL;
	bool word = *name && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-") == strlen(name);
	if (!word || (isdigit((unsigned char)*name) && parse_int_range(name, 1, 64, &n) < 0))
		return build_fail(b, i, -EINVAL, "invalid signal: %s", name);
	json_set_str(&b->arena, stage_config(b, s), "StopSignal", name);
	return 0;
}

static int do_maintainer(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	json_set_str(&b->arena, s->config, "author", i->rest);
	return 0;
}

/* ---- sets ---- */

static int do_volume(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	const char *const *words = i->words;
	size_t n = i->n_words;
	struct json *set = json_object_in(&b->arena, stage_config(b, s), "Volumes");
	if (!words && expand_all(b, s, i, &words, &n) < 0)
		return -EINVAL;
	for (size_t k = 0; k < n; k++) {
		const char *v = words[k];
		if (i->words && expand_one(b, s, i, words[k], &v) < 0)
			return -EINVAL;
		if (!*v)
			return build_fail(b, i, -EINVAL, "specified volume can not be an empty string");
		json_set(&b->arena, set, v, json_new(&b->arena, JSON_OBJECT));
	}
	return 0;
}

/* "80", "80/udp", "8000-8010/tcp" */
static int expose_one(struct build *b, const struct dockerfile_instruction *i, struct json *set, const char *word)
{
	char *text = arena_strdup(&b->arena, word), *slash = strchr(text, '/');
	const char *protocol = slash ? slash + 1 : "tcp";
	int64_t first, last;
	if (slash)
		*slash = 0;
	char *dash = strchr(text, '-');
	if (dash)
		*dash = 0;
	if (parse_int_range(text, 1, 65535, &first) < 0 || (dash && parse_int_range(dash + 1, first, 65535, &last) < 0))
		return build_fail(b, i, -EINVAL, "invalid containerPort: %s", word);
	if (strcasecmp(protocol, "tcp") != 0 && strcasecmp(protocol, "udp") != 0 && strcasecmp(protocol, "sctp") != 0)
		return build_fail(b, i, -EINVAL, "invalid proto: %s", protocol);
	for (int64_t p = first; p <= (dash ? last : first); p++) {
		char *key = arena_printf(&b->arena, "%d/%s", (int)p, protocol);
		for (char *c = key; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		json_set(&b->arena, set, key, json_new(&b->arena, JSON_OBJECT));
	}
	return 0;
}

static int do_expose(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	const char *const *words;
	size_t n;
	if (expand_all(b, s, i, &words, &n) < 0)
		return -EINVAL;
	struct json *set = json_object_in(&b->arena, stage_config(b, s), "ExposedPorts");
	for (size_t k = 0; k < n; k++)
		if (expose_one(b, i, set, words[k]) < 0)
			return -EINVAL;
	return 0;
}

static int do_onbuild(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	struct dockerfile_instruction inner;
	char why[256];
	if (dockerfile_parse_one(&b->arena, b->file.escape, i->rest, &inner, why, sizeof(why)) < 0)
		return build_fail(b, i, -EINVAL, "%s", why);
	if (inner.op == DOCKER_ONBUILD || inner.op == DOCKER_FROM || inner.op == DOCKER_MAINTAINER)
		return build_fail(b, i, -EINVAL, "%s isn't allowed as an ONBUILD trigger",
				  dockerfile_op_name(inner.op));
	json_append(json_array_in(&b->arena, stage_config(b, s), "OnBuild"), json_new_str(&b->arena, i->rest));
	return 0;
}

/* ---- HEALTHCHECK ---- */

/* Go's durations: "1m30s", "500ms". */
static int duration_ns(const char *text, int64_t *ret)
{
	static const struct {
		const char *unit;
		int64_t ns;
	} units[] = {{"ns", 1},
		     {"us", 1000},
		     {"ms", 1000000},
		     {"s", 1000000000},
		     {"m", INT64_C(60000000000)},
		     {"h", INT64_C(3600000000000)}};
	int64_t sum = 0;
	if (!*text)
		return -EINVAL;
	while (*text) {
		double value = 0, scale = 1;
		const char *begin = text;
		while (isdigit((unsigned char)*text))
			value = value * 10 + (*text++ - '0');
		if (*text == '.')
			for (text++; isdigit((unsigned char)*text); text++)
				value += (*text - '0') * (scale /= 10);
		size_t n = strspn(text, "nusmh");
		int64_t unit = 0;
		for (size_t i = 0; i < ARRAY_SIZE(units); i++)
			if (strlen(units[i].unit) == n && strncmp(units[i].unit, text, n) == 0)
				unit = units[i].ns;
		if (text == begin || !unit || value * (double)unit > 9e18)
			return -EINVAL;
		sum += (int64_t)(value * (double)unit);
		text += n;
	}
	*ret = sum;
	return 0;
}

static int health_times(struct build *b, const struct dockerfile_instruction *i, struct json *health)
{
	static const struct {
		const char *flag, *field;
	} times[] = {{"interval", "Interval"},
		     {"timeout", "Timeout"},
		     {"start-period", "StartPeriod"},
		     {"start-interval", "StartInterval"}};
	int64_t n;
	for (size_t k = 0; k < i->n_flags; k++) {
		const char *name = i->flags[k].name, *value = str_or(i->flags[k].value, "");
		bool known = false;
		if (str_eq(name, "retries")) {
			if (parse_int_range(value, 0, 1 << 20, &n) < 0)
				return build_fail(b, i, -EINVAL, "--retries must be a number, not \"%s\"", value);
			json_set_int(&b->arena, health, "Retries", n);
			continue;
		}
		for (size_t j = 0; j < ARRAY_SIZE(times); j++) {
			if (!str_eq(times[j].flag, name))
				continue;
			known = true;
			if (duration_ns(value, &n) < 0 || (n && n < 1000000))
				return build_fail(b, i, -EINVAL, "--%s must be a duration of at least 1ms, not \"%s\"",
						  name, value);
			json_set_int(&b->arena, health, times[j].field, n);
		}
		if (!known)
			return build_fail(b, i, -EINVAL, "unknown flag: --%s", name);
	}
	return 0;
}

static int do_healthcheck(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	struct json *health = json_new(&b->arena, JSON_OBJECT), *test = json_array_in(&b->arena, health, "Test");
	size_t n = strcspn(i->rest, " \t");
	const char *command = i->rest + n;
	while (isspace((unsigned char)*command))
		command++;
	if (n == 4 && strncasecmp(i->rest, "NONE", 4) == 0) {
		if (*command)
			return build_fail(b, i, -EINVAL, "NONE takes no arguments");
		json_append(test, json_new_str(&b->arena, "NONE"));
	} else if (n == 3 && strncasecmp(i->rest, "CMD", 3) == 0 && *command) {
		struct json *list = NULL;
		struct json_error bad;
		bool json = *command == '[' && json_parse(&b->arena, command, strlen(command), &list, &bad) == 0;
		json_append(test, json_new_str(&b->arena, json ? "CMD" : "CMD-SHELL"));
		if (!json)
			json_append(test, json_new_str(&b->arena, command));
		JSON_EACH(w, list)
			json_append(test, json_new_str(&b->arena, str_or(json_str(w), "")));
		if (health_times(b, i, health) < 0)
			return -EINVAL;
	} else {
		return build_fail(b, i, -EINVAL, "unknown type \"%.*s\" (try CMD or NONE)", (int)n, i->rest);
	}
	json_set(&b->arena, stage_config(b, s), "Healthcheck", health);
	return 0;
}

/* ---- WORKDIR: the directory is made ---- */

static int make_workdir(struct build *b, struct stage *s, struct step *step, int root)
{
	(void)s;
	_cleanup_close_ int dir = root_mkdir_p(root, step->arg, 0755);
	return dir < 0 ? build_fail(b, step->ins, dir, "%s: %s", (const char *)step->arg, strerror(-dir)) : 0;
}

static int do_workdir(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	const char *dir;
	if (expand_one(b, s, i, i->rest, &dir) < 0)
		return -EINVAL;
	const char *now = stage_config_str(s, "WorkingDir");
	const char *whole = *dir == '/' ? dir : arena_printf(&b->arena, "%s/%s", now, dir);
	char *path = arena_printf(&b->arena, "/%s", path_clean(&b->arena, whole));
	json_set_str(&b->arena, stage_config(b, s), "WorkingDir", path);
	struct step step = {.ins = i, .text = i->text, .work = make_workdir, .arg = path};
	step_key(s, step.key, (const char *const[]){"WORKDIR", path}, 2);
	return step_do(b, s, &step);
}

/* ---- all ---- */

static const struct {
	instruction_fn fn;
	bool files; /* makes a step of its own; else only the configuration changes */
} table[DOCKER_OPS] = {
    [DOCKER_ADD] = {copy_do, true},
    [DOCKER_ARG] = {do_arg, false},
    [DOCKER_CMD] = {do_cmd, false},
    [DOCKER_COPY] = {copy_do, true},
    [DOCKER_ENTRYPOINT] = {do_entrypoint, false},
    [DOCKER_ENV] = {do_env, false},
    [DOCKER_EXPOSE] = {do_expose, false},
    [DOCKER_HEALTHCHECK] = {do_healthcheck, false},
    [DOCKER_LABEL] = {do_label, false},
    [DOCKER_MAINTAINER] = {do_maintainer, false},
    [DOCKER_ONBUILD] = {do_onbuild, false},
    [DOCKER_RUN] = {run_do, true},
    [DOCKER_SHELL] = {do_shell, false},
    [DOCKER_STOPSIGNAL] = {do_stopsignal, false},
    [DOCKER_USER] = {do_user, false},
    [DOCKER_VOLUME] = {do_volume, false},
    [DOCKER_WORKDIR] = {do_workdir, true},
};

int instruction_do(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	if (!table[i->op].fn)
		return build_fail(b, i, -EINVAL, "not possible here");
	int r = table[i->op].fn(b, s, i);
	if (r < 0 || table[i->op].files)
		return r;
	/* What was just configured tells later steps apart; the values of ARGs count where they are used, in RUN. */
	_cleanup_buf_ struct buf config = BUF_INIT;
	json_write(&config, stage_config(b, s));
	step_key(s, s->key, (const char *const[]){dockerfile_op_name(i->op), buf_str(&config)}, 2);
	if (i->op != DOCKER_ARG)
		stage_history(b, s, i->text, true);
	return 0;
}
