/* SPDX-License-Identifier: Apache-2.0 */
/* proa image list and inspect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "cmd/image_internal.h"
#include "image/image.h"

#define ID_SHOWN 12 /* hex digits, docker's */

static struct json *strings_json(struct arena *a, const char *const *list)
{
	struct json *v = json_new(a, JSON_ARRAY);

	for (; list && *list; list++)
		json_append(v, json_new_str(a, *list));
	return v;
}

static struct json *image_json(struct arena *a, const struct image *i)
{
	struct json *v = json_new(a, JSON_OBJECT);
	char created[TIME_RFC3339_MAX] = "";

	if (i->created_ns)
		time_format(i->created_ns, created);
	json_set_str(a, v, "id", i->id);
	json_set(a, v, "repoTags", strings_json(a, i->repo_tags));
	json_set(a, v, "repoDigests", strings_json(a, i->repo_digests));
	json_set_str(a, v, "manifest", i->manifest);
	if (*created)
		json_set_str(a, v, "created", created);
	json_set_int(a, v, "size", (int64_t)i->size);
	json_set_str(a, v, "os", i->os);
	json_set_str(a, v, "architecture", i->architecture);
	if (*i->variant)
		json_set_str(a, v, "variant", i->variant);
	return v;
}

/* ---- list ---- */

struct row {
	char *repository, *tag, *id, *created, *size;
};

struct listing {
	struct arena arena;
	bool json, quiet, all_images;
	struct json *all;
	VEC(struct row) rows;
};

/* "3 days ago": the largest unit that fits. */
static char *age(int64_t created_ns)
{
	static const struct {
		const char *name;
		int64_t s;
	} units[] = {{"year", 31536000}, {"month", 2592000}, {"week", 604800}, {"day", 86400},
		     {"hour", 3600},	 {"minute", 60},     {"second", 1}};
	int64_t s = now_s() - created_ns / 1000000000;

	if (!created_ns)
		return xstrdup("N/A");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		int64_t n = s / units[i].s;
		if (n > 0)
			return xasprintf("%lld %s%s ago", (long long)n, units[i].name, n == 1 ? "" : "s");
	}
	return xstrdup("Less than a second ago");
}

/* What people type: without docker.io/library/ and docker.io/. */
static const char *familiar(const char *name)
{
	const char *rest = str_after(name, "docker.io/library/");

	return rest ? rest : str_or(str_after(name, "docker.io/"), name);
}

static void row_add(struct listing *l, const struct image *i, const char *tag)
{
	const char *name = tag ? familiar(tag) : "<none>", *colon = tag ? strrchr(name, ':') : NULL;
	char size[32];

	image_human_size(i->size, size);
	struct row r = {.repository = xstrndup(name, colon ? (size_t)(colon - name) : strlen(name)),
			.tag = xstrdup(colon ? colon + 1 : "<none>"),
			.id = xstrndup(i->id + strlen("sha256:"), ID_SHOWN),
			.created = age(i->created_ns),
			.size = xstrdup(size)};
	VEC_PUSH(&l->rows, r);
}

static bool list_image(void *arg, const struct image *i)
{
	struct listing *l = arg;

	if (!l->all_images && !*i->repo_tags && !*i->repo_digests)
		return true; /* a step of a build, most likely */
	if (l->json) {
		json_append(l->all, image_json(&l->arena, i));
		return true;
	}
	if (l->quiet) {
		printf("%s\n", i->id);
		return true;
	}
	if (!*i->repo_tags)
		row_add(l, i, NULL);
	for (const char *const *tag = i->repo_tags; *tag; tag++)
		row_add(l, i, *tag);
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int r = strcmp(x->repository, y->repository);

	return r ? r : strcmp(x->tag, y->tag);
}

static void print_rows(struct listing *l)
{
	static const struct row head = {"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"};
	int repository = (int)strlen(head.repository), tag = (int)strlen(head.tag), created = (int)strlen(head.created);

	if (l->rows.n)
		qsort(l->rows.at, l->rows.n, sizeof(*l->rows.at), by_name);
	VEC_EACH(r, &l->rows) {
		repository = MAX_OF(repository, (int)strlen(r->repository));
		tag = MAX_OF(tag, (int)strlen(r->tag));
		created = MAX_OF(created, (int)strlen(r->created));
	}
	for (size_t i = 0; i <= l->rows.n; i++) {
		const struct row *r = i ? &l->rows.at[i - 1] : &head;
		printf("%-*s   %-*s   %-*s   %-*s   %s\n", repository, r->repository, tag, r->tag, ID_SHOWN, r->id,
		       created, r->created, r->size);
	}
}

