/* SPDX-License-Identifier: Apache-2.0 */
/* Field sets: as two lines of FieldsV1, whose algebra must hold, and as the paths of two values. */
#include <assert.h>

#include "api/fieldset.h"
#include "api/resource.h"
#include "patch.h"

static void on_path(void *arg, const char *path)
{
	(void)arg;
	assert(path);
}

static void algebra(struct arena *a, const struct json *x, const struct json *y)
{
	struct json *all = fieldset_union(a, x, y), *rest = fieldset_minus(a, x, y);

	assert(fieldset_valid(all) && (!rest || fieldset_valid(rest)));
	fieldset_both(a, x, y);
	fieldset_each(all, on_path, NULL);
	rest = fieldset_minus(a, all, all);
	assert(!rest || !json_len(rest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *x, *y, *changed, *removed;

	if (!two_documents(&a, data, size, &x, &y))
		return 0;
	if (fieldset_valid(x) && fieldset_valid(y)) {
		algebra(&a, x, y);
		return 0;
	}
	if (!json_is(x, JSON_OBJECT) || !json_is(y, JSON_OBJECT))
		return 0;
	const struct type *pod = resource_by_plural("", "pods")->type;
	fieldset_problems(&a, pod, y);
	struct json *set = fieldset_of(&a, pod, y), *live = fieldset_complete(&a, pod, x);
	fieldset_compare(&a, pod, live, y, &changed, &removed);
	fieldset_sort(changed);
	struct json *merged = fieldset_merge(&a, pod, live, y);
	if (set)
		fieldset_prune(&a, pod, merged, set, changed);
	return 0;
}
