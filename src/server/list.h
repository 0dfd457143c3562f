/* SPDX-License-Identifier: Apache-2.0 */
/* metav1.ListOptions: the query of a list or a watch, read and checked once for both. */
#ifndef PROA_SERVER_LIST_H
#define PROA_SERVER_LIST_H

#include <stdbool.h>
#include <stdint.h>

struct field_selector;
struct label_selector;
struct request;
struct status;

enum rev_match { REV_MATCH_UNSET, REV_MATCH_EXACT, REV_MATCH_NOT_OLDER };

struct list_options {
	struct label_selector *labels; /* in the request's arena; NULL: all */
	struct field_selector *fields;
	uint64_t rev; /* 0: unset or "0" */
	enum rev_match match;
	int64_t limit;		   /* 0: none */
	const char *token;	   /* continue; NULL: none */
	int64_t seconds;	   /* timeoutSeconds; 0: unset */
	bool bookmarks;		   /* allowWatchBookmarks */
	bool initial_set, initial; /* sendInitialEvents */
};

/*
 * 400 for what cannot be read and for unknown fields in selectors, 422 with all causes for what does not go together,
 * 504 for a revision that is not reached yet.
 */
int list_options_parse(struct request *r, bool watch, struct list_options *ret, struct status *err);
/* A resourceVersion of a query: *ret is 0 when it is absent. 400, or 504 when it is not reached yet. */
int list_revision(struct request *r, uint64_t *ret, struct status *err);
/* 504 Timeout: the client knows a revision that this server has not reached. Returns -1. */
int too_large_revision(struct status *err, uint64_t asked, uint64_t current);

#endif
