/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/command.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

int command_fail(const char *fmt, ...)
{
	va_list ap;

	fputs("error: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

/* ---- flags ---- */

static int flag_index(const struct command *c, const char *name, size_t len)
{
	for (int i = 0; c->flags && c->flags[i].name; i++)
		if (strlen(c->flags[i].name) == len && memcmp(c->flags[i].name, name, len) == 0)
			return i;
	return -1;
}

/* ---- letters: "t=tag f=file" ---- */

static const char *next_letter(const char *l)
{
	l += strcspn(l, " ");
	return l + (*l == ' ');
}

static bool letter_names(const char *l, const char *flag)
{
	size_t n = strlen(flag);
	return strncmp(l + 2, flag, n) == 0 && (l[2 + n] == ' ' || !l[2 + n]);
}

static int letter_index(const struct command *c, char letter)
{
	for (const char *l = c->letters; l && *l; l = next_letter(l))
		if (*l == letter)
			return flag_index(c, l + 2, strcspn(l + 2, " "));
	return -1;
}

static int known_index(const struct args *a, const char *name)
{
	int i = flag_index(a->command, name, strlen(name));
	assert(i >= 0);
	return i;
}

const char *args_value(const struct args *a, const char *name)
{
	int i = known_index(a, name);
	return a->values[i] ? a->values[i] : a->command->flags[i].fallback;
}

const char *args_each(const struct args *a, const char *name, int i)
{
	int flag = known_index(a, name);
	for (int k = 0; k < a->n_given; k++)
		if (a->given[k].flag == flag && i-- == 0)
			return a->given[k].value;
	return NULL;
}

bool args_given(const struct args *a, const char *name)
{
	return a->values[known_index(a, name)] != NULL;
}

bool args_switch(const struct args *a, const char *name)
{
	return str_eq(args_value(a, name), "true");
}

/* ---- help ---- */

static void print_path(const char *const *path, FILE *out)
{
	for (const char *const *p = path; *p; p++)
		fprintf(out, "%s%s", p == path ? "" : " ", *p);
}

static void print_help(const struct command *c, const char *const *path)
{
	printf("%s\n", c->about);
	if (c->example)
		printf("\nExamples:\n%s\n", c->example);
	if (c->commands) {
		printf("\nAvailable Commands:\n");
		for (const struct command *const *k = c->commands; *k; k++)
			if (!(*k)->hidden)
				printf("  %-12s %s\n", (*k)->name, (*k)->summary);
	}
	if (c->flags && c->flags[0].name)
		printf("\nOptions:\n");
	for (const struct flag *f = c->flags; f && f->name; f++) {
		printf("    ");
		for (const char *l = c->letters; l && *l; l = next_letter(l))
			if (letter_names(l, f->name))
				printf("-%c, ", *l);
		printf("--%s=%s", f->name, f->arg ? "" : str_or(f->fallback, "false"));
		if (f->arg)
			printf("'%s'", str_or(f->fallback, ""));
		printf(":\n\t%s\n\n", f->help);
	}
	printf("%sUsage:\n  ", c->flags && c->flags[0].name ? "" : "\n");
	print_path(path, stdout);
	if (c->flags && c->flags[0].name)
		printf(" [options]");
	printf("%s%s\n", c->commands ? " COMMAND" : *c->operands ? " " : "", c->operands);
	if (c->commands) {
		printf("\nUse \"");
		print_path(path, stdout);
		printf(" COMMAND --help\" for more information about a given command.\n");
	}
}

static int usage_error(const char *const *path, const char *what, const char *about)
{
	fprintf(stderr, "error: %s%s%s\nSee '", what, *about ? ": " : "", about);
	print_path(path, stderr);
	fputs(" --help' for usage.\n", stderr);
	return 1;
}

/* ---- parsing ---- */

static int set_flag(struct args *a, const char *const *path, int i, const char *value)
{
	a->values[i] = value;
	if (a->n_given == ARGS_GIVEN_MAX) {
		usage_error(path, "too many flags", "");
		return -1;
	}
	a->given[a->n_given].flag = i;
	a->given[a->n_given++].value = value;
	return 0;
}

/* One word that begins with "--". Returns how many words it took, 0 after an error, -1 for help. */
static int parse_flag(struct args *a, const char *const *path, int argc, char **argv)
{
	const char *name = argv[0] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);

	if (len == 4 && memcmp(name, "help", 4) == 0)
		return -1;
	int i = flag_index(a->command, name, len);
	if (i < 0) {
		usage_error(path, "unknown flag", argv[0]);
		return 0;
	}
	if (!a->command->flags[i].arg) {
		if (equals && strcmp(equals, "=true") != 0 && strcmp(equals, "=false") != 0) {
			usage_error(path, "a switch is true or false", argv[0]);
			return 0;
		}
		return set_flag(a, path, i, equals ? equals + 1 : "true") < 0 ? 0 : 1;
	}
	if (equals)
		return set_flag(a, path, i, equals + 1) < 0 ? 0 : 1;
	if (argc < 2) {
		usage_error(path, "flag needs an argument", argv[0]);
		return 0;
	}
	return set_flag(a, path, i, argv[1]) < 0 ? 0 : 2;
}

/* "-it", "-tNAME", "-t NAME": switches together, the last one perhaps with a value. As parse_flag. */
static int parse_letters(struct args *a, const char *const *path, int argc, char **argv)
{
	for (const char *c = argv[0] + 1; *c; c++) {
		int i = letter_index(a->command, *c);
		if (*c == 'h' && i < 0)
			return -1;
		if (i < 0) {
			usage_error(path, "unknown flag", argv[0]);
			return 0;
		}
		if (!a->command->flags[i].arg) {
			if (set_flag(a, path, i, "true") < 0)
				return 0;
			continue;
		}
		if (!c[1] && argc < 2) {
			usage_error(path, "flag needs an argument", argv[0]);
			return 0;
		}
		const char *value = c[1] ? c + 1 + (c[1] == '=') : argv[1];
		return set_flag(a, path, i, value) < 0 ? 0 : c[1] ? 1 : 2;
	}
	return 1;
}

static int run(const struct command *c, const char *const *path, int argc, char **argv)
{
	struct args a = {.command = c};

	for (int i = 0, only_operands = 0; i < argc;) {
		if (!only_operands && strcmp(argv[i], "--") == 0) {
			only_operands = ++i;
			continue;
		}
		if (!only_operands && argv[i][0] == '-' && argv[i][1]) {
			int took = argv[i][1] == '-' ? parse_flag(&a, path, argc - i, argv + i)
						     : parse_letters(&a, path, argc - i, argv + i);
			if (took < 0)
				print_help(c, path);
			if (took <= 0)
				return took < 0 ? 0 : 1;
			i += took;
			continue;
		}
		if (a.n_operands == c->operands_max || a.n_operands == OPERANDS_MAX)
			return usage_error(path, "unexpected argument", argv[i]);
		a.operands[a.n_operands++] = argv[i++];
		only_operands |= c->flags_first;
	}
	if (a.n_operands < c->operands_min)
		return usage_error(path, "missing argument", c->operands);
	return c->run(&a);
}

int command_main(const struct command *root, int argc, char **argv)
{
	const struct command *c = root;
	const char *path[8] = {root->name};
	int at = 1;

	for (int depth = 1; c->commands && at < argc && argv[at][0] != '-' && depth < 7; at++, depth++) {
		const struct command *const *k = c->commands;
		while (*k && strcmp((*k)->name, argv[at]) != 0)
			k++;
		if (!*k)
			return usage_error(path, "unknown command", argv[at]);
		c = *k;
		path[depth] = c->name;
	}
	if (!c->commands)
		return run(c, path, argc - at, argv + at);
	if (at < argc && strcmp(argv[at], "--help") != 0 && strcmp(argv[at], "-h") != 0)
		return usage_error(path, "unknown flag", argv[at]);
	print_help(c, path);
	return 0;
}
