/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/loop.h without a loop: the test decides when a turn ends, a worker finishes and time passes, so that every
 * interleaving can be made to happen on purpose. One loop a process.
 */
#ifndef PROA_TESTS_FAKE_LOOP_H
#define PROA_TESTS_FAKE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop *fake_loop(void);
bool fake_turn(void);	    /* runs what is deferred; false: nothing was */
bool fake_work(void);	    /* runs the oldest work and its done; false: there is none */
void fake_work_run(void);   /* all work runs, as a worker does; its done is left for fake_work */
void fake_pass(int64_t ms); /* fires timers that are due */
void fake_wakes(void);	    /* runs what was woken before, as the next turn does */
void fake_settle(void);	    /* turns and work until nothing is left */

#endif
