/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/user_name.h"

static struct {
	const char *format;
	bool quiet;
} given;

static const struct flag flags[] = {{"format", 'f', FLAG_STRING, &given.format, "table or json"},
				    {"quiet", 'q', FLAG_BOOL, &given.quiet, "only ids"},
				    {0}};

static struct json *row(struct arena *a, const struct container *c)
{
	struct json *o = container_state(a, c, NULL);
	json_set_str(a, o, "rootfs", c->rootfs);
	json_set_str(a, o, "created", c->created);
	json_set_str(a, o, "owner", user_name(a, c->owner));
	return o;
}

static void print_row(const struct json *o)
{
	printf("%-12s %-10lld %-12s %-32s %-32s %s\n", json_path_str(o, "id"), (long long)json_path_int(o, "pid", 0),
	       json_path_str(o, "status"), json_path_str(o, "bundle"), json_path_str(o, "created"),
	       json_path_str(o, "owner"));
}

static int list(int argc, char **argv)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	size_t n;
	const char **ids = container_list(&a, &n), *format = str_or(given.format, "table");
	bool json = !strcmp(format, "json");
	(void)argc;
	(void)argv;
	if (!json && strcmp(format, "table"))
		return oci_fail(0, "--format is table or json, not \"%s\"", format);
	struct json *all = json_new(&a, JSON_ARRAY);
	if (!json && !given.quiet)
		printf("%-12s %-10s %-12s %-32s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
	for (size_t i = 0; i < n; i++) {
		_cleanup_container_ struct container c = CONTAINER_INIT;
		if (container_load(&c, ids[i], false) < 0) {
			oci_debug("%s", oci_error()); /* being made, or being removed */
			continue;
		}
		struct json *o = json_clone(&a, row(&c.arena, &c));
		if (given.quiet)
			printf("%s\n", ids[i]);
		else if (json)
			json_append(all, o);
		else
			print_row(o);
	}
	return json && !given.quiet ? print_json(all, false) : 0;
}

const struct command command_list = {"list", "", "say which containers there are", flags, 0, 0, false, false, list};
