/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exec or attach: a process's streams on one side, a client's channels on the other. How the channels travel is the
 * transport's business (exec_websocket.c, exec_spdy.c); it feeds what the client sends and is given what the process
 * says.
 *
 * The session ends when the process has ended and everything was sent, with a Status on the error channel; or when the
 * client goes, which kills an exec'd process and detaches from an attached one.
 */
#ifndef PROA_NODE_EXEC_SESSION_H
#define PROA_NODE_EXEC_SESSION_H

#include <stdbool.h>
#include <stddef.h>

struct exec_session;
struct kubelet_api;
struct pod_container;

/* Channel numbers of the channel.k8s.io protocols. */
enum exec_channel { EXEC_STDIN, EXEC_STDOUT, EXEC_STDERR, EXEC_ERROR, EXEC_RESIZE };

#define EXEC_QUEUE_BYTES (256u << 10) /* waiting for the client before the process is no longer read */
#define EXEC_ARGS_MAX 1024
#define EXEC_ARGS_BYTES_MAX (128u << 10) /* MAX_ARG_STRLEN: the kernel takes no longer argument */

struct exec_transport_ops {
	void (*send)(void *transport, enum exec_channel channel, const char *data, size_t len);
	size_t (*queued)(void *transport);
	/* No more output: close in good order. The session is gone when this returns. */
	void (*finish)(void *transport);
	/* The process reads again: take more from the client. */
	void (*resume)(void *transport);
	void (*abort)(void *transport); /* the agent goes: drop the connection. The session is gone, too */
};

struct exec_options {
	char **args; /* NULL-terminated; of an exec */
	bool attach, stdin_, stdout_, stderr_, tty;
};
void exec_options_release(struct exec_options *o);
/* From the query; 0, or -EINVAL with a message for the client. */
int exec_options_parse(const char *query, bool attach, struct exec_options *ret, const char **ret_why);

/* Takes o. The transport must be ready to send; nothing is sent before this returns. */
struct exec_session *exec_session_start(struct kubelet_api *k, struct pod_container *pc, struct exec_options *o,
					const struct exec_transport_ops *ops, void *transport);
/* From the client. False: stop taking more until resume is called. */
bool exec_session_input(struct exec_session *s, const char *data, size_t len);
void exec_session_input_end(struct exec_session *s);
/* {"Width":80,"Height":24}; anything else is ignored. */
void exec_session_resize(struct exec_session *s, const char *json, size_t len);
void exec_session_drained(struct exec_session *s); /* the transport's queue is short again */
void exec_session_gone(struct exec_session *s);	   /* the client has gone; s is no more */

#endif
