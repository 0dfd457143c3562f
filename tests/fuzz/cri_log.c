/* SPDX-License-Identifier: Apache-2.0 */
/* Log records as a container's files have them, and the search for their last lines. */
/* sources: node/cri_log.c http/query.c */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "node/cri_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct cri_log_line l;
	int64_t lines, n = size ? data[0] : 0;
	size_t at;

	if (cri_log_parse(text, size, &l) == 0)
		assert(l.text >= text && l.text + l.text_len == text + size);
	at = cri_log_tail(text, size, n, &lines);
	assert(at <= size && lines >= 0 && lines <= n);
	assert(at == 0 || at == size || text[at - 1] == '\n');
	return 0;
}
