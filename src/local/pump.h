/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies one descriptor to another on the loop, until the first ends. What the second does not take waits in memory, at
 * most PUMP_BYTES_MAX: a reader that is slow (a pager) must not look to the container as one that is gone.
 */
#ifndef PROA_LOCAL_PUMP_H
#define PROA_LOCAL_PUMP_H

#include <stdbool.h>

#include "base/buf.h"

struct loop;
struct loop_fd;

#define PUMP_BYTES_MAX (64u << 20)

struct pump {
	struct loop *loop;
	int from, to; /* -1: closed */
	bool own_from, own_to;
	bool from_waits; /* it can be polled; a file never blocks for long */
	struct loop_fd *in, *out;
	struct buf waiting;
	bool ended; /* all is written, or nobody takes it any more */
};

/* own: closes the descriptor when it has ended. Both become non-blocking only when owned. */
void pump_start(struct pump *p, struct loop *l, int from, bool own_from, int to, bool own_to);
void pump_stop(struct pump *p); /* releases everything; also on one that was never started (zeroed) */

#endif
