/* SPDX-License-Identifier: Apache-2.0 */
/* Accept and Content-Type headers. */
/* sources: server/negotiate.c */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "server/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	enum output_format format;
	struct output out;
	if (negotiate_output(text, size & 1, size & 2, &out, &err) < 0)
		assert(err.code == 406);
	else
		assert((out.as == AS_OBJECT) == !out.as_version);
	if (negotiate_input(text, &format, &err) < 0)
		assert(err.code == 415);
	return 0;
}
