/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API priority and fairness (KEP-1040): which requests may run now. Every request is classified by the FlowSchemas in
 * the store, in order of matchingPrecedence, into a PriorityLevelConfiguration and a flow. A level has a share of the
 * server's seats; it may borrow what others lend. Requests without a seat wait in their level's queues, dealt by
 * shuffle sharding, served in fair order, or are refused with 429.
 *
 * One event loop serves everything, so a seat alone would not keep a flood of cheap requests from holding up others: a
 * request that has its seat also waits for a later turn when the requests run in this turn took FLOW_TURN_US together;
 * levels then take turns.
 *
 * Long-running requests (exec, attach, port-forward, log, proxy) are not admitted here, as upstream; watches are, until
 * they have begun.
 */
#ifndef PROA_SERVER_FLOW_H
#define PROA_SERVER_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct buf;
struct flow;
struct flow_level;
struct flow_schema;
struct loop;
struct store;
struct user;

#define FLOW_SEATS 600		     /* upstream's defaults: 400 reading and 200 writing requests */
#define FLOW_WAIT_MS_MAX 15000	     /* in a queue: a quarter of upstream's request timeout */
#define FLOW_TURN_US 4000	     /* run in one turn before others get in */
#define FLOW_LIST_SEATS_MAX 10	     /* of one list, as upstream */
#define FLOW_LIST_OBJECTS_A_SEAT 100 /* likewise */

/* What is looked at of a request. Strings are "" when absent, never NULL; borrowed during flow_admit. */
struct flow_request {
	const struct user *user;
	const char *verb, *group, *resource, *ns; /* resource: "pods", or "pods/status" */
	const char *path;			  /* when it is for no resource */
	bool resource_request;
	unsigned seats; /* 1, more for lists */
};

enum flow_answer {
	FLOW_RUN,     /* now; flow_done when it is answered */
	FLOW_WAIT,    /* run() or refuse() follows in a later turn, unless flow_done comes first */
	FLOW_REFUSED, /* 429 */
};

/* Belongs to its request; zeroed before the first use. */
struct flow_ticket {
	struct list link; /* in a queue, or among the level's ready ones */
	struct flow *flow;
	struct flow_level *level;	    /* held */
	const char *schema_uid, *level_uid; /* for the response's headers; valid until the loop turns */
	struct flow_queue *queue;
	unsigned seats;
	uint8_t state;
	int64_t deadline_ms;
	void (*run)(void *arg);
	void (*refuse)(void *arg);
	void *arg;
};

struct flow *flow_new(struct loop *l, struct store *s);
void flow_free(struct flow *f); /* NULL-safe; no ticket may be under way */

/* run, refuse and arg of the ticket are set by the caller. */
enum flow_answer flow_admit(struct flow *f, const struct flow_request *r, struct flow_ticket *t);
/* Running the request that was admitted last, or is exempt, took so long: counts against this turn. */
void flow_spent(struct flow *f, int64_t ns);
/* The request is answered or has gone: its seat or place is free. Any number of times, in any state. */
void flow_done(struct flow_ticket *t);

/* Upstream's apiserver_flowcontrol_* metrics in the text format. */
void flow_metrics(struct flow *f, struct buf *out);

#endif
