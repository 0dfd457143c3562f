/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of D-Bus as talking to a service manager takes (dbus-specification 0.43): one connection, calls one after the
 * other, and waiting for a signal. Little-endian; messages larger than BUS_MESSAGE_MAX are refused.
 */
#ifndef PROA_OCI_BUS_H
#define PROA_OCI_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define BUS_MESSAGE_MAX (1u << 20) /* replies here are object paths and error texts */

/* ---- arguments: alignment is that of the body, which begins aligned ---- */

void bus_put_u32(struct buf *b, uint32_t v);
void bus_put_u64(struct buf *b, uint64_t v);
void bus_put_string(struct buf *b, const char *s); /* also object paths */
void bus_put_signature(struct buf *b, const char *s);
/* An array of elements with this alignment: begin returns what end takes. */
size_t bus_begin_array(struct buf *b, unsigned alignment);
void bus_end_array(struct buf *b, size_t begun, unsigned alignment);
void bus_align(struct buf *b, unsigned alignment);

/* ---- the connection ---- */

struct bus {
	int fd;
	uint32_t serial;
	bool direct;
};
#define BUS_INIT                                                                                                       \
	{                                                                                                              \
		.fd = -1                                                                                               \
	}
struct bus_message {
	uint8_t type; /* 2 reply, 3 error, 4 signal */
	uint32_t reply_to;
	char member[256], error[256];
	struct buf body;
};

/* Connects and authenticates as who we are. direct: to a peer, without a bus between that wants a name. */
int bus_connect(struct bus *bus, const char *path, bool direct);
void bus_close(struct bus *bus);
/* Calls, waits for the answer. ret may be NULL. An error's text is in oci_error(). */
struct bus_call {
	const char *destination, *path, *interface, *member, *signature;
};
int bus_call(struct bus *bus, const struct bus_call *call, const struct buf *body, struct bus_message *ret);
/* Waits for the next message; until_ms is of the monotonic clock. */
int bus_next(struct bus *bus, int64_t until_ms, struct bus_message *ret);
/* The n-th string of a body of strings and object paths, after skip bytes; NULL: it isn't there. */
const char *bus_string(const struct bus_message *m, size_t skip, unsigned n);
void bus_message_release(struct bus_message *m);

#endif
