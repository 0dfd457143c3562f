/* SPDX-License-Identifier: Apache-2.0 */
/* One command of proa-oci: a file with its flags and what it does, a line in the table of main.c. */
#ifndef PROA_OCI_COMMAND_H
#define PROA_OCI_COMMAND_H

#include <stdbool.h>

#include "oci/flags.h"

struct command {
	const char *name, *words, *summary;
	const struct flag *flags; /* ends with a NULL name */
	int min, max;		  /* plain words; min -1: flags are words like others */
	bool in_order;		  /* the first plain word ends the flags */
	bool enters;		  /* its process enters containers: the executable is protected first */
	/* The exit status, or negative errno with oci_error set. */
	int (*run)(int argc, char **argv);
};

extern const struct command command_create, command_run, command_start, command_state, command_kill, command_delete,
    command_exec, command_list, command_ps, command_pause, command_resume, command_update, command_spec,
    command_features, command_events, command_checkpoint, command_restore;

/* For commands: what they print goes to standard output at once. */
struct json;
int print_json(const struct json *v, bool pretty);
int write_pid_file(const char *path, int pid);
/* SIGTERM, TERM, 15; negative: none. */
int signal_number(const char *name);

#endif
