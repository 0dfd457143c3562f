/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfiles: lines, flags, here-documents, words and variables, ignore files. */
/* sources: build/dockerfile.c build/expand.c build/pattern.c */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "build/dockerfile.h"
#include "build/expand.h"
#include "build/pattern.h"

static const char *get(void *arg, const char *name)
{
	(void)arg;
	return *name == 'u' ? NULL : *name == 'e' ? "" : "a b/c*";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct expand_env e = {.get = get, .escape = '\\'};
	struct dockerfile d;
	struct patterns p;
	char err[256];
	const char *const *words, *word;
	size_t n;

	if (dockerfile_parse((const char *)data, size, &d, err, sizeof(err)) == 0)
		for (size_t i = 0; i < d.n && i < 100; i++) {
			assert(*d.at[i].rest);
			expand_words(&a, &e, d.at[i].rest, &words, &n, err, sizeof(err));
			split_words(&a, d.escape, d.at[i].rest, &n);
		}
	dockerfile_release(&d);
	if (size > 2000)
		return 0;
	expand_word(&a, &e, text, &word, err, sizeof(err));
	patterns_parse(&a, text, &p);
	for (size_t i = 0; i < p.n && i < 50; i++)
		patterns_exclude(&p, p.at[i].text);
	return 0;
}
