/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a bundle: whatever passes the checks has lists of strings where they are read as such. */
/* sources: oci/config.c oci/error.c */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"
#include "oci/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json_error bad;
	struct json *v;
	size_t n;

	if (json_parse(&a, (const char *)data, size, &v, &bad) < 0)
		return 0;
	if (config_check(v) == 0) {
		const char **args = config_strings(&a, json_path(v, "process.args"), &n);
		for (size_t i = 0; i < n; i++)
			assert(args[i]);
		assert(!args[n]);
	}
	config_check_process(v);
	config_check_resources(v);
	config_u64(json_path(v, "linux.resources.pids.limit"), 1);
	return 0;
}
