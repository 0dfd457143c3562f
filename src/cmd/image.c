/* SPDX-License-Identifier: Apache-2.0 */
/* proa image: the images of a cluster's node. Works on the store directly, with or without a running cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/image_internal.h"
#include "image/image.h"

int image_command_open(const struct args *a, struct image_store **ret)
{
	_cleanup_free_ char *dir = xasprintf("%s/agent/images", args_value(a, "data-dir"));
	char why[IMAGE_WHY_MAX] = "";

	return image_store_open(dir, ret, why, sizeof(why)) < 0 ? command_fail("%s", why) : 0;
}

int image_command_json(const struct args *a)
{
	const char *format = args_value(a, "format");

	if (str_eq(format, "json"))
		return 1;
	if (str_eq(format, "table"))
		return 0;
	command_fail("--format is table or json, not \"%s\"", format);
	return -1;
}

void image_human_size(uint64_t n, char out[32])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double x = (double)n;
	size_t u = 0;

	for (; x >= 1000 && u + 1 < ARRAY_SIZE(units); u++)
		x /= 1000;
	snprintf(out, 32, u ? "%.1f%s" : "%.0f%s", x, units[u]);
}

static const struct command *const commands[] = {&command_image_pull,
						 &command_image_push,
						 &command_image_import,
						 &command_image_export,
						 &command_image_list,
						 &command_image_build,
						 &command_image_inspect,
						 &command_image_tag,
						 &command_image_rm,
						 &command_image_prune,
						 NULL};

const struct command command_image = {
    .name = "image",
    .summary = "Pull, push, import, export, list and remove images",
    .about = "The images of this node: pull and push them, import and export them, look at and remove them.",
    .operands = "",
    .commands = commands,
};
