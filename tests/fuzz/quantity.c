/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities: the canonical text must be read as the same amount. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/quantity.h"
#include "base/macros.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	struct quantity q, again;
	char canonical[QUANTITY_TEXT_MAX];

	if (quantity_parse(text, &q) < 0)
		return 0;
	assert(quantity_parse(quantity_format(&q, canonical), &again) == 0);
	assert(quantity_compare(&q, &again) == 0);
	quantity_value(&q);
	quantity_milli(&q);
	quantity_add(&q, &again);
	quantity_sub(&q, &again);
	return 0;
}
