/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/map.h"

#define KEYS 500

/* Random sets and removals, against an array. */
static void test_against_array(void **state)
{
	(void)state;
	struct map m = MAP_INIT;
	intptr_t truth[KEYS] = {0};
	size_t n = 0;

	srand(7);
	for (int step = 1; step < 100000; step++) {
		int k = rand() % KEYS;
		char key[16];
		snprintf(key, sizeof(key), "key%d", k);
		void *was;
		if (rand() % (step / 20000 % 2 ? 4 : 2)) {
			was = map_remove(&m, key);
			n -= truth[k] != 0;
			assert_ptr_equal(was, (void *)truth[k]);
			truth[k] = 0;
		} else {
			was = map_set(&m, key, (void *)(intptr_t)step);
			n += truth[k] == 0;
			assert_ptr_equal(was, (void *)truth[k]);
			truth[k] = step;
		}
		assert_int_equal(m.n, n);
		k = rand() % KEYS;
		snprintf(key, sizeof(key), "key%d", k);
		assert_ptr_equal(map_get(&m, key), (void *)truth[k]);
		assert_int_equal(map_has(&m, key), truth[k] != 0);
	}
	size_t seen = 0;
	MAP_EACH(s, &m) {
		assert_ptr_equal(s->value, (void *)truth[atoi(s->key + 3)]);
		seen++;
	}
	assert_int_equal(seen, n);
	map_release(&m, NULL);
	assert_null(map_get(&m, "key1"));
}

static void test_empty(void **state)
{
	(void)state;
	struct map m = MAP_INIT;
	assert_null(map_get(&m, "a"));
	assert_null(map_remove(&m, "a"));
	assert_null(map_next(&m, NULL));
	assert_null(map_set(&m, "", &m));
	assert_ptr_equal(map_get(&m, ""), &m);
	map_set(&m, "null", NULL);
	assert_true(map_has(&m, "null"));
	map_release(&m, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_array), cmocka_unit_test(test_empty)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
