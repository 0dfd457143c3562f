/* SPDX-License-Identifier: Apache-2.0 */
/* The query of pods/log (PodLogOptions): judged here, so that a node agent only sees what makes sense. */
#ifndef PROA_SERVER_LOG_OPTIONS_H
#define PROA_SERVER_LOG_OPTIONS_H

struct query;
struct status;

/* -1: 400 for a value that is none of its type, 422 for one that is out of bounds or contradicts another. */
int log_options_check(const struct query *q, const char *pod, struct status *err);

#endif
