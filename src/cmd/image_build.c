/* SPDX-License-Identifier: Apache-2.0 */
/* proa image build. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build.h"
#include "build/layer_diff.h"
#include "cmd/image_internal.h"
#include "cmd/process.h"
#include "image/image.h"
#include "image/pull.h"

/* ---- options ---- */

/* "name=value"; a name alone takes the value from the environment, as docker's --build-arg. */
static int pairs(struct arena *a, const struct args *args, const char *flag, bool environment, struct build_pair **ret,
		 size_t *ret_n)
{
	struct build_pair *all = arena_zalloc(a, ARGS_GIVEN_MAX * sizeof(*all));
	const char *text;
	for (int i = 0; (text = args_each(args, flag, i)); i++) {
		const char *eq = strchr(text, '=');
		const char *name = eq ? arena_strndup(a, text, (size_t)(eq - text)) : text;
		const char *value = eq ? eq + 1 : environment ? getenv(name) : "";
		if (!*name)
			return command_fail("--%s=%s has no name", flag, text);
		if (value)
			all[(*ret_n)++] = (struct build_pair){name, value};
	}
	*ret = all;
	return 0;
}

/* "id=ID,src=FILE" */
static int secrets(struct arena *a, const struct args *args, struct build_pair **ret, size_t *ret_n)
{
	struct build_pair *all = arena_zalloc(a, ARGS_GIVEN_MAX * sizeof(*all));
	const char *text;
	for (int i = 0; (text = args_each(args, "secret", i)); i++) {
		struct build_pair s = {0};
		for (const char *w = text; *w; w += strcspn(w, ",") + (w[strcspn(w, ",")] == ',')) {
			const char *word = arena_strndup(a, w, strcspn(w, ","));
			if (str_after(word, "id="))
				s.name = str_after(word, "id=");
			else if (str_after(word, "src=") || str_after(word, "source="))
				s.value =
				    str_after(word, "src=") ? str_after(word, "src=") : str_after(word, "source=");
			else if (!str_eq(word, "type=file"))
				return command_fail("--secret=%s: it must be id=ID,src=FILE", text);
		}
		if (!s.name)
			return command_fail("--secret=%s has no id", text);
		if (!s.value)
			s.value = s.name;
		all[(*ret_n)++] = s;
	}
	*ret = all;
	return 0;
}

static int epoch(int64_t *ret)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	*ret = LAYER_NO_EPOCH;
	if (str_empty(text))
		return 0;
	if (parse_i64(text, ret) < 0 || *ret < 0)
		return command_fail("SOURCE_DATE_EPOCH=%s is no time in seconds since 1970", text);
	return 0;
}

/* ---- what is seen ---- */

static void tell(void *arg, const char *line)
{
	bool quiet = *(bool *)arg;
	if (!quiet)
		fprintf(stderr, isatty(STDERR_FILENO) ? "\033[1m%s\033[0m\n" : "%s\n", line);
}

static void output(void *arg, const char *p, size_t len)
{
	bool quiet = *(bool *)arg;
	if (!quiet)
		(void)fs_write_all(STDERR_FILENO, p, len);
}

/* ---- the command ---- */

static int build(const struct args *a, struct build_options *o, struct arena *arena)
{
	struct image_session session;
	struct image_transfer t;
	char why[IMAGE_WHY_MAX] = "";
	_cleanup_free_ char *id = NULL;
	if (image_command_open(a, &o->store) != 0)
		return 1;
	int r = image_session_open(a, "", args_switch(a, "quiet"), &session, &t);
	o->transfer = &t;
	if (r == 0)
		r = build_image(o, &id, why, sizeof(why));
	image_session_close(&session);
	image_store_close(o->store);
	(void)arena;
	if (r < 0)
		return command_fail("%s", why);
	if (r == 0 && args_given(a, "iidfile") && fs_write_replace(args_value(a, "iidfile"), id, strlen(id), 0644) < 0)
		return command_fail("%s cannot be written", args_value(a, "iidfile"));
	if (r == 0)
		puts(id);
	return r;
}

static int run(const struct args *a)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct build_pair *args = NULL, *labels = NULL, *files = NULL;
	const char **tags = arena_zalloc(&arena, (ARGS_GIVEN_MAX + 1) * sizeof(*tags));
	static bool quiet;
	struct build_options o = {.context = a->operands[0],
				  .dockerfile = args_value(a, "file"),
				  .target = args_value(a, "target"),
				  .tags = tags,
				  .platform = args_value(a, "platform"),
				  .no_cache = args_switch(a, "no-cache"),
				  .pull = args_switch(a, "pull"),
				  .no_network = str_eq(args_value(a, "network"), "none"),
				  .tell = tell,
				  .output = output,
				  .arg = &quiet};
	quiet = args_switch(a, "quiet");
	if (geteuid() != 0)
		return command_fail("building images needs root");
	int r = build_isolate();
	if (r < 0)
		return command_fail("no mount namespace can be made: %s", strerror(-r));
	for (int i = 0; args_each(a, "tag", i); i++)
		tags[i] = args_each(a, "tag", i);
	if (pairs(&arena, a, "build-arg", true, &args, &o.n_args) != 0 ||
	    pairs(&arena, a, "label", false, &labels, &o.n_labels) != 0 ||
	    secrets(&arena, a, &files, &o.n_secrets) != 0 || epoch(&o.epoch) != 0)
		return 1;
	o.args = args;
	o.labels = labels;
	o.secrets = files;
	o.state_dir = arena_printf(&arena, "%s/agent/build", args_value(a, "data-dir"));
	o.shim = process_beside(&arena, "proa-shim");
	return build(a, &o, &arena);
}

static const struct flag flags[] = {
    {"tag", "NAME", NULL, "A name for the image; may be given again."},
    {"file", "FILE", NULL, "The Dockerfile; CONTEXT/Dockerfile if not given, - is standard input."},
    {"target", "STAGE", NULL, "The stage to build; the last one if not given."},
    {"build-arg", "NAME=VALUE", NULL,
     "The value of an ARG; without =VALUE, that of the environment. May be given again."},
    {"label", "NAME=VALUE", NULL, "A label for the image; may be given again."},
    {"secret", "id=ID,src=FILE", NULL, "A file for RUN --mount=type=secret,id=ID; may be given again."},
    {"platform", "OS/ARCH", NULL, "The platform to build for; this machine's if not given."},
    {"network", "host|none", "host", "The network that RUN sees."},
    {"no-cache", NULL, NULL, "Do every step again."},
    {"pull", NULL, NULL, "Pull base images even when they are here."},
    {"iidfile", "FILE", NULL, "Where to write the image's id, too."},
    {"quiet", NULL, NULL, "Print the image's id and nothing else."},
    IMAGE_DATA_DIR_FLAG,
    IMAGE_REGISTRIES_FLAG,
    {0},
};

const struct command command_image_build = {
    .name = "build",
    .summary = "Build an image from a Dockerfile",
    .about =
	"Build an image from a Dockerfile and the files of a directory.\n\nSteps whose base, instruction, variables "
	"and files are those of an earlier build are taken from it.\nSOURCE_DATE_EPOCH in the environment is the "
	"time of everything in the image that is newer, so that the same input gives the same image.",
    .example = "  proa image build -t web:1 .\n\n"
	       "  # Another file, one stage, a variable\n"
	       "  proa image build -t web:test -f Dockerfile.test --target test --build-arg VERSION=2 .",
    .operands = "CONTEXT",
    .operands_min = 1,
    .operands_max = 1,
    .flags = flags,
    .letters = "t=tag f=file q=quiet",
    .run = run,
};
