/* SPDX-License-Identifier: Apache-2.0 */
/* A packet between agent and shim, as it comes from the socket: header, body, descriptors that are not there. */
/* sources: runtime/frame.c */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_conn c;
	struct frame f;
	int ends[2];

	if (size > 60000 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
		return 0;
	frame_conn_init(&c, ends[0]);
	if (send(ends[1], data, size, MSG_NOSIGNAL) == (ssize_t)size && frame_receive(&c, &f) > 0) {
		assert(f.body && strlen(f.body) <= f.len && f.len <= FRAME_BODY_MAX && f.n_fds <= FRAME_FDS_MAX);
		frame_release(&f);
	}
	frame_conn_release(&c);
	close(ends[1]);
	return 0;
}
