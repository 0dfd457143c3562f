/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What agent and shim say to each other, over a SOCK_SEQPACKET Unix socket: one frame a packet, a fixed header, a JSON
 * body, and descriptors beside it. Bodies above FRAME_INLINE_MAX travel in a memfd, the last of the descriptors.
 *
 *   request   agent -> shim   id chosen by the agent, answered by exactly one REPLY with that id (EXEC: and one EXITED)
 *   event     shim -> agent   id 0; CONTAINER carries a container's whole status, so losing earlier ones is harmless
 *
 * Sending never blocks: what the socket doesn't take waits in a queue of FRAME_QUEUE_MAX frames; a peer that lets it
 * fill is disconnected and learns the state anew by HELLO when it comes back.
 */
#ifndef PROA_RUNTIME_FRAME_H
#define PROA_RUNTIME_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define FRAME_MAGIC 0x31617270u /* "pra1": the protocol's version; a change that older ones cannot skip changes it */
/*
 * What requests and members there are. Shims are as old as their pods, agents come and go: HELLO tells each the other's
 * number ({"protocol": n}, absent: 1), and either may be the older one. Who is asked for something it does not know
 * says so (501) and does nothing; an event or a reply's member that is not known is skipped.
 *   1  ended the connection at a type it did not know, so it is never sent one
 *   2  answers 501 to it, and to a spec with a member that it does not know
 */
#ifndef FRAME_PROTOCOL
#define FRAME_PROTOCOL 2
#endif
#define FRAME_INLINE_MAX (32u << 10) /* well below the socket's send buffer; most container specs are 2-5 kB */
#define FRAME_BODY_MAX (4u << 20)    /* an object is at most 1.5 MiB, and JSON escapes can double it */
#define FRAME_FDS_MAX 64	     /* subPath mounts and stdio; the kernel allows 253 a packet */
#define FRAME_QUEUE_MAX 512	     /* states of a pod's containers and exec'd processes; bounds a stalled peer */

enum frame_type {
	FRAME_REPLY = 1,
	FRAME_CONTAINER, /* event: container status */
	FRAME_EXITED,	 /* an exec'd process ended: {"exitCode": n} */
	FRAME_HELLO,
	FRAME_POD_CREATE,
	FRAME_POD_UPDATE,
	FRAME_POD_REMOVE,
	FRAME_CREATE,
	FRAME_START,
	FRAME_SIGNAL,
	FRAME_STOP,
	FRAME_REMOVE,
	FRAME_UPDATE,
	FRAME_RESIZE,
	FRAME_EXEC,
	FRAME_EXEC_KILL,
	FRAME_ATTACH,
	FRAME_REOPEN_LOG,
	FRAME_TYPE_LAST_1 = FRAME_REOPEN_LOG, /* the last that protocol 1 had */
};

struct frame_header {
	uint32_t magic;
	uint16_t type;
	uint16_t n_fds; /* beside the memfd */
	uint64_t id;
	uint32_t len; /* of the body */
	uint32_t in_memfd;
};

struct frame {
	int type;
	uint64_t id;
	char *body; /* malloc'd, NUL-terminated */
	size_t len;
	int fds[FRAME_FDS_MAX]; /* the receiver's; frame_release closes those still >= 0 */
	int n_fds;
};

struct frame_conn {
	int fd; /* non-blocking */
	struct list queue;
	int queued;
};

void frame_conn_init(struct frame_conn *c, int fd);
void frame_conn_release(struct frame_conn *c); /* closes fd */
/* Duplicates fds when it has to queue them. -ENOBUFS: the queue is full, -EPIPE and others: the connection is dead. */
int frame_send(struct frame_conn *c, int type, uint64_t id, const char *body, size_t len, const int *fds, int n_fds);
int frame_flush(struct frame_conn *c); /* when writable */
static inline bool frame_pending(const struct frame_conn *c)
{
	return c->queued > 0;
}
/* 1: a frame; 0: nothing to read now; -EPIPE: the peer closed; -EBADMSG: not our protocol. */
int frame_receive(struct frame_conn *c, struct frame *ret);
void frame_release(struct frame *f);
/* Whether a peer of that protocol can be sent this type: it answers, if only that it does not know it. */
bool frame_known(int type, int protocol);
/* The pure check of a header that came with `len` bytes and n_fds descriptors: 0 or -EBADMSG. */
int frame_check(const struct frame_header *h, size_t len, int n_fds);

#endif
