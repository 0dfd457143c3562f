/* SPDX-License-Identifier: Apache-2.0 */
/* COPY and ADD. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/build_internal.h"
#include "build/fetch.h"
#include "build/mode.h"
#include "build/sources.h"
#include "image/stream.h"
#include "runtime/passwd.h"
#include "runtime/rootfs.h"

struct file { /* from a here-document or the network */
	const char *name;
	const char *content;
	size_t len;
};

struct copy {
	struct sources sources;
	struct patterns exclude;
	int from;
	const char *dest, *chown;
	const char *chmod; /* NULL: the source's mode */
	bool dest_is_dir, context, unpack;
	VEC(struct file) files;
};

/* ---- flags ---- */

static int read_mode(struct build *b, const struct dockerfile_instruction *i, const char *text, struct copy *c)
{
	mode_t mode;
	if (mode_apply(text, 0644, false, &mode) < 0)
		return build_fail(
		    b, i, -EINVAL,
		    "--chmod must be an octal number between 0 and 07777, or like u=rwX,go=rX, not \"%s\"", text);
	c->chmod = text;
	return 0;
}

static int expand_flag(struct build *b, struct stage *s, const struct dockerfile_instruction *i, const char *text,
		       const char **ret)
{
	struct stage_scope scope = {b, s};
	struct expand_env e = stage_expander(&scope);
	char why[256];
	return expand_word(&b->arena, &e, text, ret, why, sizeof(why)) < 0 ? build_fail(b, i, -EINVAL, "%s", why) : 0;
}

struct copy_flags {
	const char *from, *checksum;
	bool parents, unpack;
};

static int read_flags(struct build *b, struct stage *s, const struct dockerfile_instruction *i, struct copy *c,
		      struct copy_flags *f)
{
	bool add = i->op == DOCKER_ADD;
	for (size_t k = 0; k < i->n_flags; k++) {
		const char *name = i->flags[k].name, *value;
		if (expand_flag(b, s, i, str_or(i->flags[k].value, ""), &value) < 0)
			return -EINVAL;
		if (str_eq(name, "from") && !add)
			f->from = value;
		else if (str_eq(name, "chown"))
			c->chown = value;
		else if (str_eq(name, "chmod")) {
			if (read_mode(b, i, value, c) < 0)
				return -EINVAL;
		} else if (str_eq(name, "link")) {
			continue; /* how layers are put together is the same for us */
		} else if (str_eq(name, "parents") && !add)
			f->parents = !str_eq(value, "false");
		else if (str_eq(name, "exclude"))
			patterns_add(&b->arena, &c->exclude, value);
		else if (str_eq(name, "checksum") && add)
			f->checksum = value;
		else if (str_eq(name, "unpack") && add)
			c->unpack = f->unpack = !str_eq(value, "false");
		else if (str_eq(name, "keep-git-dir") && add)
			continue; /* repositories are refused by name */
		else
			return build_fail(b, i, -EINVAL, "unknown flag: --%s", name);
	}
	return 0;
}

/* ---- sources ---- */

static bool is_url(const char *source)
{
	return str_has_prefix(source, "http://") || str_has_prefix(source, "https://");
}

/* What BuildKit would clone. */
static bool is_repository(const char *source)
{
	static const char *const schemes[] = {"git@", "git://", "ssh://"};
	size_t n = strcspn(source, "?#");
	for (size_t k = 0; k < ARRAY_SIZE(schemes); k++)
		if (str_has_prefix(source, schemes[k]))
			return true;
	return is_url(source) && n > 4 && strncmp(source + n - 4, ".git", 4) == 0;
}

static int add_heredoc(struct build *b, struct stage *s, const struct dockerfile_instruction *i, struct copy *c,
		       const struct dockerfile_heredoc *h)
{
	struct stage_scope scope = {b, s};
	struct expand_env e = stage_expander(&scope);
	const char *text = h->content;
	char why[256];
	e.keep_quotes = true;
	if (h->expand && expand_word(&b->arena, &e, h->content, &text, why, sizeof(why)) < 0)
		return build_fail(b, i, -EINVAL, "%s", why);
	struct file f = {h->name, text, strlen(text)};
	VEC_PUSH(&c->files, f);
	return 0;
}

