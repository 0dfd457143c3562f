/* SPDX-License-Identifier: Apache-2.0 */
#include "faulty_backend.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "base/vec.h"

struct faulty_disk faulty_disk;

struct store_backend {
	char unused;
};

static void row_release(struct faulty_row *r)
{
	free(r->key);
	bytes_unref(r->value);
}

void faulty_disk_wipe(void)
{
	for (size_t i = 0; i < faulty_disk.rows.n; i++)
		row_release(&faulty_disk.rows.at[i]);
	VEC_RELEASE(&faulty_disk.rows);
	faulty_disk = (struct faulty_disk){0};
}

static size_t row_find(uint64_t rev)
{
	size_t low = 0, high = faulty_disk.rows.n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (faulty_disk.rows.at[mid].rev < rev)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool faulty_disk_has(uint64_t rev)
{
	size_t i = row_find(rev);
	return i < faulty_disk.rows.n && faulty_disk.rows.at[i].rev == rev;
}

static int faulty_open(const char *dir, struct store_backend **ret, char *err, size_t err_len)
{
	(void)dir, (void)err, (void)err_len;
	*ret = NEW(struct store_backend);
	return 0;
}

static int faulty_load(struct store_backend *b, struct store_loader *l, char *err, size_t err_len)
{
	(void)b, (void)err, (void)err_len;
	l->compacted = faulty_disk.compacted;
	l->ceiling = faulty_disk.ceiling;
	for (size_t i = 0; i < faulty_disk.rows.n; i++) {
		struct faulty_row *row = &faulty_disk.rows.at[i];
		int r = l->row(l->arg, row->rev, row->key, row->value ? row->value->data : NULL,
			       row->value ? row->value->len : 0, !row->value);
		if (r < 0)
			return r;
	}
	return 0;
}

static enum store_error faulty_commit(struct store_backend *b, const struct store_batch *batch, char *why,
				      size_t why_len)
{
	(void)b;
	if (faulty_disk.fail != STORE_OK) {
		snprintf(why, why_len, "injected");
		return faulty_disk.fail;
	}
	for (size_t i = 0; i < batch->n_rows; i++) {
		const struct store_row *row = &batch->rows[i];
		if (faulty_disk.rows.n && VEC_LAST(&faulty_disk.rows).rev >= row->rev)
			abort(); /* revisions of rows only grow */
		struct faulty_row copy = {row->rev, xstrdup(row->key), bytes_ref(row->value)};
		VEC_PUSH(&faulty_disk.rows, copy);
	}
	for (size_t i = 0; i < batch->n_pruned; i++) {
		if (!faulty_disk_has(batch->pruned[i]))
			abort(); /* pruned twice, or never written */
		size_t at = row_find(batch->pruned[i]);
		row_release(&faulty_disk.rows.at[at]);
		VEC_REMOVE(&faulty_disk.rows, at);
	}
	if (batch->compacted)
		faulty_disk.compacted = batch->compacted;
	if (batch->ceiling)
		faulty_disk.ceiling = batch->ceiling;
	faulty_disk.commits++;
	faulty_disk.last_rows = batch->n_rows;
	return STORE_OK;
}

static bool faulty_wants_maintenance(const struct store_backend *b)
{
	(void)b;
	return faulty_disk.commits % 7 == 0;
}

static void faulty_maintain(struct store_backend *b)
{
	(void)b;
}

static void faulty_close(struct store_backend *b)
{
	free(b);
}

const struct store_backend_ops store_backend_faulty = {
    .blocking = true,
    .open = faulty_open,
    .load = faulty_load,
    .commit = faulty_commit,
    .wants_maintenance = faulty_wants_maintenance,
    .maintain = faulty_maintain,
    .close = faulty_close,
};
