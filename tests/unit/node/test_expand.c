/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "node/expand.h"

static const char *lookup(void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "A") == 0)
		return "1";
	return strcmp(name, "REF") == 0 ? "$(A)" : NULL;
}

static void references(void **state)
{
	static const struct {
		const char *in, *out, *missing;
	} cases[] = {
	    {"", "", NULL},
	    {"x$(A)y", "x1y", NULL},
	    {"$(A)$(A)", "11", NULL},
	    {"$(NO)", "$(NO)", "NO"},
	    {"$$(A)", "$(A)", NULL},
	    {"$$$(A)", "$1", NULL},
	    {"$$$$(A)", "$$(A)", NULL},
	    {"$(REF)", "$(A)", NULL}, /* what was replaced isn't looked at again */
	    {"$(A", "$(A", NULL},
	    {"$A", "$A", NULL},
	    {"$", "$", NULL},
	    {"a$", "a$", NULL},
	    {"$()", "$()", ""},
	};
	_cleanup_arena_ struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *missing;

		assert_string_equal(expand(&a, cases[i].in, lookup, NULL, &missing), cases[i].out);
		if (cases[i].missing)
			assert_string_equal(missing, cases[i].missing);
		else
			assert_null(missing);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(references)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
