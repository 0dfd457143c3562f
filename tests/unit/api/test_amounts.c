/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/pod_resources.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

static struct json *parse(struct arena *a, const char *text)
{
	struct json *v;
	struct json_error bad;
	assert_int_equal(json_parse(a, text, strlen(text), &v, &bad), 0);
	return v;
}

static void adds_and_takes(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct amounts x = amounts_read(&a, parse(&a, "{\"cpu\":\"1500m\",\"memory\":\"1Gi\",\"bad\":\"x\"}"));
	struct amounts y = amounts_read(&a, parse(&a, "{\"cpu\":1,\"example.com/gpu\":\"2\"}"));
	assert_int_equal(x.n, 2);
	amounts_add(&a, &x, &y);
	amounts_sort(&x);
	assert_string_equal(json_to_string(&a, amounts_json(&a, &x)),
			    "{\"cpu\":\"2500m\",\"example.com/gpu\":\"2\",\"memory\":\"1Gi\"}");
	amounts_sub(&a, &y, &x);
	assert_string_equal(json_path_str(amounts_json(&a, &y), "cpu"), "-1500m");
	for (int i = 0; i < 40; i++) /* grows, wherever the arena stands */
		amounts_set_int(&a, &x, arena_printf(&a, "n%d", i), i);
	assert_int_equal(quantity_value(amounts_get(&x, "n39")), 39);
	assert_null(amounts_get(&x, "n40"));
}

/* Init containers run alone, sidecars beside all that follows; the pod's own word counts; overhead on top. */
static void pod_totals(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *pod = parse(
	    &a, "{\"spec\":{\"initContainers\":[{\"name\":\"side\",\"restartPolicy\":\"Always\",\"resources\":{"
		"\"requests\":"
		"{\"cpu\":\"1\"}}},{\"name\":\"init\",\"resources\":{\"requests\":{\"cpu\":\"5\"}}}],\"containers\":[{"
		"\"name\":"
		"\"a\",\"resources\":{\"requests\":{\"cpu\":\"2\",\"memory\":\"1Gi\"}}},{\"name\":\"b\",\"resources\":"
		"{\"requests\":{\"cpu\":\"1\"},\"limits\":{\"cpu\":\"3\"}}}],\"overhead\":{\"cpu\":\"500m\"},"
		"\"resources\":{\"requests\":{\"memory\":\"4Gi\"}}},\"status\":{\"containerStatuses\":[{\"name\":\"b\","
		"\"allocatedResources\":{\"cpu\":\"4\"}}]}}");
	struct amounts m = pod_amounts(&a, pod, "requests");
	assert_int_equal(quantity_milli(amounts_get(&m, "cpu")), 7500); /* 1 + 2 + 4 that it still holds, not 6 */
	assert_int_equal(quantity_value(amounts_get(&m, "memory")), 4LL << 30);
	m = pod_amounts(&a, pod, "limits");
	assert_int_equal(quantity_milli(amounts_get(&m, "cpu")), 3500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(adds_and_takes),
	    cmocka_unit_test(pod_totals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
