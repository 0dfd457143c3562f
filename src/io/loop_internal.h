/* SPDX-License-Identifier: Apache-2.0 */
/* What src/io shares inside the room: libuv's loop and the scratch memory that all streams of a loop read into. */
#ifndef PROA_IO_LOOP_INTERNAL_H
#define PROA_IO_LOOP_INTERNAL_H

#include <uv.h>

#include "base/buf.h"
#include "base/list.h"

struct loop_defer;

#define LOOP_SCRATCH_SIZE (64 * 1024) /* one read of a socket; shared, so that an idle stream owns no read buffer */

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare; /* runs the deferred work; referenced only while there is some */
	uv_idle_t idle;	      /* active when deferred work is left over: keeps the next wait at zero */
	struct list deferred;
	unsigned works;		   /* loop_work calls whose done() has not run */
	struct list streams_dirty; /* streams with something to flush at the end of this turn */
	struct loop_defer *streams_flush;
	struct buf cipher_scratch; /* what one flush encrypts */
	char *read_scratch;
	char *plain_scratch; /* decrypted bytes; contents live until on_data returns */
};

char *loop_read_scratch(struct loop *l);
char *loop_plain_scratch(struct loop *l);

#endif
