/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server counts, under upstream's metric names, in Prometheus' text format. A series is made when it is first
 * counted; names of objects and users are no labels, so their number is bounded by what the API offers, and by
 * METRIC_SERIES_MAX against clients that invent resources.
 */
#ifndef PROA_SERVER_METRICS_H
#define PROA_SERVER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"

struct buf;
struct request;
struct server;

#define METRIC_SERIES_MAX 2048 /* some 70 resources × 9 verbs × 2 scopes are 1,260; the others are counted together */

struct metrics {
	struct map series; /* by labels → struct metric_series */
	struct buf labels; /* of the request that is counted now */
	uint64_t authenticated, unauthenticated;
	int64_t started_s;
};

void metrics_init(struct metrics *m);
void metrics_release(struct metrics *m);
/* A request is answered with this code; called once, before it may be gone. */
void metrics_request(struct server *s, const struct request *r, int code);
void metrics_write(struct server *s, struct buf *out);

#endif
