/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text: what is accepted must be written and read again as the same value. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

static void on_duplicate(void *arg, const char *path)
{
	assert(path);
	++*(size_t *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct json *v, *again;
	struct json_error err;
	size_t duplicates = 0;

	if (json_parse_report(&a, (const char *)data, size, on_duplicate, &duplicates, &v, &err) < 0) {
		assert(err.offset <= size);
		return 0;
	}
	json_write(&out, v);
	assert(json_parse(&a, buf_str(&out), out.len, &again, NULL) == 0);
	assert(json_equal(v, again));
	json_write_pretty(&out, json_clone(&a, v));
	return 0;
}
