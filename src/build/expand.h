/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables and quotes in Dockerfiles: $x, ${x}, ${x:-word}, ${x-word}, ${x:+word}, ${x+word}, ${x:?why}, ${x?why},
 * ${x#pattern}, ${x##pattern}, ${x%pattern}, ${x%%pattern}, ${x/pattern/text}, ${x//pattern/text}. 'single' quotes keep
 * everything, "double" ones and the escape character work as in a shell. Patterns have * and ?. Pure.
 */
#ifndef PROA_BUILD_EXPAND_H
#define PROA_BUILD_EXPAND_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

#define EXPAND_BYTES_MAX (1u << 20) /* what one word may become: variables that hold each other must not explode */
#define EXPAND_DEPTH_MAX 32	    /* ${a:-${b:-…}} */

struct expand_env {
	const char *(*get)(void *arg, const char *name); /* NULL: not set */
	void *arg;
	char escape;
	bool keep_quotes; /* only variables are replaced: here-documents */
};

/* One word, whatever blanks it has. 0 with *ret in a, or -EINVAL. */
int expand_word(struct arena *a, const struct expand_env *e, const char *text, const char **ret, char *err,
		size_t err_len);
/* Splits at blanks outside quotes, also at those that variables bring. NULL-terminated. */
int expand_words(struct arena *a, const struct expand_env *e, const char *text, const char *const **ret, size_t *ret_n,
		 char *err, size_t err_len);
/* Splits at blanks outside quotes, leaving everything else as it is: the words of ENV and LABEL before expansion. */
const char *const *split_words(struct arena *a, char escape, const char *text, size_t *ret_n);

#endif
