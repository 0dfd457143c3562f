/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands as data: each is a struct with its flags, and one file. Parsing, --help and shell completion come from the
 * tables, in the manner people know from kubectl.
 */
#ifndef PROA_CMD_COMMAND_H
#define PROA_CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

struct args;

struct flag {
	const char *name;     /* "data-dir" */
	const char *arg;      /* what its value is called: "DIR"; NULL: a switch */
	const char *fallback; /* default value; NULL: none */
	const char *help;     /* one sentence */
};

struct command {
	const char *name;
	const char *summary;  /* one line, for the list of commands */
	const char *about;    /* a paragraph */
	const char *example;  /* lines of "  proa …" */
	const char *operands; /* "FILE|DIR"; "" when it takes none */
	int operands_min, operands_max;
	const struct flag *flags;	       /* ends with an empty name */
	const char *letters;		       /* "t=tag f=file": -t is --tag; NULL: none */
	const struct command *const *commands; /* sub-commands, NULL-terminated; or NULL */
	bool hidden;			       /* not in the list: internal */
	bool flags_first; /* the first operand ends the flags: what follows are another program's words */
	int (*run)(const struct args *a); /* the exit status */
};

#define FLAGS_MAX 48
#define OPERANDS_MAX 1024  /* words of a program to be run */
#define ARGS_GIVEN_MAX 256 /* flags of one command line: --env and --build-arg are given many times */

struct args {
	const struct command *command;
	const char *values[FLAGS_MAX]; /* by position in command->flags; NULL: not given */
	struct {
		int flag;
		const char *value;
	} given[ARGS_GIVEN_MAX]; /* every flag, as often as it was given */
	int n_given;
	const char *operands[OPERANDS_MAX];
	int n_operands;
};

/* The value, its default, or NULL. name must be one of the command's flags. */
const char *args_value(const struct args *a, const char *name);
/* The i-th value of a flag that may be given again; NULL: no more. */
const char *args_each(const struct args *a, const char *name, int i);
bool args_given(const struct args *a, const char *name);
bool args_switch(const struct args *a, const char *name);

/* Finds the command below root, parses and runs it. The exit status. */
int command_main(const struct command *root, int argc, char **argv);
/* Prints "error: …" and returns 1, so that `return command_fail(…)` works. */
int command_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);

extern const struct command command_up, command_down, command_server, command_agent, command_image, command_run,
    command_ps, command_exec, command_logs, command_stop, command_rm, command_version, command_completion,
    command_complete;
extern const struct command command_root;

#endif
