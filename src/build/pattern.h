/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path patterns of .dockerignore, of COPY's sources and --exclude: components with *, ?, [a-z], [^a-z] and \x, and **
 * for any number of components. Paths and patterns are relative, with slashes. Pure.
 */
#ifndef PROA_BUILD_PATTERN_H
#define PROA_BUILD_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

#define PATTERN_PARTS_MAX 256 /* components: a path has at most IMAGE_DEPTH_MAX */

struct patterns {
	struct pattern {
		const char *text;
		bool keep; /* "!text": what matches is not excluded after all */
	} * at;
	size_t n;
	bool any_keep;
};

/* One component of a path against one of a pattern. */
bool pattern_match_part(const char *pattern, size_t pattern_len, const char *s, size_t len);
bool pattern_match(const char *pattern, const char *path);
bool pattern_has_wildcard(const char *pattern);

/* The lines of a .dockerignore: #, blank lines, "!", leading slashes and "./" as documented. */
void patterns_parse(struct arena *a, const char *text, struct patterns *ret);
void patterns_add(struct arena *a, struct patterns *p, const char *line);
/* The last pattern that matches the path, or a directory it is in, decides. */
bool patterns_exclude(const struct patterns *p, const char *path);

/* "a//b/./c/../d" -> "a/b/d"; leading slashes and ".." beyond the root go. "" is the root itself. */
char *path_clean(struct arena *a, const char *path);

#endif
