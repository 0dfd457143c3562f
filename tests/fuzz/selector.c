/* SPDX-License-Identifier: Apache-2.0 */
/* Label and field selectors: a label selector's canonical text must be its own canonical text. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/resource.h"
#include "api/selector.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	_cleanup_buf_ struct buf first = BUF_INIT, second = BUF_INIT;
	struct label_selector *labels;
	struct field_selector *fields;

	if (label_selector_parse(&a, text, &labels, &err) == 0) {
		label_selector_match_json(labels, NULL);
		label_selector_format(labels, &first);
		assert(label_selector_parse(&a, buf_str(&first), &labels, &err) == 0);
		label_selector_format(labels, &second);
		assert(str_eq(buf_str(&first), buf_str(&second)));
	}
	if (field_selector_parse(&a, text, &fields, &err) == 0) {
		field_selector_check(fields, resource_by_plural("", "pods"), &err);
		field_selector_required(fields, "metadata.name");
	}
	return 0;
}
