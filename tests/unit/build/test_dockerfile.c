/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax of Dockerfiles, variables in them, and path patterns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/str.h"
#include "build/dockerfile.h"
#include "build/expand.h"
#include "build/pattern.h"

static struct dockerfile parse(const char *text)
{
	struct dockerfile d;
	char err[256] = "";
	int r = dockerfile_parse(text, strlen(text), &d, err, sizeof(err));
	if (r < 0)
		print_error("%s\n", err);
	assert_int_equal(r, 0);
	return d;
}

static void refused(const char *text, const char *why)
{
	struct dockerfile d;
	char err[256] = "";
	assert_true(dockerfile_parse(text, strlen(text), &d, err, sizeof(err)) < 0);
	if (!strstr(err, why))
		fail_msg("%s: \"%s\" is not in \"%s\"", text, why, err);
	dockerfile_release(&d);
}

static void lines(void **state)
{
	(void)state;
	struct dockerfile d = parse("\xef\xbb\xbf# comment\n\n  FROM busybox\r\n"
				    "run a && \\\n  # between\n\n  b \\ \n  c\n"
				    "CMD [\"x\", \"y z\"]\n"
				    "ENTRYPOINT [\"x\", y]\n");
	assert_int_equal(d.n, 4);
	assert_int_equal(d.at[0].op, DOCKER_FROM);
	assert_int_equal(d.at[0].line, 3);
	assert_string_equal(d.at[0].rest, "busybox");
	assert_int_equal(d.at[1].op, DOCKER_RUN);
	assert_string_equal(d.at[1].rest, "a &&   b   c");
	assert_string_equal(d.at[1].text, "RUN a &&   b   c");
	assert_int_equal(d.at[2].n_words, 2);
	assert_string_equal(d.at[2].words[1], "y z");
	assert_null(d.at[3].words); /* no JSON: the shell form */
	dockerfile_release(&d);
	d = parse("# escape=`\nFROM a\nRUN x `\n y\\\nRUN z");
	assert_int_equal(d.escape, '`');
	assert_int_equal(d.n, 3);
	assert_string_equal(d.at[1].rest, "x  y\\");
	dockerfile_release(&d);
	d = parse("# not a directive\n# escape=`\nFROM a");
	assert_int_equal(d.escape, '\\');
	dockerfile_release(&d);
	refused("", "no instructions");
	refused("FROM a\nFOO b", "line 2: unknown instruction: FOO");
	refused("FROM", "requires at least one argument");
	refused("# escape=x\nFROM a", "invalid escape token");
	refused("# escape=`\n# escape=`\nFROM a", "only one escape");
}

static void flags(void **state)
{
	(void)state;
	struct dockerfile d = parse("FROM --platform=linux/arm64 a AS b\n"
				    "COPY --from=x --chown=\"a b\" --link src dst\n"
				    "RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t -- --x\n"
				    "RUN cmd --flag\nCMD --no\n");
	assert_string_equal(dockerfile_flag(&d.at[0], "platform"), "linux/arm64");
	assert_string_equal(d.at[0].rest, "a AS b");
	assert_string_equal(dockerfile_flag(&d.at[1], "chown"), "a b");
	assert_string_equal(dockerfile_flag(&d.at[1], "link"), "");
	assert_null(dockerfile_flag(&d.at[1], "chmod"));
	assert_string_equal(d.at[1].rest, "src dst");
	assert_int_equal(d.at[2].n_flags, 2);
	assert_string_equal(d.at[2].rest, "--x");
	assert_int_equal(d.at[3].n_flags, 0);
	assert_string_equal(d.at[4].rest, "--no");
	dockerfile_release(&d);
	refused("FROM a\nCOPY --from=\"x b c", "quote");
}

static void heredocs(void **state)
{
	(void)state;
	struct dockerfile d = parse("FROM a\n"
				    "RUN <<EOF\na # no comment\n\n  b \\\nEOF\n"
				    "COPY <<-\"A\" <<B /x/\n\tone\n\tA\ntwo\nB\n"
				    "RUN cat <<x > /y\n1\nx\n"
				    "RUN echo '<<no' \"<<no\" a<<no <<<no\n"
				    "ENV a=<<b\n");
	assert_int_equal(d.n, 6);
	assert_int_equal(d.at[1].n_heredocs, 1);
	assert_string_equal(d.at[1].heredocs[0].content, "a # no comment\n\n  b \\\n");
	assert_true(d.at[1].heredocs[0].expand);
	assert_int_equal(d.at[2].n_heredocs, 2);
	assert_string_equal(d.at[2].heredocs[0].content, "one\n");
	assert_false(d.at[2].heredocs[0].expand);
	assert_string_equal(d.at[2].heredocs[1].name, "B");
	assert_string_equal(d.at[3].rest, "cat <<x > /y");
	assert_int_equal(d.at[4].n_heredocs, 0);
	assert_int_equal(d.at[5].n_heredocs, 0);
	dockerfile_release(&d);
	refused("FROM a\nRUN <<EOF\nx\n", "unterminated heredoc");
}

/* ---- variables ---- */

static const char *get(void *arg, const char *name)
{
	(void)arg;
	return str_eq(name, "a")   ? "one"
	       : str_eq(name, "e") ? ""
	       : str_eq(name, "s") ? "x y"
	       : str_eq(name, "p") ? "/usr/local/bin"
				   : NULL;
}

