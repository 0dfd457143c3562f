/* SPDX-License-Identifier: Apache-2.0 */
#include "build/pattern.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"

/* The character class at p ("[" is read already): whether c is in it; *ret_end behind its "]", NULL: malformed. */
static bool in_class(const char *p, const char *end, unsigned char c, const char **ret_end)
{
	bool negated = p < end && *p == '^', found = false;
	p += negated;
	for (bool first = true; p < end && (*p != ']' || first); first = false) {
		if (*p == '\\' && p + 1 < end)
			p++;
		unsigned char lo = (unsigned char)*p++, hi = lo;
		if (p + 1 < end && *p == '-' && p[1] != ']') {
			p++;
			if (*p == '\\' && p + 1 < end)
				p++;
			hi = (unsigned char)*p++;
		}
		found |= c >= lo && c <= hi;
	}
	*ret_end = p < end ? p + 1 : NULL;
	return found != negated;
}

bool pattern_match_part(const char *pattern, size_t pattern_len, const char *s, size_t len)
{
	const char *p = pattern, *end = pattern + pattern_len, *t = s, *t_end = s + len;
	const char *star = NULL, *mark = NULL; /* go on behind the last star, one character later */
	while (t < t_end) {
		const char *next = p + 1;
		bool fits = false;
		if (p < end && *p == '*') {
			star = p++;
			mark = t;
			continue;
		}
		if (p < end && *p == '[') {
			fits = in_class(p + 1, end, (unsigned char)*t, &next);
			if (!next)
				return false;
		} else if (p < end && *p == '\\' && p + 1 < end) {
			fits = p[1] == *t;
			next = p + 2;
		} else if (p < end) {
			fits = *p == '?' || *p == *t;
		}
		if (fits) {
			p = next;
			t++;
		} else if (star) {
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}

struct parts {
	const char *at[PATTERN_PARTS_MAX];
	size_t len[PATTERN_PARTS_MAX], n;
};

static bool split(const char *s, struct parts *ret)
{
	ret->n = 0;
	while (*s) {
		size_t n = strcspn(s, "/");
		if (n && ret->n == PATTERN_PARTS_MAX)
			return false;
		if (n) {
			ret->at[ret->n] = s;
			ret->len[ret->n++] = n;
		}
		s += n + (s[n] == '/');
	}
	return true;
}

static bool match_parts(const struct parts *p, const struct parts *s, size_t n)
{
	/* reach[j]: the pattern's first i components match the path's first j. */
	bool reach[PATTERN_PARTS_MAX + 1] = {true};
	for (size_t i = 0; i < p->n; i++) {
		if (p->len[i] == 2 && memcmp(p->at[i], "**", 2) == 0) {
			for (size_t j = 1; j <= n; j++)
				reach[j] |= reach[j - 1];
			continue;
		}
		for (size_t j = n; j > 0; j--)
			reach[j] = reach[j - 1] && pattern_match_part(p->at[i], p->len[i], s->at[j - 1], s->len[j - 1]);
		reach[0] = false;
	}
	return reach[n];
}

bool pattern_match(const char *pattern, const char *path)
{
	struct parts p, s;
	return split(pattern, &p) && split(path, &s) && match_parts(&p, &s, s.n);
}

bool pattern_has_wildcard(const char *pattern)
{
	return strpbrk(pattern, "*?[\\") != NULL;
}

char *path_clean(struct arena *a, const char *path)
{
	char *out = arena_alloc(a, strlen(path) + 1);
	size_t len = 0;
	while (*path) {
		size_t n = strcspn(path, "/");
		if (n == 2 && memcmp(path, "..", 2) == 0) {
			while (len && out[len - 1] != '/')
				len--;
			len -= len > 0;
		} else if (n && !(n == 1 && *path == '.')) {
			if (len)
				out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n + (path[n] == '/');
	}
	out[len] = 0;
	return out;
}

void patterns_add(struct arena *a, struct patterns *p, const char *line)
{
	bool keep = *line == '!';
	line += keep;
	while (isspace((unsigned char)*line))
		line++;
	char *text = path_clean(a, line);
	if (!*text)
		return;
	struct pattern *grown = arena_alloc(a, (p->n + 1) * sizeof(*grown));
	if (p->n)
		memcpy(grown, p->at, p->n * sizeof(*grown));
	grown[p->n++] = (struct pattern){text, keep};
	p->at = grown;
	p->any_keep |= keep;
}

void patterns_parse(struct arena *a, const char *text, struct patterns *ret)
{
	*ret = (struct patterns){0};
	if (str_has_prefix(text, "\xef\xbb\xbf"))
		text += 3;
	while (*text) {
		size_t n = strcspn(text, "\n"), len = n;
		const char *line = text;
		text += n + (text[n] == '\n');
		if (len && *line == '#')
			continue;
		while (len && isspace((unsigned char)*line)) {
			line++;
			len--;
		}
		while (len && isspace((unsigned char)line[len - 1]))
			len--;
		if (len)
			patterns_add(a, ret, arena_strndup(a, line, len));
	}
}

bool patterns_exclude(const struct patterns *p, const char *path)
{
	struct parts s;
	bool excluded = false;
	if (!p || !p->n || !split(path, &s))
		return false;
	for (size_t i = 0; i < p->n; i++) {
		struct parts t;
		if (p->at[i].keep != excluded || !split(p->at[i].text, &t))
			continue; /* it would change nothing */
		for (size_t n = s.n; n > 0; n--)
			if (match_parts(&t, &s, n)) {
				excluded = !p->at[i].keep;
				break;
			}
	}
	return excluded;
}
