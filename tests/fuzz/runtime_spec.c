/* SPDX-License-Identifier: Apache-2.0 */
/* What a shim parses: specs, and the state file; what was decoded must encode to something that decodes to the same. */
/* sources: runtime/spec_json.c runtime/state.c */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "runtime/spec_json.h"
#include "runtime/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *v;
	struct json_error err;
	struct container_spec s, again;
	struct pod_spec p;
	struct container_status st;
	struct pod_state state;
	state_parse((const char *)data, size, &state);
	if (json_parse(&a, (const char *)data, size, &v, &err) < 0)
		return 0;
	pod_spec_from_json(&a, v, &p);
	container_status_from_json(&a, v, &st);
	if (container_spec_from_json(&a, v, &s) < 0)
		return 0;
	struct json *one = container_spec_to_json(&a, &s);
	if (container_spec_from_json(&a, one, &again) < 0)
		abort();
	if (!json_equal(one, container_spec_to_json(&a, &again)))
		abort();
	return 0;
}
