/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a controller has asked for and not yet seen in its cache, so that it doesn't ask again: a number of creations,
 * and the uids of deletions. While expectations of a key are open its controller doesn't create or delete more. They
 * lapse after EXPECTATIONS_MS_MAX, so that a lost event can't stop a controller for ever.
 */
#ifndef PROA_CONTROLLERS_EXPECTATIONS_H
#define PROA_CONTROLLERS_EXPECTATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"

#define EXPECTATIONS_MS_MAX 300000 /* as upstream's ExpectationsTimeout */

struct expectations {
	struct map by_key;
};

void expectations_release(struct expectations *e);
bool expectations_met(const struct expectations *e, const char *key, int64_t now_ms);
void expectations_forget(struct expectations *e, const char *key);
/* n more creations are under way. */
void expect_creations(struct expectations *e, const char *key, unsigned n, int64_t now_ms);
/* One was seen, or has failed. Unknown keys are ignored. */
void expectation_created(struct expectations *e, const char *key);
void expect_deletion(struct expectations *e, const char *key, const char *uid, int64_t now_ms);
void expectation_deleted(struct expectations *e, const char *key, const char *uid);

#endif
