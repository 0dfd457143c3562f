/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual time: an implementation of io/loop.h (timers and deferred work) and of base/env.h that is stepped by the
 * test. The code under test is linked against it instead of libuv; a day passes in milliseconds and the same seed gives
 * the same run.
 */
#ifndef PROA_TESTS_SIM_H
#define PROA_TESTS_SIM_H

#include <stdint.h>

struct loop;

#define SIM_START_NS (INT64_C(1790000000) * 1000000000) /* some moment in 2026 */

/* Installs the virtual env and makes the loop. */
struct loop *sim_new(uint64_t seed);
void sim_free(struct loop *l); /* puts the real env back */
/* Runs what is due now and what that leads to, without time passing. */
void sim_settle(struct loop *l);
/* The same, with ms of time passing: each timer fires at its moment. */
void sim_run_ms(struct loop *l, int64_t ms);
uint64_t sim_random(void);

#endif
