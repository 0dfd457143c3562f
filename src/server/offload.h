/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making an answer that takes longer than a turn of the loop may: in a worker thread, a few at a time, so that commits,
 * which use such threads too, never wait for them. The others wait in their order.
 */
#ifndef PROA_SERVER_OFFLOAD_H
#define PROA_SERVER_OFFLOAD_H

#include "base/list.h"

struct request;
struct server;

#define OFFLOADS_MAX 2		 /* of libuv's four threads */
#define OFFLOAD_BYTES_MIN 262144 /* less is made at once: about a millisecond, or two */

struct offloads {
	struct list running, waiting;
	unsigned n_running;
};

/*
 * run(arg) in a thread, with nothing but what belongs to arg; then done(arg, r) in the loop, always. r is NULL when the
 * peer has gone or the server ends; run is left out when that is known before.
 */
void offload(struct request *r, void (*run)(void *arg), void (*done)(void *arg, struct request *r), void *arg);
void offloads_init(struct offloads *o);
void offloads_release(struct offloads *o); /* what runs is finished later, and its request forgotten now */

#endif
