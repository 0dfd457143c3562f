/* SPDX-License-Identifier: Apache-2.0 */
/* YAML documents: what is accepted must be written and read again as the same value. */
/* libs: -lyaml */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/yaml.h"
#include "base/arena.h"
#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct json *v, *again;
	struct yaml_error err = {0};

	yaml_parse_all(&a, (const char *)data, size, &v, NULL);
	if (yaml_parse(&a, (const char *)data, size, NULL, NULL, &v, &err) < 0) {
		assert(err.message[0]);
		return 0;
	}
	yaml_write(&out, v);
	assert(yaml_parse(&a, buf_str(&out), out.len, NULL, NULL, &again, &err) == 0);
	assert(json_equal(v, again));
	return 0;
}
