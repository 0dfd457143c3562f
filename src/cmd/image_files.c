/* SPDX-License-Identifier: Apache-2.0 */
/* proa image import and export. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/image_internal.h"
#include "image/export.h"
#include "image/image.h"

static int import(const struct args *a)
{
	struct image_import_options o = {.name = args_value(a, "name"), .platform = args_value(a, "platform")};
	_cleanup_free_ char *id = NULL;
	struct image_store *s;
	char why[IMAGE_WHY_MAX] = "";

	if (args_switch(a, "all-platforms"))
		o.platform = IMAGE_PLATFORM_ALL;
	if (image_command_open(a, &s) != 0)
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
    IMAGE_DATA_DIR_FLAG,
    {"name", "REF", NULL, "Name to give the image; needed for a plain root file system."},
    {"platform", "OS/ARCH", NULL, "Which image of a multi-platform one to take; this machine's if not given."},
    {"all-platforms", NULL, NULL, "Take the images of all platforms."},
    {0},
};

const struct command command_image_import = {
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

/* ---- export ---- */

static int export_format(const char *text, enum image_format *ret)
{
	static const char *const names[] = {[IMAGE_FORMAT_OCI] = "oci-archive",
					    [IMAGE_FORMAT_OCI_DIR] = "oci",
					    [IMAGE_FORMAT_DOCKER] = "docker-archive"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (str_eq(text, names[i])) {
			*ret = (enum image_format)i;
			return 0;
		}
	}
	return command_fail("--type is oci-archive, oci or docker-archive, not \"%s\"", text);
}

static int export(const struct args *a)
{
	struct image_export_options o = {.platform = args_value(a, "platform")};
	const char *to = args_value(a, "output");
	struct image_store *s;
	char why[IMAGE_WHY_MAX] = "";

	if (args_switch(a, "all-platforms"))
		o.platform = IMAGE_PLATFORM_ALL;
	if (export_format(args_value(a, "type"), &o.format) != 0)
		return 1;
	if (!to)
		to = "-";
	if (str_eq(to, "-") && (o.format == IMAGE_FORMAT_OCI_DIR || isatty(STDOUT_FILENO)))
		return command_fail("say where to export to: --output FILE");
	if (image_command_open(a, &s) != 0)
		return 1;
	int r = image_export(s, a->operands, (size_t)a->n_operands, to, &o, why, sizeof(why));
	image_store_close(s);
	return r < 0 ? command_fail("%s", why) : 0;
}

static const struct flag export_flags[] = {
    IMAGE_DATA_DIR_FLAG,
    {"output", "FILE", NULL, "File or directory to write; standard output if not given."},
    {"type", "TYPE", "oci-archive", "oci-archive, oci (a layout directory) or docker-archive (for 'docker load')."},
    {"platform", "OS/ARCH", NULL, "Which image of a multi-platform one to export; this machine's if not given."},
    {"all-platforms", NULL, NULL, "Export every platform that is here."},
    {0},
};

const struct command command_image_export = {
    .name = "export",
    .summary = "Write images into a file or directory",
    .about = "Write images as an OCI archive, an OCI layout or a docker archive, with the digests they came with.",
    .example = "  # For another machine\n  proa image export web:1 --output=web.tar\n\n"
	       "  # For docker\n  proa image export web:1 --type=docker-archive | docker load",
    .operands = "IMAGE...",
    .operands_min = 1,
    .operands_max = OPERANDS_MAX,
    .flags = export_flags,
    .run = export,
};
