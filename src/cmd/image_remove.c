/* SPDX-License-Identifier: Apache-2.0 */
/* proa image tag, rm and prune. */
#include <stdio.h>

#include "cmd/image_internal.h"
#include "image/image.h"

static const struct flag store_flags[] = {IMAGE_DATA_DIR_FLAG, {0}};

static int tag(const struct args *a)
{
	struct image_store *s;
	char why[IMAGE_WHY_MAX] = "";

	if (image_command_open(a, &s) != 0)
		return 1;
	int r = image_tag(s, a->operands[0], a->operands[1], why, sizeof(why));
	image_store_close(s);
	return r < 0 ? command_fail("%s", why) : 0;
}

const struct command command_image_tag = {
    .name = "tag",
    .summary = "Give an image another name",
    .about = "Give an image another name. Whatever had that name loses it.",
    .example = "  proa image tag web:1 registry.example.com/team/web:1",
    .operands = "IMAGE NAME",
    .operands_min = 2,
    .operands_max = 2,
    .flags = store_flags,
    .run = tag,
};

static int rm(const struct args *a)
{
	struct image_store *s;
	char why[IMAGE_WHY_MAX] = "";
	int status = 0;

	if (image_command_open(a, &s) != 0)
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

const struct command command_image_rm = {
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

static void pruned(void *arg, const struct image *i)
{
	(void)arg;
	printf("Removed %s%s%s\n", i->id, *i->repo_tags ? " " : "", *i->repo_tags ? *i->repo_tags : "");
}

static int prune(const struct args *a)
{
	struct image_store *s;
	char why[IMAGE_WHY_MAX] = "", size[32];
	uint64_t freed = 0;

	if (image_command_open(a, &s) != 0)
		return 1;
	int r = image_prune(s, args_switch(a, "all"), pruned, NULL, &freed, why, sizeof(why));
	image_store_close(s);
	if (r < 0)
		return command_fail("%s", why);
	image_human_size(freed, size);
	printf("Total reclaimed space: %s\n", size);
	return 0;
}

static const struct flag prune_flags[] = {
    IMAGE_DATA_DIR_FLAG,
    {"all", NULL, NULL, "Every image that no container uses, not only those without a name."},
    {"force", NULL, NULL, "For those who are used to it: nothing is asked anyway."},
    {0},
};

const struct command command_image_prune = {
    .name = "prune",
    .summary = "Remove images that nobody needs",
    .about = "Remove images without a name that no container uses, and what is left of downloads that were cut off.",
    .example = "  proa image prune --all",
    .operands = "",
    .flags = prune_flags,
    .letters = "a=all f=force",
    .run = prune,
};
