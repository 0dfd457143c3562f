/* SPDX-License-Identifier: Apache-2.0 */
/* JSON patches: a line with the document, then the patch. */
#include <assert.h>

#include "api/json_patch.h"
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
	if (json_patch_apply(&a, doc, patch, &result, &err) < 0)
		assert(err.code >= 400);
	else
		assert(json_equal(result, json_clone(&a, result)));
	return 0;
}
