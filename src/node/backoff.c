/* SPDX-License-Identifier: Apache-2.0 */
#include "node/backoff.h"

#include <stdio.h>

#include "base/macros.h"

static bool forgotten(const struct backoff *b, int64_t failed_ms)
{
	return b->delay_ms == 0 || failed_ms - b->updated_ms > BACKOFF_MS_FORGET;
}

int64_t backoff_wait(const struct backoff *b, int64_t failed_ms, int64_t now_ms)
{
	int64_t wait = failed_ms + b->delay_ms - now_ms;

	return forgotten(b, failed_ms) || wait < 0 ? 0 : wait;
}

void backoff_raise(struct backoff *b, int64_t failed_ms, int64_t now_ms)
{
	if (forgotten(b, failed_ms))
		b->delay_ms = BACKOFF_MS_FIRST;
	else
		b->delay_ms = MIN_OF(b->delay_ms * 2, BACKOFF_MS_MAX);
	b->updated_ms = now_ms;
}

char *backoff_text(int64_t ms, char out[BACKOFF_TEXT_MAX])
{
	int s = (int)(ms / 1000);

	if (s >= 60)
		snprintf(out, BACKOFF_TEXT_MAX, "%dm%ds", s / 60, s % 60);
	else
		snprintf(out, BACKOFF_TEXT_MAX, "%ds", s);
	return out;
}
