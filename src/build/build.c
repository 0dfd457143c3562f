/* SPDX-License-Identifier: Apache-2.0 */
/* A build from beginning to end: stages, which of them are needed, their instructions in order, the image's names. */
#include "build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build_internal.h"
#include "image/image.h"
#include "image/pull.h"

#define IGNORE_BYTES_MAX (1u << 20)

int build_isolate(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

/* ---- what is known before the first stage ---- */

static const char *platform_part(struct build *b, const char *name)
{
	struct platform machine;
	char text[3 * PLATFORM_PART_MAX];
	platform_machine(&machine);
	const struct platform *p = str_has_prefix(name, "BUILD") ? &machine : &b->platform;
	const char *part = name + (str_has_prefix(name, "BUILD") ? 5 : 6);
	if (str_eq(part, "OS"))
		return arena_strdup(&b->arena, p->os);
	if (str_eq(part, "ARCH"))
		return arena_strdup(&b->arena, p->architecture);
	if (str_eq(part, "VARIANT"))
		return arena_strdup(&b->arena, p->variant);
	return arena_strdup(&b->arena, platform_text(p, text));
}

static const char *global_get(void *arg, const char *name)
{
	struct build *b = arg;
	for (size_t k = b->globals.n; k-- > 0;)
		if (str_eq(b->globals.at[k].name, name))
			return b->globals.at[k].value;
	return NULL;
}

static void add_global(struct build *b, const char *name, const char *value)
{
	struct build_pair p = {name, value};
	VEC_PUSH(&b->globals, p);
}

static void set_platforms(struct build *b)
{
	static const char *const names[] = {"TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT",
					    "BUILDPLATFORM",  "BUILDOS",  "BUILDARCH",	"BUILDVARIANT"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add_global(b, names[i], platform_part(b, names[i]));
}

static int expand_global(struct build *b, const struct dockerfile_instruction *i, const char *text, const char **ret)
{
	struct expand_env e = {.get = global_get, .arg = b, .escape = b->file.escape};
	char why[256];
	return expand_word(&b->arena, &e, text, ret, why, sizeof(why)) < 0 ? build_fail(b, i, -EINVAL, "%s", why) : 0;
}

static int global_arg(struct build *b, const struct dockerfile_instruction *i)
{
	size_t n;
	const char *const *words = split_words(&b->arena, b->file.escape, i->rest, &n);
	for (size_t k = 0; k < n; k++) {
		const char *eq = strchr(words[k], '='), *value = NULL;
		const char *name = eq ? arena_strndup(&b->arena, words[k], (size_t)(eq - words[k])) : words[k];
		for (size_t j = 0; j < b->o->n_args; j++)
			if (str_eq(b->o->args[j].name, name))
				value = b->o->args[j].value;
		if (!value && eq && expand_global(b, i, eq + 1, &value) < 0)
			return -EINVAL;
		add_global(b, name, value);
	}
	return 0;
}

/* ---- stages ---- */

static bool stage_name_valid(const char *s)
{
	if (*s < 'a' || *s > 'z')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(s);
}

/* FROM [--platform=P] IMAGE [AS NAME] */
static int read_from(struct build *b, const struct dockerfile_instruction *i, size_t at)
{
	struct stage *s = ARENA_NEW(&b->arena, struct stage);
	size_t n;
	const char *const *words = split_words(&b->arena, b->file.escape, i->rest, &n);
	const char *platform = dockerfile_flag(i, "platform");
	for (size_t k = 0; k < i->n_flags; k++)
		if (!str_eq(i->flags[k].name, "platform"))
			return build_fail(b, i, -EINVAL, "unknown flag: --%s", i->flags[k].name);
	if (n != 1 && (n != 3 || strcasecmp(words[1], "AS") != 0))
		return build_fail(b, i, -EINVAL, "requires either one or three arguments");
	s->name = "";
	if (n == 3) {
		char *name = arena_strdup(&b->arena, words[2]);
		for (char *c = name; *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
		if (!stage_name_valid(name))
			return build_fail(b, i, -EINVAL, "invalid name for build stage: \"%s\"", words[2]);
		s->name = name;
	}
	if (expand_global(b, i, words[0], &s->base) < 0 ||
	    (platform && expand_global(b, i, platform, &s->platform) < 0))
		return -EINVAL;
	if (!*s->base)
		return build_fail(b, i, -EINVAL, "base name (%s) should not be blank", words[0]);
	s->from = i;
	s->first = at + 1;
	s->base_stage = stage_find(b, s->base, b->stages.n);
	if (s->base_stage && !str_eq(s->base_stage->name, s->base) && strcasecmp(s->base_stage->name, s->base) != 0)
		s->base_stage = NULL; /* FROM takes names only: a number may be an image's */
	VEC_PUSH(&b->stages, s);
	return 0;
}

static int read_stages(struct build *b)
{
	for (size_t k = 0; k < b->file.n; k++) {
		const struct dockerfile_instruction *i = &b->file.at[k];
		int r = 0;
		if (i->op == DOCKER_FROM)
			r = read_from(b, i, k);
		else if (!b->stages.n && i->op == DOCKER_ARG)
			r = global_arg(b, i);
		else if (!b->stages.n)
			r = build_fail(b, i, -EINVAL, "no build stage in current context: FROM must come first");
		if (r < 0)
			return r;
		if (b->stages.n)
			VEC_LAST(&b->stages)->last = k + 1;
	}
	return b->stages.n ? 0 : build_fail(b, NULL, -EINVAL, "the Dockerfile has no FROM");
}

static void need_by_name(struct build *b, const char *name);

static void need(struct build *b, struct stage *s)
{
	if (!s || s->needed)
		return;
	s->needed = true;
	need(b, s->base_stage);
	for (size_t k = s->first; k < s->last; k++)
		copy_needs(b, &b->file.at[k], need_by_name);
}

static void need_by_name(struct build *b, const char *name)
{
	need(b, stage_find(b, name, b->stages.n));
}

/* ---- doing them ---- */

static int pull_base(struct build *b, struct stage *s, struct image **ret)
{
	char why[BUILD_ERR_MAX] = "";
	const char *platform = s->platform ? s->platform : b->o->platform;
	struct image_transfer t = b->o->transfer ? *b->o->transfer : (struct image_transfer){0};
	int r = b->o->pull ? -ENOENT : image_resolve_platform(b->o->store, s->base, platform, ret, why, sizeof(why));
	if (r != -ENOENT)
		return r < 0 ? build_fail(b, s->from, r, "%s", why) : 0;
	t.platform = platform;
	build_tell(b, "  pulling %s", s->base);
	r = image_pull(b->o->store, s->base, &t, NULL, why, sizeof(why));
	if (r == 0)
		r = image_resolve_platform(b->o->store, s->base, platform, ret, why, sizeof(why));
	return r < 0 ? build_fail(b, s->from, r, "%s", why) : 0;
}

/* What the base image wants done in images that are built on it. */
static int do_triggers(struct build *b, struct stage *s)
{
	struct json *list = json_get(stage_config(b, s), "OnBuild");
	if (!json_len(list))
		return 0;
	list = json_clone(&b->arena, list);
	json_remove(stage_config(b, s), "OnBuild");
	JSON_EACH(t, list) {
		struct dockerfile_instruction *i = ARENA_NEW(&b->arena, struct dockerfile_instruction);
		char why[256];
		if (dockerfile_parse_one(&b->arena, '\\', str_or(json_str(t), ""), i, why, sizeof(why)) < 0)
			return build_fail(b, s->from, -EINVAL, "a trigger of %s: %s", s->base, why);
		i->line = s->from->line;
		build_tell(b, "ONBUILD %s", i->text);
		if (instruction_do(b, s, i) < 0)
			return -EINVAL;
	}
	return 0;
}

static int begin_stage(struct build *b, struct stage *s)
{
	build_tell(b, "%s", s->from->text);
	if (s->base_stage) {
		stage_from_stage(b, s, s->base_stage);
		return do_triggers(b, s);
	}
	if (str_eq(s->base, "scratch")) {
		stage_from_scratch(b, s);
		return 0;
	}
	struct image *image;
	if (pull_base(b, s, &image) < 0)
		return -EINVAL;
	_cleanup_free_ char *id = xstrdup(image->id);
	image_free(image);
	return stage_from_image(b, s, id) < 0 ? -EINVAL : do_triggers(b, s);
}

static int do_stage(struct build *b, struct stage *s)
{
	size_t n = s->last - s->first;
	if (begin_stage(b, s) < 0)
		return -EINVAL;
	for (size_t k = s->first; k < s->last; k++) {
		const struct dockerfile_instruction *i = &b->file.at[k];
		build_tell(b, "[%s%s%zu/%zu] %s", s->name, *s->name ? " " : "", k - s->first + 1, n, i->text);
		int r = instruction_do(b, s, i);
		if (r < 0)
			return r;
	}
	s->done = true;
	return 0;
}

static void label(struct build *b, struct stage *s)
{
	for (size_t k = 0; k < b->o->n_labels; k++)
		json_set_str(&b->arena, json_object_in(&b->arena, stage_config(b, s), "Labels"), b->o->labels[k].name,
			     b->o->labels[k].value);
}

static int read_tags(struct build *b, const char *const **ret)
{
	size_t n = 0;
	while (b->o->tags && b->o->tags[n])
		n++;
	const char **names = arena_zalloc(&b->arena, (n + 1) * sizeof(*names));
	for (size_t k = 0; k < n; k++) {
		_cleanup_buf_ struct buf name = BUF_INIT;
		if (image_ref_normalize(b->o->tags[k], &name) < 0)
			return build_fail(b, NULL, -EINVAL, "invalid tag \"%s\"", b->o->tags[k]);
		names[k] = arena_strdup(&b->arena, buf_str(&name));
	}
	*ret = names;
	return 0;
}

/* An image that was built from the same before, time and all, gets the names. */
static int name_known(struct build *b, const char *id, const char *const *names)
{
	struct image *image;
	char why[BUILD_ERR_MAX] = "";
	int r = image_resolve_platform(b->o->store, id, IMAGE_PLATFORM_ALL, &image, why, sizeof(why));
	if (r == 0) {
		struct image_record record = {
		    .id = image->id, .manifest = image->manifest, .target = image->manifest, .names = names};
		r = image_record(b->o->store, &record, 1, why, sizeof(why));
		image_free(image);
	}
	return r < 0 ? build_fail(b, NULL, r, "%s", why) : 0;
}

static int finish(struct build *b, struct stage *s, char **ret_id)
{
	_cleanup_buf_ struct buf config = BUF_INIT;
	char key[BUILD_KEY_MAX];
	const char *const *names = NULL;
	const char *id;
	if (read_tags(b, &names) < 0)
		return -EINVAL;
	label(b, s);
	json_write(&config, stage_config(b, s));
	step_key(s, key, (const char *const[]){"image", buf_str(&config)}, 2);
	*ret_id = cache_get(b, key);
	if (*ret_id)
		return name_known(b, *ret_id, names);
	if (stage_record(b, s, names, &id) < 0)
		return -EIO;
	cache_put(b, key, id);
	*ret_id = xstrdup(id);
	return 0;
}

/* ---- around it ---- */

static int read_text(struct build *b, const char *path, size_t max, struct buf *out)
{
	if (!str_eq(path, "-"))
		return fs_read(path, max, out);
	char chunk[4096];
	for (ssize_t n; (n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0;) {
		buf_add(out, chunk, (size_t)n);
		if (out->len > max)
			return -EFBIG;
	}
	(void)b;
	return 0;
}

static int read_files(struct build *b)
{
	_cleanup_buf_ struct buf text = BUF_INIT, ignore = BUF_INIT;
	const struct build_options *o = b->o;
	const char *path = o->dockerfile ? o->dockerfile : arena_printf(&b->arena, "%s/Dockerfile", o->context);
	int r = read_text(b, path, DOCKERFILE_BYTES_MAX, &text);
	if (r < 0)
		return build_fail(b, NULL, r, "%s: %s", path, strerror(-r));
	if (dockerfile_parse(buf_str(&text), text.len, &b->file, b->err, b->err_len) < 0)
		return -EINVAL;
	/* One beside the Dockerfile and named after it counts for more. */
	const char *own = arena_printf(&b->arena, "%s.dockerignore", path);
	const char *usual = arena_printf(&b->arena, "%s/.dockerignore", o->context);
	r = fs_read(own, IGNORE_BYTES_MAX, &ignore);
	if (r == -ENOENT)
		r = fs_read(usual, IGNORE_BYTES_MAX, &ignore);
	if (r < 0 && r != -ENOENT)
		return build_fail(b, NULL, r, "%s: %s", usual, strerror(-r));
	patterns_parse(&b->arena, buf_str(&ignore), &b->ignore);
	return 0;
}

static int open_all(struct build *b)
{
	const struct build_options *o = b->o;
	if (platform_parse(o->platform, &b->platform) < 0)
		return build_fail(b, NULL, -EINVAL, "invalid platform \"%s\"", o->platform);
	b->context = open(o->context, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->context < 0)
		return build_fail(b, NULL, -errno, "%s: %s", o->context, strerror(errno));
	int r = work_open(b);
	if (r < 0)
		return r;
	r = image_import_begin(o->store);
	b->importing = r == 0;
	return r < 0 ? build_fail(b, NULL, r, "the image store cannot be locked") : 0;
}

static int build(struct build *b, char **ret_id)
{
	struct stage *target;
	int r = open_all(b);
	if (r == 0)
		r = read_files(b);
	set_platforms(b);
	if (r == 0)
		r = read_stages(b);
	if (r < 0)
		return r;
	target = b->o->target ? stage_find(b, b->o->target, b->stages.n) : VEC_LAST(&b->stages);
	if (!target)
		return build_fail(b, NULL, -ENOENT, "there is no build stage \"%s\"", b->o->target);
	need(b, target);
	for (size_t k = 0; k < b->stages.n && r == 0; k++)
		if (b->stages.at[k]->needed)
			r = do_stage(b, b->stages.at[k]);
	return r < 0 ? r : finish(b, target, ret_id);
}

int build_image(const struct build_options *o, char **ret_id, char *err, size_t err_len)
{
	struct build b = {.o = o, .context = -1, .work_lock = -1, .now_ns = now_ns(), .err = err, .err_len = err_len};
	int r = build(&b, ret_id);
	runner_free(b.runner);
	work_close(&b);
	if (b.importing)
		image_import_end(o->store);
	if (b.context >= 0)
		close(b.context);
	VEC_EACH(s, &b.stages)
		VEC_RELEASE(&(*s)->args);
	VEC_RELEASE(&b.stages);
	VEC_RELEASE(&b.globals);
	dockerfile_release(&b.file);
	arena_release(&b.arena);
	return r;
}