static void listing_release(struct listing *l)
{
	VEC_EACH(r, &l->rows) {
		free(r->repository);
		free(r->tag);
		free(r->id);
		free(r->created);
		free(r->size);
	}
	VEC_RELEASE(&l->rows);
	arena_release(&l->arena);
}

static void print_json(const struct json *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	json_write_pretty(&b, v);
	puts(buf_str(&b));
}

static int list(const struct args *a)
{
	_cleanup_(listing_release) struct listing l = {.quiet = args_switch(a, "quiet"),
						       .all_images = args_switch(a, "all")};
	struct image_store *s;
	char why[IMAGE_WHY_MAX] = "";
	int json = image_command_json(a);

	if (json < 0 || image_command_open(a, &s) != 0)
		return 1;
	l.json = json;
	l.all = json_new(&l.arena, JSON_ARRAY);
	int r = image_list(s, list_image, &l, why, sizeof(why));
	image_store_close(s);
	if (r < 0)
		return command_fail("%s", why);
	if (l.json)
		print_json(l.all);
	else if (!l.quiet)
		print_rows(&l);
	return 0;
}

static const struct flag list_flags[] = {
    IMAGE_DATA_DIR_FLAG,
    IMAGE_FORMAT_FLAG,
    {"quiet", NULL, NULL, "Print ids only."},
    {"all", NULL, NULL, "Those without a name, too: steps of builds, and what had its name taken by another."},
    {0}};

const struct command command_image_list = {
    .name = "list",
    .summary = "List images",
    .about = "List the images that pods on this node can use without pulling.",
    .operands = "",
    .flags = list_flags,
    .letters = "q=quiet a=all",
    .run = list,
};

/* ---- inspect ---- */

static int inspect_one(struct image_store *s, struct arena *a, struct json *all, const char *ref, const char *platform)
{
	_cleanup_buf_ struct buf config = BUF_INIT, manifest = BUF_INIT;
	struct json_error je;
	struct json *v, *blob;
	struct image *i;
	char why[IMAGE_WHY_MAX] = "";

	if (image_resolve_platform(s, ref, platform, &i, why, sizeof(why)) < 0)
		return command_fail("%s", why);
	v = image_json(a, i);
	if (image_blob_read(s, i->id + strlen("sha256:"), &config) == 0 &&
	    json_parse(a, config.data, config.len, &blob, &je) == 0) {
		json_set(a, v, "config", json_clone(a, json_get(blob, "config")));
		json_set(a, v, "rootfs", json_clone(a, json_get(blob, "rootfs")));
		if (json_get(blob, "history"))
			json_set(a, v, "history", json_clone(a, json_get(blob, "history")));
	}
	if (image_blob_read(s, i->manifest + strlen("sha256:"), &manifest) == 0 &&
	    json_parse(a, manifest.data, manifest.len, &blob, &je) == 0)
		json_set(a, v, "layers", json_clone(a, json_get(blob, "layers")));
	json_append(all, v);
	image_free(i);
	return 0;
}

static int inspect(const struct args *a)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct json *all = json_new(&arena, JSON_ARRAY);
	struct image_store *s;
	int status = 0;

	if (image_command_open(a, &s) != 0)
		return 1;
	for (int i = 0; i < a->n_operands; i++)
		status |= inspect_one(s, &arena, all, a->operands[i], args_value(a, "platform"));
	image_store_close(s);
	print_json(all);
	return status;
}

static const struct flag inspect_flags[] = {
    IMAGE_DATA_DIR_FLAG, {"platform", "OS/ARCH", NULL, "Which image of a multi-platform one."}, {0}};

const struct command command_image_inspect = {
    .name = "inspect",
    .summary = "Show all about images, as JSON",
    .about = "Show all about images: names, digests, configuration, layers and history. A JSON array.",
    .operands = "IMAGE...",
    .operands_min = 1,
    .operands_max = OPERANDS_MAX,
    .flags = inspect_flags,
    .run = inspect,
};
