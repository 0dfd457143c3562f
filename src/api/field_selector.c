/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "api/selector.h"
#include "base/arena.h"
#include "base/status.h"
#include "base/str.h"

/* The end of a term: the next comma that no backslash escapes. */
static const char *term_end(const char *s)
{
	for (; *s && *s != ','; s++)
		if (*s == '\\' && s[1])
			s++;
	return s;
}

static char *unescape(struct arena *a, const char *s, size_t len, struct status *err)
{
	char *value = arena_alloc(a, len + 1), *out = value;

	for (const char *end = s + len; s < end; s++) {
		if (*s == '=') {
			status_set(err, 400, "invalid field selector: unescaped character in value: '='");
			return NULL;
		}
		if (*s == '\\') {
			s++;
			if (s == end || !strchr("\\,=", *s)) {
				status_set(err, 400, "invalid field selector: invalid escape sequence: \\%.*s", s < end,
					   s);
				return NULL;
			}
		}
		*out++ = *s;
	}
	*out = 0;
	return value;
}

static int parse_term(struct arena *a, const char *s, size_t len, struct field_term *t, struct status *err)
{
	const char *end = s + len, *op = s;

	while (op < end && *op != '=' && !(*op == '!' && op + 1 < end && op[1] == '='))
		op++;
	if (op == end)
		return status_set(err, 400, "invalid selector: '%.*s'; can't understand '%.*s'", (int)len, s, (int)len,
				  s);
	t->path = arena_strndup(a, s, (size_t)(op - s));
	t->negate = *op == '!';
	const char *value = op + (t->negate || (op + 1 < end && op[1] == '=') ? 2 : 1);
	t->value = unescape(a, value, (size_t)(end - value), err);
	return t->value ? 0 : -1;
}

int field_selector_parse(struct arena *a, const char *text, struct field_selector **ret, struct status *err)
{
	struct field_selector *s = ARENA_NEW(a, struct field_selector);
	size_t max = 1;

	if (strlen(text) > SELECTOR_BYTES_MAX)
		return status_set(err, 400, "field selector is longer than %d bytes", SELECTOR_BYTES_MAX);
	for (const char *c = text; *c; c++)
		max += *c == ',';
	if (max > SELECTOR_TERMS_MAX)
		return status_set(err, 400, "field selector has more than %d terms", SELECTOR_TERMS_MAX);
	s->terms = arena_alloc(a, max * sizeof(*s->terms));
	for (const char *end;; text = end + 1) {
		end = term_end(text);
		if (end > text) {
			if (parse_term(a, text, (size_t)(end - text), &s->terms[s->n_terms], err) < 0)
				return -1;
			s->n_terms++;
		}
		if (!*end)
			break;
	}
	*ret = s;
	return 0;
}

int field_selector_check(const struct field_selector *s, const struct resource *r, struct status *err)
{
	for (size_t i = 0; s && i < s->n_terms; i++) {
		const char *path = s->terms[i].path;
		if (str_eq(path, "metadata.name"))
			continue;
		/* Cluster-scoped kinds with fields of their own name them all, and have no namespace among them. */
		if (str_eq(path, "metadata.namespace") && (r->namespaced || !r->selectable_fields))
			continue;
		if (!r->selectable_fields)
			return status_set(err, 400,
					  "\"%s\" is not a known field selector: only \"metadata.name\", "
					  "\"metadata.namespace\"",
					  path);
		if (!str_in(path, r->selectable_fields) && str_eq(r->plural, "jobs"))
			return status_set(err, 400, "field label \"%s\" not supported for batchv1.Job", path);
		if (!str_in(path, r->selectable_fields))
			return status_set(err, 400, "field label not supported: %s", path);
	}
	return 0;
}

bool field_selector_match(const struct field_selector *s, const struct object *o)
{
	for (size_t i = 0; s && i < s->n_terms; i++) {
		const struct field_term *t = &s->terms[i];
		if (str_eq(str_or(object_field(o, t->path), ""), t->value) == t->negate)
			return false;
	}
	return true;
}

const char *field_selector_required(const struct field_selector *s, const char *path)
{
	for (size_t i = 0; s && i < s->n_terms; i++)
		if (!s->terms[i].negate && str_eq(s->terms[i].path, path))
			return s->terms[i].value;
	return NULL;
}
