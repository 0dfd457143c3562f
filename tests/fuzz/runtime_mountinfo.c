/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_layout_parse over any text. */
/* sources: runtime/cgroup.c runtime/cgroup_v1.c runtime/cgroup_v2.c */
#include <stdlib.h>

#include "base/mem.h"
#include "runtime/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cgroup_layout l;
	char *text = xstrndup((const char *)data, size);
	int n = cgroup_layout_parse(text, &l);
	if (n > CGROUP_HIERARCHIES_MAX || n == 0)
		abort();
	free(text);
	return 0;
}
