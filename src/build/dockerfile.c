/* SPDX-License-Identifier: Apache-2.0 */
#include "build/dockerfile.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"

static const char *const op_names[DOCKER_OPS] = {"ADD",	   "ARG",   "CMD",	   "COPY",  "ENTRYPOINT", "ENV",
						 "EXPOSE", "FROM",  "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
						 "RUN",	   "SHELL", "STOPSIGNAL",  "USER",  "VOLUME",	  "WORKDIR"};

struct parser {
	struct arena *arena;
	const char *at, *end; /* what is not read yet */
	int line;	      /* of at */
	char escape;
	char *err;
	size_t err_len;
};

const char *dockerfile_op_name(enum dockerfile_op op)
{
	return op_names[op];
}

const char *dockerfile_flag(const struct dockerfile_instruction *i, const char *name)
{
	for (size_t k = 0; k < i->n_flags; k++)
		if (str_eq(i->flags[k].name, name))
			return str_or(i->flags[k].value, "");
	return NULL;
}

static int refuse(struct parser *p, int line, const char *fmt, ...)
{
	char why[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	snprintf(p->err, p->err_len, "line %d: %s", line, why);
	return -EINVAL;
}

/* ---- lines ---- */

/* The next line without its end; false: there is none. */
static bool next_line(struct parser *p, const char **ret, size_t *ret_len)
{
	if (p->at >= p->end)
		return false;
	const char *nl = memchr(p->at, '\n', (size_t)(p->end - p->at));
	size_t len = nl ? (size_t)(nl - p->at) : (size_t)(p->end - p->at);
	*ret = p->at;
	p->at = nl ? nl + 1 : p->end;
	p->line++;
	if (len && (*ret)[len - 1] == '\r')
		len--;
	*ret_len = len;
	return true;
}

static void trim_left(const char **s, size_t *len)
{
	while (*len && isspace((unsigned char)**s)) {
		(*s)++;
		(*len)--;
	}
}

static void trim_right(const char *s, size_t *len)
{
	while (*len && isspace((unsigned char)s[*len - 1]))
		(*len)--;
}

/* "# escape=`" and its like, which only count before anything else. */
static int read_directives(struct parser *p)
{
	const char *s, *seen[8] = {0};
	size_t len, n_seen = 0;
	for (;;) {
		struct parser before = *p;
		if (!next_line(p, &s, &len))
			return 0;
		trim_left(&s, &len);
		const char *eq = len && *s == '#' ? memchr(s, '=', len) : NULL;
		if (!eq) {
			*p = before;
			return 0;
		}
		const char *key = s + 1, *value = eq + 1;
		size_t key_len = (size_t)(eq - key), value_len = (size_t)(s + len - value);
		trim_left(&key, &key_len);
		trim_right(key, &key_len);
		trim_left(&value, &value_len);
		trim_right(value, &value_len);
		static const char *const known[] = {"escape", "syntax", "check", NULL};
		const char *name = NULL;
		for (size_t i = 0; known[i]; i++)
			if (strlen(known[i]) == key_len && strncasecmp(known[i], key, key_len) == 0)
				name = known[i];
		if (!name) { /* a comment, after which there are no directives */
			*p = before;
			return 0;
		}
		for (size_t i = 0; i < n_seen; i++)
			if (str_eq(seen[i], name))
				return refuse(p, p->line, "only one %s parser directive can be used", name);
		seen[n_seen++] = name;
		if (!str_eq(name, "escape"))
			continue; /* the syntax we know is the one we read */
		if (value_len != 1 || (*value != '\\' && *value != '`'))
			return refuse(p, p->line, "invalid escape token '%.*s': it must be ` or \\", (int)value_len,
				      value);
		p->escape = *value;
	}
}

/* Does the line go on? Then *len is what is before the escape. */
static bool continues(const struct parser *p, const char *s, size_t *len)
{
	size_t n = *len;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	if (!n || s[n - 1] != p->escape)
		return false;
	*len = n - 1;
	return true;
}

/* One instruction's lines, joined. Comments and blank lines between them are dropped, as documented. false: the end. */
static bool logical_line(struct parser *p, struct buf *out, int *ret_line)
{
	const char *s;
	size_t len;
	bool more = true, any = false;
	while (more && next_line(p, &s, &len)) {
		const char *t = s;
		size_t t_len = len;
		trim_left(&t, &t_len);
		if (!t_len || *t == '#')
			continue;
		if (!any) {
			*ret_line = p->line;
			s = t;
			len = t_len;
		}
		any = true;
		more = continues(p, s, &len);
		buf_add(out, s, len);
	}
	return any;
}

/* ---- here-documents ---- */

static bool takes_heredocs(enum dockerfile_op op)
{
	return op == DOCKER_RUN || op == DOCKER_COPY || op == DOCKER_ADD;
}

struct heredoc_word {
	char *name;
	bool expand, strip_tabs;
};

/* "<<EOF", "<<-EOF", "3<<'EOF'" at s; the length of the word, or 0. */
static size_t heredoc_word(struct parser *p, const char *s, struct heredoc_word *ret)
{
	const char *t = s;
	while (isdigit((unsigned char)*t))
		t++;
	if (t[0] != '<' || t[1] != '<' || t[2] == '<')
		return 0;
	t += 2;
	ret->strip_tabs = *t == '-';
	t += ret->strip_tabs;
	char quote = *t == '"' || *t == '\'' ? *t : 0;
	t += quote != 0;
	size_t n = 0;
	while (isalnum((unsigned char)t[n]) || (t[n] && strchr("_.-", t[n])))
		n++;
	if (!n || (quote && t[n] != quote))
		return 0;
	ret->expand = !quote;
	ret->name = arena_strndup(p->arena, t, n);
	return (size_t)(t - s) + n + (quote != 0);
}

static int read_heredoc(struct parser *p, int line, const struct heredoc_word *w, struct dockerfile_heredoc *ret)
{
	_cleanup_buf_ struct buf content = BUF_INIT;
	const char *s;
	size_t len;
	while (next_line(p, &s, &len)) {
		if (w->strip_tabs)
			while (len && *s == '\t') {
				s++;
				len--;
			}
		if (len == strlen(w->name) && memcmp(s, w->name, len) == 0) {
			*ret = (struct dockerfile_heredoc){.name = w->name,
							   .content =
							       arena_strndup(p->arena, buf_str(&content), content.len),
							   .expand = w->expand};
			return 0;
		}
		buf_add(&content, s, len);
		buf_addc(&content, '\n');
	}
	return refuse(p, line, "unterminated heredoc: \"%s\" is missing", w->name);
}

/* Finds the words that begin here-documents, outside quotes, and reads these from the lines that follow. */
static int read_heredocs(struct parser *p, struct dockerfile_instruction *ins)
{
	VEC(struct dockerfile_heredoc) found = {0};
	char quote = 0;
	int r = 0;
	for (const char *s = ins->rest; *s && r == 0; s++) {
		struct heredoc_word w;
		bool begins = s == ins->rest || isspace((unsigned char)s[-1]);
		size_t n;
		if (quote) {
			if (*s == p->escape && quote == '"' && s[1])
				s++;
			else if (*s == quote)
				quote = 0;
		} else if (*s == p->escape && s[1]) {
			s++;
		} else if (*s == '"' || *s == '\'') {
			quote = *s;
		} else if (begins && (n = heredoc_word(p, s, &w))) {
			struct dockerfile_heredoc h;
			if (found.n == DOCKERFILE_HEREDOCS_MAX)
				r = refuse(p, ins->line, "more than %d heredocs", DOCKERFILE_HEREDOCS_MAX);
			else if ((r = read_heredoc(p, ins->line, &w, &h)) == 0)
				VEC_PUSH(&found, h);
			s += n - 1;
		}
	}
	if (r == 0 && found.n) {
		ins->heredocs = arena_alloc(p->arena, found.n * sizeof(*found.at));
		memcpy(ins->heredocs, found.at, found.n * sizeof(*found.at));
		ins->n_heredocs = found.n;
	}
	VEC_RELEASE(&found);
	return r;
}

/* ---- instructions ---- */

static bool takes_flags(enum dockerfile_op op)
{
	return op == DOCKER_FROM || op == DOCKER_RUN || op == DOCKER_COPY || op == DOCKER_ADD ||
	       op == DOCKER_HEALTHCHECK;
}

/* "--name=value" words at the front. A value may be quoted, and the escape takes the next character as it is. */
static int read_flags(struct parser *p, struct dockerfile_instruction *ins)
{
	struct dockerfile_flag flags[DOCKERFILE_FLAGS_MAX];
	const char *s = ins->rest;
	while (takes_flags(ins->op) && s[0] == '-' && s[1] == '-') {
		_cleanup_buf_ struct buf word = BUF_INIT;
		char quote = 0;
		const char *t = s + 2;
		if (!*t || isspace((unsigned char)*t)) { /* "--" alone ends them */
			s = t;
			while (isspace((unsigned char)*s))
				s++;
			break;
		}
		for (; *t && (quote || !isspace((unsigned char)*t)); t++) {
			if (*t == p->escape && quote != '\'' && t[1])
				buf_addc(&word, *++t);
			else if (quote ? *t == quote : *t == '"' || *t == '\'')
				quote = quote ? 0 : *t;
			else
				buf_addc(&word, *t);
		}
		if (quote)
			return refuse(p, ins->line, "a quote in %.40s does not end", s);
		if (ins->n_flags == DOCKERFILE_FLAGS_MAX)
			return refuse(p, ins->line, "more than %d flags", DOCKERFILE_FLAGS_MAX);
		char *name = arena_strndup(p->arena, buf_str(&word), word.len), *eq = strchr(name, '=');
		if (eq)
			*eq = 0;
		flags[ins->n_flags++] = (struct dockerfile_flag){name, eq ? eq + 1 : NULL};
		s = t;
		while (isspace((unsigned char)*s))
			s++;
	}
	ins->rest = s;
	if (ins->n_flags) {
		ins->flags = arena_alloc(p->arena, ins->n_flags * sizeof(*flags));
		memcpy(ins->flags, flags, ins->n_flags * sizeof(*flags));
	}
	return 0;
}

/* ["a", "b"]: what isn't exactly an array of strings is the shell form, however it begins. */
static void read_words(struct parser *p, struct dockerfile_instruction *ins)
{
	struct json *list;
	struct json_error bad;
	size_t n = 0;
	if (*ins->rest != '[' || json_parse(p->arena, ins->rest, strlen(ins->rest), &list, &bad) < 0 ||
	    !json_is(list, JSON_ARRAY))
		return;
	const char **words = arena_zalloc(p->arena, (json_len(list) + 1) * sizeof(*words));
	JSON_EACH(v, list) {
		if (!json_str(v))
			return;
		words[n++] = json_str(v);
	}
	ins->words = words;
	ins->n_words = n;
}

static int read_instruction(struct parser *p, const char *text, int line, struct dockerfile_instruction *ins)
{
	size_t n = strcspn(text, " \t\r\n\v\f");
	*ins = (struct dockerfile_instruction){.op = DOCKER_OPS, .line = line};
	for (int i = 0; i < DOCKER_OPS; i++)
		if (strlen(op_names[i]) == n && strncasecmp(op_names[i], text, n) == 0)
			ins->op = (enum dockerfile_op)i;
	if (ins->op == DOCKER_OPS)
		return refuse(p, line, "unknown instruction: %.*s", (int)(n > 40 ? 40 : n), text);
	const char *rest = text + n;
	size_t len = strlen(rest);
	trim_left(&rest, &len);
	trim_right(rest, &len);
	ins->rest = arena_strndup(p->arena, rest, len);
	ins->text = arena_printf(p->arena, "%s %s", op_names[ins->op], ins->rest);
	if (!len)
		return refuse(p, line, "%s requires at least one argument", op_names[ins->op]);
	if (read_flags(p, ins) < 0)
		return -EINVAL;
	if (!*ins->rest)
		return refuse(p, line, "%s requires at least one argument", op_names[ins->op]);
	if (takes_heredocs(ins->op) && read_heredocs(p, ins) < 0)
		return -EINVAL;
	if (!ins->n_heredocs)
		read_words(p, ins);
	return 0;
}

int dockerfile_parse(const char *text, size_t len, struct dockerfile *ret, char *err, size_t err_len)
{
	*ret = (struct dockerfile){.escape = '\\'};
	struct parser p = {
	    .arena = &ret->arena, .at = text, .end = text + len, .escape = '\\', .err = err, .err_len = err_len};
	VEC(struct dockerfile_instruction) all = {0};
	int r = 0, line = 0;
	if (len > DOCKERFILE_BYTES_MAX)
		return refuse(&p, 1, "the file is longer than %u bytes", DOCKERFILE_BYTES_MAX);
	if (memchr(text, 0, len))
		return refuse(&p, 1, "the file has a NUL byte");
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		p.at += 3;
	r = read_directives(&p);
	while (r == 0) {
		_cleanup_buf_ struct buf joined = BUF_INIT;
		struct dockerfile_instruction ins;
		if (!logical_line(&p, &joined, &line))
			break;
		if (all.n == DOCKERFILE_INSTRUCTIONS_MAX)
			r = refuse(&p, line, "more than %d instructions", DOCKERFILE_INSTRUCTIONS_MAX);
		else if ((r = read_instruction(&p, buf_str(&joined), line, &ins)) == 0)
			VEC_PUSH(&all, ins);
	}
	if (r == 0 && !all.n)
		r = refuse(&p, 1, "the file with no instructions");
	ret->escape = p.escape;
	ret->n = all.n;
	ret->at = arena_alloc(&ret->arena, all.n * sizeof(*all.at) + 1);
	if (all.n)
		memcpy(ret->at, all.at, all.n * sizeof(*all.at));
	VEC_RELEASE(&all);
	return r;
}

void dockerfile_release(struct dockerfile *d)
{
	arena_release(&d->arena);
}

int dockerfile_parse_one(struct arena *a, char escape, const char *text, struct dockerfile_instruction *ret, char *err,
			 size_t err_len)
{
	const char *end = text + strlen(text);
	struct parser p = {.arena = a, .at = end, .end = end, .escape = escape, .err = err, .err_len = err_len};
	return read_instruction(&p, text, 1, ret);
}