static int add_url(struct build *b, const struct dockerfile_instruction *i, struct copy *c, const char *url,
		   const char *checksum)
{
	char why[512] = "", hex[65];
	_cleanup_buf_ struct buf body = BUF_INIT;
	build_tell(b, "  fetching %s", url);
	int r = fetch_url(b->o->transfer, url, &body, why, sizeof(why));
	if (r < 0)
		return build_fail(b, i, r, "%s", why);
	image_digest(buf_str(&body), body.len, hex);
	if (checksum && !str_eq(checksum, arena_printf(&b->arena, "sha256:%s", hex)))
		return build_fail(b, i, -EBADMSG, "%s has the digest sha256:%s, not %s", url, hex, checksum);
	size_t path = strcspn(url, "?#");
	while (path && url[path - 1] == '/')
		path--;
	size_t begin = path;
	while (begin && url[begin - 1] != '/')
		begin--;
	char *content = arena_alloc(&b->arena, body.len + 1);
	memcpy(content, buf_str(&body), body.len);
	struct file f = {arena_strndup(&b->arena, url + begin, path - begin), content, body.len};
	if (!*f.name || (!c->dest_is_dir && !f.name[0]))
		return build_fail(b, i, -EINVAL, "cannot determine a file name from %s", url);
	VEC_PUSH(&c->files, f);
	if (!c->chmod)
		c->chmod = "600"; /* documented, for what is fetched */
	return 0;
}

