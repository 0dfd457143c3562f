/* SPDX-License-Identifier: Apache-2.0 */
/* What a server that is probed may send: any bytes, in any pieces. */
/* sources: node/grpc_health.c */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "node/grpc_health.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = size ? (size_t)data[0] + 1 : 1;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct grpc_health g;

	grpc_health_init(&g);
	for (size_t i = 0; i < size; i += step)
		grpc_health_feed(&g, data + i, step < size - i ? step : size - i, &out);
	assert(g.message.len <= GRPC_MESSAGE_MAX);
	assert(g.result != GRPC_HEALTH_FAILED || g.why);
	grpc_health_release(&g);
	return 0;
}
