/* SPDX-License-Identifier: Apache-2.0 */
/* What list and watch share: their options. */
#ifndef PROA_SERVER_LIST_H
#define PROA_SERVER_LIST_H

#include <stdint.h>

struct field_selector;
struct label_selector;
struct request;
struct status;

/* labelSelector and fieldSelector of the query, in r's arena; NULL: everything. -1 with 400. */
int list_selectors(struct request *r, struct label_selector **ret_labels, struct field_selector **ret_fields,
		   struct status *err);
/* 504 Timeout: the client knows a revision that this server has not reached. Returns -1. */
int too_large_revision(struct status *err, uint64_t asked, uint64_t current);

#endif
