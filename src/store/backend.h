/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes changes durable, behind the store: an ops table. A backend keeps a log of changes, one row a revision;
 * the newest row of a key is its state, older ones and those of deletions are history until they are pruned.
 * It is used by one thread at a time: by the loop's in open and close, by others in load, commit and maintain.
 */
#ifndef PROA_STORE_BACKEND_H
#define PROA_STORE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct bytes;
struct store_backend;

struct store_row {
	uint64_t rev;
	const char *key;
	struct bytes *value; /* NULL: deleted */
};

/* One commit: all of it or nothing. */
struct store_batch {
	const struct store_row *rows; /* in order of revision */
	size_t n_rows;
	const uint64_t *pruned; /* revisions of rows that are history no more */
	size_t n_pruned;
	uint64_t compacted; /* changes up to here cannot be replayed any more; 0: as before */
	uint64_t ceiling;   /* revisions up to here may have been seen by somebody, rows or not; 0: as before */
};

struct store_loader {
	/* Each row, in order of revision. 0 or negative errno to stop. The bytes are the callee's no longer than the
	 * call. */
	int (*row)(void *arg, uint64_t rev, const char *key, const void *value, size_t len, bool deleted);
	void *arg;
	uint64_t compacted, ceiling; /* out, before the first row: the last ones committed */
};

struct store_backend_ops {
	bool blocking; /* commit waits for a disk: call it in a worker thread */
	/* 0 or negative errno with a reason. -EBUSY: another store has it. */
	int (*open)(const char *dir, struct store_backend **ret, char *err, size_t err_len);
	int (*load)(struct store_backend *b, struct store_loader *l, char *err, size_t err_len);
	/* STORE_OK, STORE_FULL or STORE_IO; why (size why_len) is set on failure. */
	enum store_error (*commit)(struct store_backend *b, const struct store_batch *batch, char *why, size_t why_len);
	/* After a commit was answered, when nobody waits: true when there is housekeeping to do, which maintain does.
	 */
	bool (*wants_maintenance)(const struct store_backend *b);
	void (*maintain)(struct store_backend *b);
	/* From now on nothing that was deleted may be left readable on the disk. NULL: nothing ever is. */
	void (*wipe_deleted)(struct store_backend *b);
	void (*close)(struct store_backend *b);
};

extern const struct store_backend_ops store_backend_memory; /* forgets; dir is ignored */
extern const struct store_backend_ops store_backend_sqlite;

/* store_open with a backend of the caller's choice. */
int store_open_with(const struct store_config *c, const struct store_backend_ops *ops, struct store **ret, char *err,
		    size_t err_len);

#endif
