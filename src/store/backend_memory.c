/* SPDX-License-Identifier: Apache-2.0 */
/* The backend of stores without a directory: nothing is kept, so every commit succeeds at once. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/backend.h"

struct store_backend {
	char unused;
};

static int memory_open(const char *dir, struct store_backend **ret, char *err, size_t err_len)
{
	(void)dir, (void)err, (void)err_len;
	*ret = NEW(struct store_backend);
	return 0;
}

static int memory_load(struct store_backend *b, struct store_loader *l, char *err, size_t err_len)
{
	(void)b, (void)l, (void)err, (void)err_len;
	return 0;
}

static enum store_error memory_commit(struct store_backend *b, const struct store_batch *batch, char *why,
				      size_t why_len)
{
	(void)b, (void)batch, (void)why, (void)why_len;
	return STORE_OK;
}

static bool memory_wants_maintenance(const struct store_backend *b)
{
	(void)b;
	return false;
}

static void memory_maintain(struct store_backend *b)
{
	(void)b;
}

static void memory_close(struct store_backend *b)
{
	free(b);
}

const struct store_backend_ops store_backend_memory = {
    .open = memory_open,
    .load = memory_load,
    .commit = memory_commit,
    .wants_maintenance = memory_wants_maintenance,
    .maintain = memory_maintain,
    .close = memory_close,
};
