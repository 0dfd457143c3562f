/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: one a process. Timers, descriptors, signals, deferred work and worker threads.
 * Implemented on libuv; nothing outside src/io and src/http includes uv.h.
 * Everything here is called from the loop's thread unless said otherwise. Callbacks record and enqueue; they may free
 * the handle they are called for.
 */
#ifndef PROA_IO_LOOP_H
#define PROA_IO_LOOP_H

#include <stdint.h>

struct loop;

int loop_new(struct loop **ret);
void loop_free(struct loop *l); /* after all handles were freed */
int loop_run(struct loop *l);	/* until loop_stop, or nothing is left to wait for */
void loop_stop(struct loop *l);
int64_t loop_now_ms(const struct loop *l); /* monotonic, as of this turn */
void loop_catch_up(struct loop *l);	   /* before timers are started in a loop that didn't run for a while */

/* ---- timers: one-shot; start again in the callback for a period ---- */
struct loop_timer;
typedef void (*loop_fn)(void *arg);
struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *arg);
void loop_timer_start(struct loop_timer *t, int64_t ms); /* restarts when running */
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL-safe */

/* ---- deferred: fn runs once at the end of this turn, before the loop waits; group commit hangs on this ---- */
struct loop_defer;
struct loop_defer *loop_defer_new(struct loop *l, loop_fn fn, void *arg);
void loop_defer_schedule(struct loop_defer *d); /* again while scheduled: no effect */
void loop_defer_free(struct loop_defer *d);

/* ---- descriptors: pidfds, netlink, inotify, pipes. Level-triggered. The descriptor stays the caller's. ---- */
#define LOOP_READABLE 1
#define LOOP_WRITABLE 2
#define LOOP_PRIORITY 4 /* POLLPRI: cgroup events, pressure stall */
struct loop_fd;
typedef void (*loop_fd_fn)(void *arg, int events);
struct loop_fd *loop_fd_new(struct loop *l, int fd, int events, loop_fd_fn fn, void *arg); /* NULL: cannot be polled */
void loop_fd_set(struct loop_fd *f, int events);
void loop_fd_free(struct loop_fd *f); /* before the descriptor is closed */

struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *l, int signum, loop_fn fn, void *arg);
void loop_signal_free(struct loop_signal *s);

/* ---- worker threads, for calls that block: run(arg) in a thread that owns its data, then done(arg) in the loop ----
 */
void loop_work(struct loop *l, loop_fn run, loop_fn done, void *arg);

/* Wakes the loop from another thread: fn(arg) runs in the loop, once for one or more wakes. */
struct loop_wake;
struct loop_wake *loop_wake_new(struct loop *l, loop_fn fn, void *arg);
void loop_wake_send(struct loop_wake *w); /* any thread */
void loop_wake_free(struct loop_wake *w);

#endif
