/* SPDX-License-Identifier: Apache-2.0 */
/* Strategic and plain merge patches: a line with a pod, then the patch. */
#include <assert.h>

#include "api/merge_patch.h"
#include "api/resource.h"
#include "api/strategic_patch.h"
#include "base/status.h"
#include "patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	struct json *doc, *patch, *result;

	if (!two_documents(&a, data, size, &doc, &patch))
		return 0;
	if (json_is(doc, JSON_OBJECT) && json_is(patch, JSON_OBJECT)) {
		/* What makes one of the other, applied, gives the other, unless nulls are in it. */
		struct json *diff = merge_patch_create(&a, doc, patch);
		merge_patch_apply(&a, json_clone(&a, doc), diff);
	}
	merge_patch_apply(&a, json_clone(&a, doc), patch);
	const struct type *pod = resource_by_plural("", "pods")->type;
	if (strategic_patch_apply(&a, pod, doc, patch, &result, &err) < 0)
		assert(err.code >= 400);
	else
		assert(json_equal(result, json_clone(&a, result)));
	return 0;
}
