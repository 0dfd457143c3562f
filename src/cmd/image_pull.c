/* SPDX-License-Identifier: Apache-2.0 */
/* proa image pull and push. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/image_internal.h"
#include "image/image.h"
#include "image/pull.h"

static void print_result(bool json, const char *verb, const char *ref, const char *key, const char *value)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (!json) {
		printf("%s %s: %s\n", verb, ref, value);
		return;
	}
	struct json *v = json_new(&a, JSON_OBJECT);
	json_set_str(&a, v, "reference", ref);
	json_set_str(&a, v, key, value);
	json_write_pretty(&b, v);
	puts(buf_str(&b));
}

static int pull(const struct args *a)
{
	const char *ref = a->operands[0];
	_cleanup_free_ char *id = NULL;
	struct image_session session;
	struct image_transfer t;
	struct image_store *s;
	char why[IMAGE_WHY_MAX] = "";
	int json = image_command_json(a);

	if (json < 0 || image_command_open(a, &s) != 0)
		return 1;
	int r = image_session_open(a, ref, args_switch(a, "quiet"), &session, &t);
	if (r == 0) {
		t.platform = args_switch(a, "all-platforms") ? IMAGE_PLATFORM_ALL : args_value(a, "platform");
		r = image_pull(s, ref, &t, &id, why, sizeof(why));
	} else {
		r = 1;
	}
	image_session_close(&session);
	image_store_close(s);
	if (r == 0)
		print_result(json, "Pulled", ref, "id", id);
	return r < 0 ? command_fail("%s", why) : r;
}

static const struct flag pull_flags[] = {
    IMAGE_DATA_DIR_FLAG,
    IMAGE_REGISTRIES_FLAG,
    IMAGE_FORMAT_FLAG,
    {"platform", "OS/ARCH", NULL, "Which image of a multi-platform one to pull; this machine's if not given."},
    {"all-platforms", NULL, NULL, "Pull the images of all platforms."},
    {"quiet", NULL, NULL, "No progress."},
    {0},
};

const struct command command_image_pull = {
    .name = "pull",
    .summary = "Pull an image from a registry",
    .about =
	"Pull an image from a registry. What was cut off goes on where it was; layers that are here are not pulled "
	"again.\n\nCredentials are docker's (~/.docker/config.json, its helpers) and those of the registries file.",
    .example = "  proa image pull nginx:1.27\n\n"
	       "  # By digest\n  proa image pull ghcr.io/team/app@sha256:…",
    .operands = "IMAGE",
    .operands_min = 1,
    .operands_max = 1,
    .flags = pull_flags,
    .letters = "q=quiet",
    .run = pull,
};

static int push(const struct args *a)
{
	const char *image = a->operands[0], *ref = a->n_operands > 1 ? a->operands[1] : image;
	struct image_session session;
	struct image_transfer t;
	struct image_store *s;
	char why[IMAGE_WHY_MAX] = "", digest[80] = "";
	int json = image_command_json(a);

	if (json < 0 || image_command_open(a, &s) != 0)
		return 1;
	int r = image_session_open(a, ref, args_switch(a, "quiet"), &session, &t);
	if (r == 0) {
		t.platform = args_switch(a, "all-platforms") ? IMAGE_PLATFORM_ALL : args_value(a, "platform");
		r = image_push(s, image, ref, &t, digest, why, sizeof(why));
	} else {
		r = 1;
	}
	image_session_close(&session);
	image_store_close(s);
	if (r == 0)
		print_result(json, "Pushed", ref, "digest", digest);
	return r < 0 ? command_fail("%s", why) : r;
}

static const struct flag push_flags[] = {
    IMAGE_DATA_DIR_FLAG,
    IMAGE_REGISTRIES_FLAG,
    IMAGE_FORMAT_FLAG,
    {"platform", "OS/ARCH", NULL, "Which image of a multi-platform one to push; this machine's if not given."},
    {"all-platforms", NULL, NULL, "Push the index with every platform that it has; all must be here."},
    {"quiet", NULL, NULL, "No progress."},
    {0},
};

const struct command command_image_push = {
    .name = "push",
    .summary = "Push an image to a registry",
    .about = "Push an image to a registry, under its own name or another. Layers that the registry has are not sent.",
    .example = "  proa image push web:1 registry.example.com/team/web:1",
    .operands = "IMAGE [NAME]",
    .operands_min = 1,
    .operands_max = 2,
    .flags = push_flags,
    .letters = "q=quiet",
    .run = push,
};
