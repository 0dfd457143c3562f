/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by flow.c (seats and queues) and flow_config.c (what the store says). */
#ifndef PROA_SERVER_FLOW_INTERNAL_H
#define PROA_SERVER_FLOW_INTERNAL_H

#include "base/arena.h"
#include "base/vec.h"
#include "server/flow.h"

struct store_watch;

struct flow_queue {
	struct list waiting; /* of flow_ticket.link */
	struct list link;    /* in the level's list of queues with tickets */
	unsigned n;
	unsigned seats;		/* of the tickets waiting and running: the shortest of a hand is chosen */
	uint64_t virtual_start; /* of its first ticket: start-time fair queueing, in seats served by the level */
};

/*
 * A level lives as long as its object, and beyond that until its last ticket is done. `exempt` ones have no seats to
 * count.
 */
struct flow_level {
	char *name, *uid;
	bool exempt, rejects;
	bool stale; /* its object is gone, or was not seen yet by this reading of the store */
	unsigned shares;
	unsigned nominal, lendable, borrowable; /* seats; borrowable: of others, FLOW_SEATS when unlimited */
	unsigned in_use;			/* seats */
	unsigned n_running, n_waiting, refs;
	unsigned n_queues, hand, queue_length;
	struct flow_queue *queues;
	struct list active; /* queues with tickets */
	struct list ready;  /* tickets with a seat, waiting for a turn */
	uint64_t virtual_now;
	uint64_t n_dispatched, n_rejected_full, n_rejected_time, n_rejected_limit;
};

struct flow_schema {
	const char *name, *uid, *level_name;
	int64_t precedence;
	struct flow_level *level; /* NULL: it names one that does not exist; never matches then */
	enum { FLOW_BY_NOTHING, FLOW_BY_USER, FLOW_BY_NAMESPACE } by;
	const struct json *rules;
};

enum { FLOW_SCHEMAS, FLOW_LEVELS, FLOW_SOURCES };

struct flow {
	struct loop *loop;
	struct store *store;
	struct store_watch *watches[FLOW_SOURCES];
	char *prefixes[FLOW_SOURCES];
	bool stale;
	struct arena arena; /* of schemas */
	VEC(struct flow_schema) schemas;
	VEC(struct flow_level *) levels;
	struct flow_level *fallback; /* for requests that no schema matches: the catch-all of an empty store */
	struct loop_wake *turn;	     /* a timer of 0 ms would fire in the same turn again */
	struct loop_timer *expire;
	int64_t turn_ms;   /* the turn that budget_us is of */
	int64_t spent_ns;  /* by requests in that turn */
	size_t next_level; /* takes turns */
	bool dispatching;
};

/* Reads the store again when it has changed. */
void flow_config_refresh(struct flow *f);
void flow_config_start(struct flow *f);
void flow_config_stop(struct flow *f);
/* Never NULL once there is a level; ret_by_value: what tells the flows of a schema apart. */
const struct flow_schema *flow_classify(struct flow *f, const struct flow_request *r);
void flow_level_unref(struct flow *f, struct flow_level *l);

#endif
