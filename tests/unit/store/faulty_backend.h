/* SPDX-License-Identifier: Apache-2.0 */
/* A backend whose disk is memory that outlives the store, and whose commits fail when the test says so. */
#ifndef PROA_TESTS_FAULTY_BACKEND_H
#define PROA_TESTS_FAULTY_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/backend.h"

struct faulty_row {
	uint64_t rev;
	char *key;
	struct bytes *value;
};

struct faulty_disk {
	struct {
		struct faulty_row *at;
		size_t n, cap;
	} rows;
	uint64_t compacted, ceiling;
	enum store_error fail; /* what commits return */
	unsigned commits;      /* that succeeded */
	size_t last_rows;      /* of the last one */
};

extern struct faulty_disk faulty_disk;
extern const struct store_backend_ops store_backend_faulty;
void faulty_disk_wipe(void);
bool faulty_disk_has(uint64_t rev);

#endif
