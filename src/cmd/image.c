/* SPDX-License-Identifier: Apache-2.0 */
/* proa image: the images of a cluster's node. Works on the store directly, with or without a running cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cluster.h"
#include "cmd/command.h"
#include "image/image.h"

#define WHY_MAX 512

static int open_store(const struct args *a, struct image_store **ret)
{
	_cleanup_free_ char *dir = xasprintf("%s/agent/images", args_value(a, "data-dir"));
	char why[WHY_MAX] = "";

	return image_store_open(dir, ret, why, sizeof(why)) < 0 ? command_fail("%s", why) : 0;
}

#define DATA_DIR_FLAG                                                                                                  \
	{                                                                                                              \
		"data-dir", "DIR", CLUSTER_DATA_DIR, "Directory of the cluster whose images these are."                \
	}

/* ---- import ---- */

static int import(const struct args *a)
{
	struct image_import_options o = {.name = args_value(a, "name"), .platform = args_value(a, "platform")};
	_cleanup_free_ char *id = NULL;
	struct image_store *s;
	char why[WHY_MAX] = "";

	if (open_store(a, &s) != 0)
		return 1;
	int r = image_import(s, a->operands[0], &o, &id, why, sizeof(why));
	if (r == 0 && o.name)
		printf("Imported %s as %s\n", id, o.name);
	else if (r == 0)
		printf("Imported %s\n", id);
	image_store_close(s);
	return r < 0 ? command_fail("%s", why) : 0;
}

static const struct flag import_flags[] = {
    DATA_DIR_FLAG,
    {"name", "REF", NULL, "Name to give the image; needed for a plain root file system."},
    {"platform", "OS/ARCH", NULL, "Which image of a multi-platform one to take; this machine's if not given."},
    {0},
};

static const struct command image_import_command = {
    .name = "import",
    .summary = "Import an image from a file or directory",
    .about = "Import an image: a docker archive, an OCI archive or layout, or a plain root file system.",
    .example = "  # What 'docker save' or 'podman save' wrote\n  proa image import web.tar\n\n"
	       "  # A root file system\n  proa image import rootfs.tar --name=web:1",
    .operands = "FILE|DIR",
    .operands_min = 1,
    .operands_max = 1,
    .flags = import_flags,
    .run = import,
};

/* ---- list ---- */

static void human_size(uint64_t n, char out[32])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double x = (double)n;
	size_t u = 0;

	for (; x >= 1000 && u + 1 < ARRAY_SIZE(units); u++)
		x /= 1000;
	snprintf(out, 32, u ? "%.1f%s" : "%.0f%s", x, units[u]);
}

static bool print_image(void *arg, const struct image *i)
{
	char size[32], created[TIME_RFC3339_MAX] = "<unknown>";
	(void)arg;

	human_size(i->size, size);
	if (i->created_ns)
		time_format(i->created_ns, created);
	const char *const *tag = i->repo_tags;
	do {
		printf("%-56s %-14.12s %-22s %s\n", *tag ? *tag : "<none>", i->id + strlen("sha256:"), created, size);
	} while (*tag && *++tag);
	return true;
}

static int list(const struct args *a)
{
	struct image_store *s;
	char why[WHY_MAX] = "";

	if (open_store(a, &s) != 0)
		return 1;
	printf("%-56s %-14s %-22s %s\n", "IMAGE", "ID", "CREATED", "SIZE");
	int r = image_list(s, print_image, NULL, why, sizeof(why));
	image_store_close(s);
	return r < 0 ? command_fail("%s", why) : 0;
}

static const struct flag store_flags[] = {DATA_DIR_FLAG, {0}};

static const struct command image_list_command = {
    .name = "list",
    .summary = "List images",
    .about = "List the images that pods on this node can use without pulling.",
    .operands = "",
    .flags = store_flags,
    .run = list,
};

/* ---- rm ---- */

static int rm(const struct args *a)
{
	struct image_store *s;
	char why[WHY_MAX] = "";
	int status = 0;

	if (open_store(a, &s) != 0)
		return 1;
	for (int i = 0; i < a->n_operands; i++) {
		if (image_remove(s, a->operands[i], why, sizeof(why)) < 0)
			status = command_fail("%s", why);
		else
			printf("Removed %s\n", a->operands[i]);
	}
	image_store_close(s);
	return status;
}

static const struct command image_rm_command = {
    .name = "rm",
    .summary = "Remove images",
    .about = "Remove images by name or id. An image that a container uses stays, and the command says so.",
    .example = "  proa image rm web:1",
    .operands = "IMAGE...",
    .operands_min = 1,
    .operands_max = OPERANDS_MAX,
    .flags = store_flags,
    .run = rm,
};

static const struct command *const commands[] = {&image_import_command, &image_list_command, &image_rm_command, NULL};

const struct command command_image = {
    .name = "image",
    .summary = "Import, list and remove images",
    .about = "Import, list and remove the images of this node.",
    .operands = "",
    .commands = commands,
};
