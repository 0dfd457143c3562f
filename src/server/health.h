/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROA_SERVER_HEALTH_H
#define PROA_SERVER_HEALTH_H

#include <stdbool.h>

struct request;

/* Answers "healthz", "livez" or "readyz"; rest is "" or "/NAME". false: there is no such check. */
bool handle_health(struct request *r, const char *endpoint, const char *rest);

#endif
