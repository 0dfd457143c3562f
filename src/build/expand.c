/* SPDX-License-Identifier: Apache-2.0 */
#include "build/expand.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"

struct expander {
	const struct expand_env *env;
	struct arena *arena;
	const char *at; /* what is not read yet */
	struct buf word;
	bool in_word; /* something was read, if only "" */
	bool split;
	VEC(const char *) words;
	int depth;
	char *err;
	size_t err_len;
};

static int refuse(struct expander *x, const char *what, const char *detail)
{
	snprintf(x->err, x->err_len, "%s%s%s", what, *detail ? ": " : "", detail);
	return -EINVAL;
}

static void end_word(struct expander *x)
{
	if (x->in_word)
		VEC_PUSH(&x->words, arena_strndup(x->arena, buf_str(&x->word), x->word.len));
	buf_clear(&x->word);
	x->in_word = false;
}

static void put(struct expander *x, char c)
{
	buf_addc(&x->word, c);
	x->in_word = true;
}

/* A variable's value: unquoted, its blanks separate words too. */
static void put_value(struct expander *x, const char *s, bool quoted)
{
	for (; *s; s++)
		if (x->split && !quoted && isspace((unsigned char)*s))
			end_word(x);
		else
			put(x, *s);
}

/* ---- patterns ---- */