static int add_sources(struct build *b, struct stage *s, const struct dockerfile_instruction *i, struct copy *c,
		       const struct copy_flags *f, const char *const *sources, size_t n)
{
	struct source_options o = {
	    .ignore = c->context ? &b->ignore : NULL, .exclude = &c->exclude, .parents = f->parents};
	size_t heredoc = 0;
	char why[512] = "";
	for (size_t k = 0; k < n; k++) {
		int r = 0;
		if (i->n_heredocs && str_has_prefix(sources[k], "<<") && heredoc < i->n_heredocs)
			r = add_heredoc(b, s, i, c, &i->heredocs[heredoc++]);
		else if (i->op == DOCKER_ADD && is_repository(sources[k]))
			return build_fail(
			    b, i, -ENOTSUP,
			    "%s is a git repository: builds have no git; clone it into the context, or in a RUN",
			    sources[k]);
		else if (i->op == DOCKER_ADD && is_url(sources[k]) && f->unpack)
			return build_fail(b, i, -ENOTSUP, "--unpack: what is fetched is not unpacked; do it in a RUN");
		else if (i->op == DOCKER_ADD && is_url(sources[k]))
			r = add_url(b, i, c, sources[k], f->checksum);
		else if ((r = sources_list(&c->sources, c->from, sources[k], &o, why, sizeof(why))) < 0)
			r = build_fail(b, i, r, "%s", why);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_dest(struct build *b, struct stage *s, const struct dockerfile_instruction *i, struct copy *c,
		    const char *text, size_t n_sources)
{
	bool slash = str_has_suffix(text, "/") || str_eq(text, ".") || str_has_suffix(text, "/.");
	const char *whole =
	    *text == '/' ? text : arena_printf(&b->arena, "%s/%s", stage_config_str(s, "WorkingDir"), text);
	c->dest = arena_printf(&b->arena, "/%s", path_clean(&b->arena, whole));
	c->dest_is_dir = slash;
	if (n_sources > 1 && !slash)
		return build_fail(b, i, -EINVAL,
				  "with more than one source, the destination must be a directory and end with a /");
	return 0;
}

/* ---- doing it ---- */

static int owner(struct build *b, const struct step *step, const char *chown, int root, struct source_target *to)
{
	char *passwd = NULL, *group = NULL;
	const char *what = chown;
	struct user *u = NEW(struct user);
	int r = root_read_file(root, "/etc/passwd", PASSWD_FILE_MAX, &passwd);
	if (r == 0)
		r = root_read_file(root, "/etc/group", PASSWD_FILE_MAX, &group);
	if (r == 0)
		r = user_resolve(chown, passwd, group, u, &what);
	if (r < 0)
		build_fail(b, step->ins, r, "--chown=%s: %s", chown,
			   r == -ENOENT ? arena_printf(&b->arena, "%s is not in the image", what) : strerror(-r));
	to->uid = u->uid;
	/* A user alone names the group of the same number, as documented. */
	to->gid = strchr(chown, ':') || !isdigit((unsigned char)*chown) ? u->gid : (gid_t)u->uid;
	free(u);
	free(passwd);
	free(group);
	return r;
}

static int work(struct build *b, struct stage *s, struct step *step, int root)
{
	struct copy *c = step->arg;
	struct source_target to = {.root = root,
				   .dest = c->dest,
				   .dest_is_dir = c->dest_is_dir,
				   .keep_owner = !c->context && !c->chown,
				   .chmod = c->chmod,
				   .unpack = c->unpack};
	char why[1024] = "";
	(void)s;
	if (c->chown && owner(b, step, c->chown, root, &to) < 0)
		return -EINVAL;
	int r = sources_copy(&c->sources, c->from, &to, why, sizeof(why));
	for (size_t i = 0; r == 0 && i < c->files.n; i++)
		r = sources_write_file(&to, c->files.at[i].name, c->files.at[i].content, c->files.at[i].len, why,
				       sizeof(why));
	return r < 0 ? build_fail(b, step->ins, r, "%s", why) : 0;
}

static int copy_step(struct build *b, struct stage *s, const struct dockerfile_instruction *i, struct copy *c)
{
	char digest[65], why[1024] = "";
	int r = sources_digest(&c->sources, c->from, !c->context && !c->chown, digest, why, sizeof(why));
	if (r < 0)
		return build_fail(b, i, r, "%s", why);
	struct step step = {.ins = i, .text = i->text, .work = work, .arg = c};
	VEC(const char *) parts = {0};
	VEC_PUSH(&parts, dockerfile_op_name(i->op));
	VEC_PUSH(&parts, c->dest);
	VEC_PUSH(&parts, c->dest_is_dir ? "dir" : "");
	VEC_PUSH(&parts, str_or(c->chown, ""));
	VEC_PUSH(&parts, str_or(c->chmod, ""));
	VEC_PUSH(&parts, digest);
	for (size_t k = 0; k < c->files.n; k++) {
		char hex[65];
		image_digest(c->files.at[k].content, c->files.at[k].len, hex);
		VEC_PUSH(&parts, c->files.at[k].name);
		VEC_PUSH(&parts, arena_strdup(&b->arena, hex));
	}
	step_key(s, step.key, parts.at, parts.n);
	VEC_RELEASE(&parts);
	return step_do(b, s, &step);
}

int copy_do(struct build *b, struct stage *s, const struct dockerfile_instruction *i)
{
	struct copy c = {.from = -1, .unpack = i->op == DOCKER_ADD};
	struct copy_flags f = {0};
	struct stage_scope scope = {b, s};
	struct expand_env e = stage_expander(&scope);
	const char *const *words = i->words, *view = NULL;
	size_t n = i->n_words;
	char why[256];
	int r = read_flags(b, s, i, &c, &f);
	if (r == 0 && !words && expand_words(&b->arena, &e, i->rest, &words, &n, why, sizeof(why)) < 0)
		r = build_fail(b, i, -EINVAL, "%s", why);
	if (r == 0 && n < 2)
		r = build_fail(b, i, -EINVAL, "requires at least two arguments");
	if (r == 0)
		r = set_dest(b, s, i, &c, words[n - 1], n - 1);
	if (r == 0)
		r = build_source_open(b, i, f.from, &c.from, &view, &c.context);
	if (r == 0)
		r = add_sources(b, s, i, &c, &f, words, n - 1);
	if (r == 0 && c.sources.n_files + c.files.n > 1 && !c.dest_is_dir && !c.sources.n_dirs)
		r = build_fail(b, i, -EINVAL,
			       "with more than one source, the destination must be a directory and end with a /");
	if (r == 0)
		r = copy_step(b, s, i, &c);
	build_source_close(b, c.from, view);
	sources_release(&c.sources);
	VEC_RELEASE(&c.files);
	return r;
}

/* "from=NAME" among a mount's words, too. */
void copy_needs(struct build *b, const struct dockerfile_instruction *i, void (*fn)(struct build *b, const char *from))
{
	for (size_t k = 0; k < i->n_flags; k++) {
		const char *value = str_or(i->flags[k].value, "");
		if (i->op == DOCKER_COPY && str_eq(i->flags[k].name, "from")) {
			fn(b, value);
		} else if (i->op == DOCKER_RUN && str_eq(i->flags[k].name, "mount")) {
			for (const char *w = value; *w; w += strcspn(w, ",") + (w[strcspn(w, ",")] == ','))
				if (str_has_prefix(w, "from="))
					fn(b, arena_strndup(&b->arena, w + 5, strcspn(w + 5, ",")));
		}
	}
}
