/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/container.h"
#include "oci/error.h"

static struct {
	const char *format;
} given;

static const struct flag flags[] = {{"format", 'f', FLAG_STRING, &given.format, "table (what ps(1) says) or json"},
				    {0}};

/* Which column of ps's heading is PID, counted in words. */
static int pid_column(char *heading)
{
	char *save = NULL;
	int i = 0;
	for (char *w = strtok_r(heading, " \n", &save); w; w = strtok_r(NULL, " \n", &save), i++)
		if (!strcmp(w, "PID"))
			return i;
	return -1;
}

static bool is_one_of(const char *line, int column, const pid_t *pids, size_t n)
{
	for (; column > 0; column--) {
		line += strspn(line, " ");
		line += strcspn(line, " ");
	}
	long pid = strtol(line, NULL, 10);
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static int filter(FILE *f, const pid_t *pids, size_t n)
{
	char line[4096];
	int column = -1;
	for (bool first = true; fgets(line, sizeof(line), f); first = false) {
		if (first) {
			fputs(line, stdout);
			column = pid_column(line);
			if (column < 0)
				return oci_fail(0, "ps printed no PID column");
		} else if (is_one_of(line, column, pids, n)) {
			fputs(line, stdout);
		}
	}
	return 0;
}

/* The table is the host's ps with the caller's words, less the lines of others. */
static int print_table(int argc, char **argv, const pid_t *pids, size_t n)
{
	int out[2], status = 0;
	if (pipe(out) < 0)
		return oci_fail(-errno, "pipe");
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		const char **args = xcalloc((size_t)argc + 3, sizeof(*args));
		args[0] = "ps";
		args[1] = "-ef";
		for (int i = 0; i < argc; i++)
			args[i + 1] = argv[i];
		dup2(out[1], 1);
		close(out[0]);
		execvp("ps", (char *const *)(uintptr_t)args);
		_exit(127);
	}
	close(out[1]);
	FILE *f = child < 0 ? NULL : fdopen(out[0], "r");
	int r = f ? filter(f, pids, n) : oci_fail(-errno, "running ps");
	if (f)
		fclose(f);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return r == 0 && status ? oci_fail(0, "ps failed") : r;
}

static int ps(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	const char *format = str_or(given.format, "table");
	bool json = !strcmp(format, "json");
	if (!json && strcmp(format, "table"))
		return oci_fail(0, "--format is table or json, not \"%s\"", format);
	int r = container_load(&c, argv[0], false);
	pid_t *pids = NULL;
	size_t n = 0;
	if (r == 0)
		r = group_pids(&c.group, &pids, &n);
	if (r == 0 && json) {
		struct json *list = json_new(&c.arena, JSON_ARRAY);
		for (size_t i = 0; i < n; i++)
			json_append(list, json_new_int(&c.arena, pids[i]));
		r = print_json(list, false);
	} else if (r == 0) {
		r = print_table(argc - 1, argv + 1, pids, n);
	}
	free(pids);
	return r;
}

const struct command command_ps = {
    "ps", "ID [PS-WORD…]", "list the processes of a container", flags, 1, -1, true, false, ps};
