/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two trees, for people: a line "-path: was" and a line "+path: is" for each smallest part that
 * differs, at most DIFF_LINES_MAX of them.
 */
#include "api/validate_internal.h"
#include "base/buf.h"
#include "base/str.h"

#define DIFF_LINES_MAX 32 /* a message is for reading */
#define DIFF_VALUE_MAX 256

struct diff {
	struct arena *a;
	struct buf out;
	unsigned lines;
};

static void line(struct diff *d, char sign, const char *path, const struct json *v)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (!v || d->lines++ >= DIFF_LINES_MAX)
		return;
	json_write(&text, v);
	buf_addf(&d->out, "%c%s: %.*s\n", sign, path, (int)MIN_OF(text.len, (size_t)DIFF_VALUE_MAX), buf_str(&text));
}

static void walk(struct diff *d, const char *path, const struct json *before, const struct json *after)
{
	if (json_equal(before, after))
		return;
	if (json_is(before, JSON_OBJECT) && json_is(after, JSON_OBJECT)) {
		JSON_EACH(m, before)
			walk(d, *path ? arena_printf(d->a, "%s.%s", path, m->key) : m->key, m, json_get(after, m->key));
		JSON_EACH(m, after)
			if (!json_get(before, m->key))
				line(d, '+', *path ? arena_printf(d->a, "%s.%s", path, m->key) : m->key, m);
	} else if (json_is(before, JSON_ARRAY) && json_is(after, JSON_ARRAY)) {
		const struct json *b = json_first(before), *a = json_first(after);
		for (uint32_t i = 0; (b || a) && d->lines < DIFF_LINES_MAX; i++) {
			walk(d, arena_printf(d->a, "%s[%u]", path, i), b, a);
			b = b ? json_next(before, b) : NULL;
			a = a ? json_next(after, a) : NULL;
		}
	} else {
		line(d, '-', path, before);
		line(d, '+', path, after);
	}
}

const char *json_diff(struct arena *a, const struct json *before, const struct json *after)
{
	struct diff d = {.a = a, .out = BUF_INIT};

	walk(&d, "", before, after);
	char *text = arena_strdup(a, buf_str(&d.out));
	buf_release(&d.out);
	return text;
}
