/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of src/api share: trees written with single quotes, and comparing trees as text. */
#ifndef TESTS_UNIT_API_TESTING_H
#define TESTS_UNIT_API_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"

/* {'a':1} -> tree */
static inline struct json *tree(struct arena *a, const char *text)
{
	char *copy = arena_strdup(a, text);
	struct json_error err = {0};
	struct json *v = NULL;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	if (json_parse(a, copy, strlen(copy), &v, &err) < 0)
		fail_msg("bad JSON in the test: %s at %zu: %s", err.message, err.offset, copy);
	return v;
}

/* Same value; on failure both are shown. */
static inline void expect_tree_at(struct arena *a, const struct json *got, const char *want, const char *file, int line)
{
	struct json *w = tree(a, want);
	if (!json_equal(got, w)) {
		print_error("got  %s\nwant %s\n", got ? json_to_string(a, got) : "nothing", json_to_string(a, w));
		_fail(file, line);
	}
}
#define expect_tree(a, got, want) expect_tree_at((a), (got), (want), __FILE__, __LINE__)

/* Also the order of members. */
static inline void expect_text_at(struct arena *a, const struct json *got, const char *want, const char *file, int line)
{
	char *g = json_to_string(a, got), *w = json_to_string(a, tree(a, want));
	if (strcmp(g, w) != 0) {
		print_error("got  %s\nwant %s\n", g, w);
		_fail(file, line);
	}
}
#define expect_text(a, got, want) expect_text_at((a), (got), (want), __FILE__, __LINE__)

static inline void expect_contains_at(const char *text, const char *part, const char *file, int line)
{
	if (!text || !strstr(text, part)) {
		print_error("got  %s\nwithout %s\n", text ? text : "nothing", part);
		_fail(file, line);
	}
}
#define expect_contains(text, part) expect_contains_at((text), (part), __FILE__, __LINE__)

#endif
