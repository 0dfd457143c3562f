/* SPDX-License-Identifier: Apache-2.0 */
/* A stage's image so far: its configuration (image-spec config.md), layers, variables. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build_internal.h"
#include "build/layer_diff.h"
#include "image/image.h"

int build_fail(struct build *b, const struct dockerfile_instruction *i, int r, const char *fmt, ...)
{
	char why[BUILD_ERR_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (i)
		snprintf(b->err, b->err_len, "line %d: %s: %s", i->line, dockerfile_op_name(i->op), why);
	else
		snprintf(b->err, b->err_len, "%s", why);
	return r;
}

void build_tell(struct build *b, const char *fmt, ...)
{
	char line[BUILD_ERR_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	b->o->tell(b->o->arg, line);
}

/* ---- configuration ---- */

struct json *stage_config(struct build *b, struct stage *s)
{
	return json_object_in(&b->arena, s->config, "config");
}

const char *stage_config_str(const struct stage *s, const char *field)
{
	return str_or(json_str(json_get(json_get(s->config, "config"), field)), "");
}

static const char *env_value(const char *pair, const char *name)
{
	size_t n = strlen(name);
	return strncmp(pair, name, n) == 0 && pair[n] == '=' ? pair + n + 1 : NULL;
}

void stage_env_set(struct build *b, struct stage *s, const char *name, const char *value)
{
	struct json *list = json_array_in(&b->arena, stage_config(b, s), "Env");
	struct json *pair = json_new_strf(&b->arena, "%s=%s", name, value);
	JSON_EACH(e, list)
		if (env_value(str_or(json_str(e), ""), name)) {
			json_replace(e, pair);
			return;
		}
	json_append(list, pair);
}

/* ENV counts for more than ARG. */
const char *stage_env_get(void *arg, const char *name)
{
	struct stage_scope *scope = arg;
	JSON_EACH(e, json_get(json_get(scope->stage->config, "config"), "Env")) {
		const char *v = env_value(str_or(json_str(e), ""), name);
		if (v)
			return v;
	}
	for (size_t i = scope->stage->args.n; i-- > 0;)
		if (str_eq(scope->stage->args.at[i].name, name))
			return scope->stage->args.at[i].value;
	return NULL;
}

struct expand_env stage_expander(struct stage_scope *scope)
{
	return (struct expand_env){.get = stage_env_get, .arg = scope, .escape = scope->build->file.escape};
}

/* ---- where it begins ---- */

static const char *time_text(struct build *b)
{
	char text[TIME_RFC3339_MAX];
	int64_t ns = b->o->epoch == LAYER_NO_EPOCH ? b->now_ns : b->o->epoch * INT64_C(1000000000);
	return arena_strdup(&b->arena, time_format_nano(ns, text));
}

static void set_shell(struct build *b, struct stage *s)
{
	static const char *const usual[] = {"/bin/sh", "-c", NULL};
	const struct json *shell = json_get(json_get(s->config, "config"), "Shell");
	size_t n = 0;
	s->shell = usual;
	if (!json_len(shell))
		return;
	const char **words = arena_zalloc(&b->arena, (json_len(shell) + 1) * sizeof(*words));
	JSON_EACH(w, shell)
		words[n++] = str_or(json_str(w), "");
	s->shell = words;
}

void stage_from_scratch(struct build *b, struct stage *s)
{
	struct arena *a = &b->arena;
	const char **dirs = arena_zalloc(a, 2 * sizeof(*dirs));
	s->config = json_new(a, JSON_OBJECT);
	json_set_str(a, s->config, "architecture", b->platform.architecture);
	json_set_str(a, s->config, "os", b->platform.os);
	if (*b->platform.variant)
		json_set_str(a, s->config, "variant", b->platform.variant);
	json_set_str(a, json_object_in(a, s->config, "rootfs"), "type", "layers");
	json_array_in(a, json_get(s->config, "rootfs"), "diff_ids");
	stage_env_set(b, s, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	json_set_str(a, stage_config(b, s), "WorkingDir", "/");
	dirs[0] = step_dir(b, "scratch");
	s->dirs = dirs;
	s->n_layers = 0;
	snprintf(s->key, sizeof(s->key), "scratch %s %s", b->platform.os, b->platform.architecture);
	set_shell(b, s);
}

void stage_from_stage(struct build *b, struct stage *s, const struct stage *base)
{
	s->config = json_clone(&b->arena, base->config);
	s->layers = base->layers;
	s->n_layers = base->n_layers;
	s->dirs = base->dirs;
	memcpy(s->key, base->key, sizeof(s->key));
	set_shell(b, s);
}

/* The manifest's descriptors of the layers, into s. */
static int read_layers(struct build *b, struct stage *s, const char *manifest_id)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct manifest m;
	char why[256] = "";
	int r = image_blob_read(b->o->store, manifest_id + strlen("sha256:"), &text);
	if (r == 0)
		r = manifest_parse(&b->arena, buf_str(&text), text.len, &m, why, sizeof(why));
	if (r < 0)
		return build_fail(b, NULL, r, "the manifest %s cannot be read: %s", manifest_id,
				  *why ? why : strerror(-r));
	s->layers = m.parts;
	s->n_layers = m.n_parts;
	return 0;
}