static bool matches(const char *pattern, size_t pn, const char *s, size_t sn)
{
	/* * and ? only, by going back to the last star: linear in memory, quadratic in time. */
	size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;
	while (i < sn) {
		if (p < pn && pattern[p] == '*') {
			star = p++;
			mark = i;
		} else if (p < pn && (pattern[p] == '?' || pattern[p] == s[i])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (p < pn && pattern[p] == '*')
		p++;
	return p == pn;
}

static const char *strip_prefix(struct expander *x, const char *v, const char *pattern, bool longest)
{
	size_t n = strlen(v), pn = strlen(pattern), best = SIZE_MAX;
	for (size_t i = 0; i <= n; i++)
		if (matches(pattern, pn, v, i)) {
			best = i;
			if (!longest)
				break;
		}
	return best == SIZE_MAX ? v : arena_strdup(x->arena, v + best);
}

static const char *strip_suffix(struct expander *x, const char *v, const char *pattern, bool longest)
{
	size_t n = strlen(v), pn = strlen(pattern), best = SIZE_MAX;
	for (size_t i = n + 1; i-- > 0;)
		if (matches(pattern, pn, v + i, n - i)) {
			best = i;
			if (!longest)
				break;
		}
	return best == SIZE_MAX ? v : arena_strndup(x->arena, v, best);
}

/* The longest match at each place, from the left. */
static const char *replace(struct expander *x, const char *v, const char *pattern, const char *with, bool all)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	size_t n = strlen(v), pn = strlen(pattern);
	buf_init(&out, EXPAND_BYTES_MAX);
	for (size_t i = 0; i < n;) {
		size_t len = 0;
		for (size_t k = n - i; k > 0; k--)
			if (matches(pattern, pn, v + i, k)) {
				len = k;
				break;
			}
		if (!len) {
			buf_addc(&out, v[i++]);
			continue;
		}
		buf_adds(&out, with);
		i += len;
		if (!all) {
			buf_adds(&out, v + i);
			break;
		}
	}
	return arena_strdup(x->arena, buf_str(&out));
}

/* ---- ${…} ---- */

static int expand_until(struct expander *x, const char *stop, const char **ret);

static const char *modify(struct expander *x, const char *value, char op, bool twice, const char *word,
			  const char *with)
{
	if (!value)
		return NULL;
	if (op == '#')
		return strip_prefix(x, value, word, twice);
	if (op == '%')
		return strip_suffix(x, value, word, twice);
	return replace(x, value, word, with, twice);
}

/* After "${name": the operator and its word, up to the brace. */
static int read_modifier(struct expander *x, const char *name, const char *value, const char **ret)
{
	bool colon = *x->at == ':';
	x->at += colon;
	char op = *x->at;
	const char *word, *with = "";
	if (!op || !strchr(colon ? "-+?" : "-+?#%/", op))
		return refuse(x, "unsupported modifier in substitution", name);
	x->at++;
	bool twice = strchr("#%/", op) && *x->at == op;
	x->at += twice;
	if (expand_until(x, op == '/' ? "/}" : "}", &word) < 0)
		return -EINVAL;
	if (op == '/' && *x->at == '/') {
		x->at++;
		if (expand_until(x, "}", &with) < 0)
			return -EINVAL;
	}
	if (*x->at != '}')
		return refuse(x, "a substitution does not end", name);
	x->at++;
	bool set = value && (!colon || *value);
	if (op == '-')
		*ret = set ? value : word;
	else if (op == '+')
		*ret = set ? word : "";
	else if (op == '?' && !set)
		return refuse(x, name, *word ? word : "is not set");
	else
		*ret = op == '?' ? value : modify(x, value, op, twice, word, with);
	return 0;
}

static bool is_name(char c, bool first)
{
	return isalpha((unsigned char)c) || c == '_' || (!first && isdigit((unsigned char)c));
}

/* At the $. */
static int read_variable(struct expander *x, bool quoted)
{
	const char *value = NULL;
	bool brace = x->at[1] == '{';
	const char *s = x->at + 1 + brace;
	size_t n = 0;
	while (is_name(s[n], n == 0))
		n++;
	if (!n && (isdigit((unsigned char)*s) || (*s && strchr("@*#", *s))))
		n = 1; /* a shell's own: never set here */
	if (!n) {
		if (brace)
			return refuse(x, "bad substitution", "");
		put(x, *x->at++); /* a dollar by itself */
		return 0;
	}
	const char *name = arena_strndup(x->arena, s, n);
	value = x->env->get(x->env->arg, name);
	x->at = s + n;
	if (brace && *x->at == '}')
		x->at++;
	else if (brace && read_modifier(x, name, value, &value) < 0)
		return -EINVAL;
	if (value)
		put_value(x, value, quoted);
	return 0;
}

/* ---- quotes ---- */

static int read_single(struct expander *x)
{
	const char *end = strchr(x->at + 1, '\'');
	if (!end)
		return refuse(x, "unexpected end of statement while looking for matching single-quote", "");
	x->in_word = true;
	for (x->at++; x->at < end; x->at++)
		put(x, *x->at);
	x->at++;
	return 0;
}

static int read_double(struct expander *x)
{
	char escape = x->env->escape;
	x->in_word = true;
	for (x->at++; *x->at != '"';) {
		if (!*x->at)
			return refuse(x, "unexpected end of statement while looking for matching double-quote", "");
		if (*x->at == '$') {
			if (read_variable(x, true) < 0)
				return -EINVAL;
		} else {
			if (*x->at == escape && (x->at[1] == '"' || x->at[1] == '$' || x->at[1] == escape))
				x->at++;
			put(x, *x->at++);
		}
	}
	x->at++;
	return 0;
}

static int step(struct expander *x)
{
	bool quotes = !x->env->keep_quotes;
	if (buf_failed(&x->word))
		return refuse(x, "an expanded word is too long", "");
	if (*x->at == '$')
		return read_variable(x, false);
	if (quotes && *x->at == '\'')
		return read_single(x);
	if (quotes && *x->at == '"')
		return read_double(x);
	if (*x->at == x->env->escape && (quotes ? x->at[1] != 0 : x->at[1] == '$' || x->at[1] == x->env->escape))
		x->at++;
	put(x, *x->at++);
	return 0;
}

/* The word of a substitution: everything up to one of stop, itself expanded. */
static int expand_until(struct expander *x, const char *stop, const char **ret)
{
	struct expander inner = {
	    .env = x->env, .arena = x->arena, .at = x->at, .depth = x->depth + 1, .err = x->err, .err_len = x->err_len};
	int r = 0;
	buf_init(&inner.word, EXPAND_BYTES_MAX);
	if (inner.depth > EXPAND_DEPTH_MAX)
		r = refuse(x, "substitutions are nested too deeply", "");
	while (r == 0 && *inner.at && !strchr(stop, *inner.at))
		r = step(&inner);
	x->at = inner.at;
	if (r == 0)
		*ret = arena_strndup(x->arena, buf_str(&inner.word), inner.word.len);
	buf_release(&inner.word);
	return r;
}

int expand_word(struct arena *a, const struct expand_env *e, const char *text, const char **ret, char *err,
		size_t err_len)
{
	struct expander x = {.env = e, .arena = a, .at = text, .err = err, .err_len = err_len};
	int r = expand_until(&x, "", ret);
	return r;
}

int expand_words(struct arena *a, const struct expand_env *e, const char *text, const char *const **ret, size_t *ret_n,
		 char *err, size_t err_len)
{
	struct expander x = {.env = e, .arena = a, .at = text, .split = true, .err = err, .err_len = err_len};
	int r = 0;
	buf_init(&x.word, EXPAND_BYTES_MAX);
	while (r == 0 && *x.at) {
		if (isspace((unsigned char)*x.at)) {
			end_word(&x);
			x.at++;
		} else {
			r = step(&x);
		}
	}
	end_word(&x);
	if (r == 0) {
		const char **words = arena_zalloc(a, (x.words.n + 1) * sizeof(*words));
		if (x.words.n)
			memcpy(words, x.words.at, x.words.n * sizeof(*words));
		*ret = words;
		*ret_n = x.words.n;
	}
	VEC_RELEASE(&x.words);
	buf_release(&x.word);
	return r;
}

const char *const *split_words(struct arena *a, char escape, const char *text, size_t *ret_n)
{
	VEC(const char *) found = {0};
	for (const char *s = text; *s;) {
		while (isspace((unsigned char)*s))
			s++;
		const char *begin = s;
		char quote = 0;
		for (; *s && (quote || !isspace((unsigned char)*s)); s++) {
			if (*s == escape && quote != '\'' && s[1])
				s++;
			else if (quote ? *s == quote : *s == '"' || *s == '\'')
				quote = quote ? 0 : *s;
		}
		if (s > begin)
			VEC_PUSH(&found, arena_strndup(a, begin, (size_t)(s - begin)));
	}
	const char **words = arena_zalloc(a, (found.n + 1) * sizeof(*words));
	if (found.n)
		memcpy(words, found.at, found.n * sizeof(*words));
	*ret_n = found.n;
	VEC_RELEASE(&found);
	return words;
}
