/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delay between tries that go wrong: restarts of a container that ends, pulls of an image that isn't there.
 * 10 s, doubled at each try up to 5 min, and forgotten after 10 min (twice the maximum) without one, as upstream.
 * The first try after a failure is free: a container that ends for the first time is started again at once.
 */
#ifndef PROA_NODE_BACKOFF_H
#define PROA_NODE_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MS_FIRST 10000
#define BACKOFF_MS_MAX 300000
#define BACKOFF_MS_FORGET (2 * BACKOFF_MS_MAX)

struct backoff {
	int64_t delay_ms;   /* 0: nothing went wrong lately */
	int64_t updated_ms; /* when delay_ms was last raised */
};

/* How long to wait from now for a try, when the failure was at failed_ms; 0: it may be made at once. */
int64_t backoff_wait(const struct backoff *b, int64_t failed_ms, int64_t now_ms);
/* A try is being made: the next failure waits longer. */
void backoff_raise(struct backoff *b, int64_t failed_ms, int64_t now_ms);
/* "10s", "1m20s", "5m0s": as durations appear in messages. */
#define BACKOFF_TEXT_MAX 24
char *backoff_text(int64_t ms, char out[BACKOFF_TEXT_MAX]);

#endif