int stage_from_image(struct build *b, struct stage *s, const char *id)
{
	char why[BUILD_ERR_MAX] = "";
	struct image *image;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json_error bad;
	int r = image_resolve_platform(b->o->store, id, IMAGE_PLATFORM_ALL, &image, why, sizeof(why));
	if (r < 0)
		return build_fail(b, NULL, r, "%s", why);
	r = image_blob_read(b->o->store, image->id + strlen("sha256:"), &text);
	if (r < 0 || json_parse(&b->arena, buf_str(&text), text.len, &s->config, &bad) < 0) {
		image_free(image);
		return build_fail(b, NULL, -EBADMSG, "the configuration of %s cannot be read", id);
	}
	r = read_layers(b, s, image->manifest);
	const char **dirs = arena_zalloc(&b->arena, (image->n_layers + 2) * sizeof(*dirs));
	for (size_t i = 0; i < image->n_layers; i++)
		dirs[i] = arena_strdup(&b->arena, image->layers[i]);
	if (!image->n_layers)
		dirs[0] = step_dir(b, "scratch");
	s->dirs = dirs;
	snprintf(s->key, sizeof(s->key), "%s", image->id + strlen("sha256:"));
	image_free(image);
	set_shell(b, s);
	return r;
}

void stage_history(struct build *b, struct stage *s, const char *text, bool empty)
{
	struct arena *a = &b->arena;
	struct json *h = json_append(json_array_in(a, s->config, "history"), json_new(a, JSON_OBJECT));
	json_set_str(a, h, "created", time_text(b));
	json_set_str(a, h, "created_by", text);
	if (empty)
		json_set_bool(a, h, "empty_layer", true);
}

/* ---- recording ---- */

static int put_blob(struct build *b, const struct buf *text, char hex[65])
{
	int r = image_blob_write(b->o->store, buf_str(text), text->len, hex);
	return r < 0 ? build_fail(b, NULL, r, "the image store cannot be written: %s", strerror(-r)) : 0;
}

int stage_record(struct build *b, struct stage *s, const char *const *names, const char **ret_id)
{
	static const char *const none[] = {NULL};
	_cleanup_buf_ struct buf config = BUF_INIT, manifest = BUF_INIT;
	struct descriptor d = {.media_type = MEDIA_OCI_CONFIG, .sized = true};
	char hex[65], why[BUILD_ERR_MAX] = "";
	json_set_str(&b->arena, s->config, "created", time_text(b));
	json_write(&config, s->config);
	if (put_blob(b, &config, d.hex) < 0)
		return -EIO;
	d.size = config.len;
	manifest_write(&manifest, &d, s->layers, s->n_layers);
	if (put_blob(b, &manifest, hex) < 0)
		return -EIO;
	const char *id = arena_printf(&b->arena, "sha256:%s", d.hex), *of = arena_printf(&b->arena, "sha256:%s", hex);
	struct image_record record = {.id = id, .manifest = of, .target = of, .names = names ? names : none};
	int r = image_record(b->o->store, &record, 1, why, sizeof(why));
	if (r < 0)
		return build_fail(b, NULL, r, "%s", why);
	*ret_id = id;
	return 0;
}

struct stage *stage_find(struct build *b, const char *name, size_t before)
{
	int64_t n;
	for (size_t i = before; i-- > 0;)
		if (*b->stages.at[i]->name && strcasecmp(b->stages.at[i]->name, name) == 0)
			return b->stages.at[i];
	if (parse_int_range(name, 0, (int64_t)before - 1, &n) == 0)
		return b->stages.at[n];
	return NULL;
}