static void variables(void **state)
{
	(void)state;
	static const struct {
		const char *text, *wanted; /* NULL: refused */
	} cases[] = {
	    {"$a", "one"},
	    {"${a}b", "oneb"},
	    {"$ab", ""},
	    {"$", "$"},
	    {"a$", "a$"},
	    {"\\$a", "$a"},
	    {"'$a'", "$a"},
	    {"\"$a\"", "one"},
	    {"\"\\\"\\$\\x\"", "\"$\\x"},
	    {"a\\ b", "a b"},
	    {"${n:-d}", "d"},
	    {"${e:-d}", "d"},
	    {"${e-d}", ""},
	    {"${n-$a}", "one"},
	    {"${n:-${m:-deep}}", "deep"},
	    {"${a:+y}", "y"},
	    {"${e:+y}", ""},
	    {"${e+y}", "y"},
	    {"${a:?no}", "one"},
	    {"${n:?must be set}", NULL},
	    {"${p#*/}", "usr/local/bin"},
	    {"${p##*/}", "bin"},
	    {"${p%/*}", "/usr/local"},
	    {"${p%%/*}", ""},
	    {"${p/local/x}", "/usr/x/bin"},
	    {"${p//\\//_}", "_usr_local_bin"},
	    {"${a", NULL},
	    {"${}", NULL},
	    {"${a!b}", NULL},
	    {"'x", NULL},
	    {"\"x", NULL},
	    {"$s", "x y"},
	};
	struct expand_env e = {.get = get, .escape = '\\'};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		const char *out = NULL;
		char err[128];
		int r = expand_word(&a, &e, cases[i].text, &out, err, sizeof(err));
		if (!cases[i].wanted && r == 0)
			fail_msg("%s was accepted: %s", cases[i].text, out);
		if (cases[i].wanted && (r < 0 || !str_eq(out, cases[i].wanted)))
			fail_msg("%s: %s instead of %s", cases[i].text, r < 0 ? err : out, cases[i].wanted);
	}
}

static void words(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct expand_env e = {.get = get, .escape = '\\'};
	const char *const *w;
	size_t n;
	char err[128];
	assert_int_equal(expand_words(&a, &e, " $s \"$s\" '' b\\ c ", &w, &n, err, sizeof(err)), 0);
	assert_int_equal(n, 5);
	assert_string_equal(w[0], "x");
	assert_string_equal(w[1], "y");
	assert_string_equal(w[2], "x y");
	assert_string_equal(w[3], "");
	assert_string_equal(w[4], "b c");
	w = split_words(&a, '\\', "a='b c' \"d e\"=f g\\ h=\"i\\\" j\"", &n);
	assert_int_equal(n, 3);
	assert_string_equal(w[0], "a='b c'");
	assert_string_equal(w[2], "g\\ h=\"i\\\" j\"");
}

/* ---- patterns ---- */

static void patterns(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *path;
		bool matches;
	} cases[] = {
	    {"*.md", "a.md", true},	 {"*.md", "x/a.md", false},
	    {"**/*.md", "a.md", true},	 {"**/*.md", "x/y/a.md", true},
	    {"a/**", "a/b/c", true},	 {"a/**/d", "a/d", true},
	    {"a/**/d", "a/b/c/d", true}, {"a?c", "abc", true},
	    {"a?c", "a/c", false},	 {"[a-c]x", "bx", true},
	    {"[^a-c]x", "bx", false},	 {"[^a-c]x", "dx", true},
	    {"\\*", "*", true},		 {"\\*", "a", false},
	    {"*a*b*", "xxaxxb", true},	 {"*a*b*", "xxbxxa", false},
	    {"[a", "a", false},		 {"**", "a/b", true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (pattern_match(cases[i].pattern, cases[i].path) != cases[i].matches)
			fail_msg("%s %s", cases[i].pattern, cases[i].path);
}

static void ignore_files(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct patterns p;
	patterns_parse(&a, "# comment\n\n  /dist/ \n*.log\n!keep.log\nnode_modules\n!node_modules/x\n**/tmp\n", &p);
	static const struct {
		const char *path;
		bool excluded;
	} cases[] = {
	    {"dist", true},
	    {"dist/a/b", true},
	    {"src/dist", false},
	    {"a.log", true},
	    {"x/a.log", false},
	    {"keep.log", false},
	    {"node_modules/y", true},
	    {"node_modules/x", false},
	    {"node_modules/x/z", false},
	    {"a/b/tmp/c", true},
	    {"tmp", true},
	    {"src/main.c", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (patterns_exclude(&p, cases[i].path) != cases[i].excluded)
			fail_msg("%s", cases[i].path);
	assert_string_equal(path_clean(&a, "/a//b/./c/../d/"), "a/b/d");
	assert_string_equal(path_clean(&a, "../../x"), "x");
	assert_string_equal(path_clean(&a, "./"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines),	    cmocka_unit_test(flags), cmocka_unit_test(heredocs),
	    cmocka_unit_test(variables),    cmocka_unit_test(words), cmocka_unit_test(patterns),
	    cmocka_unit_test(ignore_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
