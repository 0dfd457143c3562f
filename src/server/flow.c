/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seats and queues. A ticket moves
 *	NEW → RUNNING                       a seat is free and the turn has time
 *	NEW → READY → RUNNING               a seat is free, in a later turn
 *	NEW → WAITING → READY → RUNNING     a seat comes free while it waits in a queue
 *	NEW → refused, WAITING → refused    the queue is full, or it waited too long
 * and from each of them to DONE.
 */
#include "server/flow.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/auth.h"
#include "server/flow_internal.h"

enum { TICKET_NEW, TICKET_WAITING, TICKET_READY, TICKET_RUNNING, TICKET_DONE };

static void run_ready(void *arg);
static void expire(void *arg);

struct flow *flow_new(struct loop *l, struct store *s)
{
	struct flow *f = NEW(struct flow);
	f->loop = l;
	f->store = s;
	f->turn = loop_wake_new(l, run_ready, f);
	f->expire = loop_timer_new(l, expire, f);
	f->turn_ms = -1;
	flow_config_start(f);
	return f;
}

void flow_free(struct flow *f)
{
	if (!f)
		return;
	loop_wake_free(f->turn);
	loop_timer_free(f->expire);
	flow_config_stop(f);
	free(f);
}

/* ---- seats ---- */

/*
 * A level may always use what is nominally its own, also while others still sit on the part of it that they borrowed:
 * what is used in all exceeds FLOW_SEATS by no more than what is lent, and nobody waits for somebody less important.
 */
static bool may_sit(const struct flow *f, const struct flow_level *l, unsigned seats)
{
	unsigned want = l->in_use + seats;
	if (want <= l->nominal || !l->in_use)
		return true;
	unsigned over = want - l->nominal, lent = 0, borrowed = 0;
	if (over > l->borrowable)
		return false;
	for (size_t i = 0; i < f->levels.n; i++) {
		const struct flow_level *o = f->levels.at[i];
		if (o == l || o->exempt || o->stale)
			continue;
		if (o->in_use > o->nominal)
			borrowed += o->in_use - o->nominal;
		else
			lent += o->nominal - o->in_use < o->lendable ? o->nominal - o->in_use : o->lendable;
	}
	return over + borrowed <= lent;
}

static bool turn_has_time(struct flow *f)
{
	int64_t turn = loop_now_ms(f->loop);
	if (turn != f->turn_ms) {
		f->turn_ms = turn;
		f->spent_ns = 0;
	}
	return f->spent_ns < FLOW_TURN_US * 1000;
}

static void sit(struct flow_ticket *t)
{
	t->level->in_use += t->seats;
	t->level->n_running++;
	t->level->n_dispatched++;
	if (t->queue)
		t->queue->seats += t->seats;
}

static void make_ready(struct flow *f, struct flow_ticket *t)
{
	t->state = TICKET_READY;
	list_add_tail(&t->level->ready, &t->link);
	loop_wake_send(f->turn);
}

static void run(struct flow *f, struct flow_ticket *t)
{
	int64_t begin = env->monotonic_ns();
	t->state = TICKET_RUNNING;
	t->run(t->arg); /* the ticket may be gone after that */
	f->spent_ns += env->monotonic_ns() - begin;
}

/* ---- queues ---- */

/* Shuffle sharding: the flow's hash deals it a hand of queues, always the same; the shortest of them is taken. */
static struct flow_queue *choose_queue(struct flow_level *l, uint64_t hash)
{
	unsigned hand = l->hand ? l->hand : 1, dealt[64];
	struct flow_queue *best = NULL;
	if (hand > ARRAY_SIZE(dealt))
		hand = ARRAY_SIZE(dealt);
	for (unsigned i = 0; i < hand && i < l->n_queues; i++) {
		unsigned left = l->n_queues - i, card = (unsigned)(hash % left), at = i;
		hash /= left;
		/* The card-th of the queues not dealt yet: dealt[] is kept in order. */
		for (unsigned j = 0; j < i; j++)
			if (dealt[j] <= card)
				card++;
		while (at && dealt[at - 1] > card) {
			dealt[at] = dealt[at - 1];
			at--;
		}
		dealt[at] = card;
		struct flow_queue *q = &l->queues[card];
		if (!best || q->n + q->seats < best->n + best->seats)
			best = q;
	}
	return best;
}

static void enqueue(struct flow *f, struct flow_ticket *t)
{
	struct flow_level *l = t->level;
	struct flow_queue *q = t->queue;
	t->state = TICKET_WAITING;
	t->deadline_ms = loop_now_ms(f->loop) + FLOW_WAIT_MS_MAX;
	if (!q->n) {
		if (q->virtual_start < l->virtual_now)
			q->virtual_start = l->virtual_now;
		list_add_tail(&l->active, &q->link);
	}
	list_add_tail(&q->waiting, &t->link);
	q->n++;
	/* Deadlines are all equally far away: the timer that runs is that of the oldest. */
	if (!l->n_waiting++)
		loop_timer_start(f->expire, FLOW_WAIT_MS_MAX);
}

static void leave_queue(struct flow_ticket *t)
{
	list_remove(&t->link);
	t->level->n_waiting--;
	if (--t->queue->n == 0)
		list_remove(&t->queue->link);
}

/* Start-time fair queueing: the queue whose first ticket began first, counted in seats served. */
static struct flow_queue *next_queue(struct flow_level *l)
{
	struct flow_queue *best = NULL;
	LIST_EACH(it, &l->active) {
		struct flow_queue *q = LIST_ENTRY(it, struct flow_queue, link);
		if (!best || q->virtual_start < best->virtual_start)
			best = q;
	}
	return best;
}

/* Gives free seats to those who wait. */
static void serve_queues(struct flow *f)
{
	VEC_EACH(p, &f->levels) {
		struct flow_level *l = *p;
		struct flow_queue *q;
		while ((q = next_queue(l))) {
			struct flow_ticket *t = LIST_ENTRY(q->waiting.next, struct flow_ticket, link);
			if (!may_sit(f, l, t->seats))
				break;
			leave_queue(t);
			l->virtual_now = q->virtual_start;
			q->virtual_start += t->seats;
			sit(t);
			make_ready(f, t);
		}
	}
}

static void expire(void *arg)
{
	struct flow *f = arg;
	int64_t now = loop_now_ms(f->loop), next = INT64_MAX;
	struct list late;
	list_init(&late);
	VEC_EACH(p, &f->levels) {
		LIST_EACH_SAFE(it, &(*p)->active) {
			struct flow_queue *q = LIST_ENTRY(it, struct flow_queue, link);
			LIST_EACH_SAFE(w, &q->waiting) {
				struct flow_ticket *t = LIST_ENTRY(w, struct flow_ticket, link);
				if (t->deadline_ms > now) {
					next = t->deadline_ms < next ? t->deadline_ms : next;
					break;
				}
				leave_queue(t);
				(*p)->n_rejected_time++;
				list_add_tail(&late, &t->link);
			}
		}
	}
	if (next != INT64_MAX)
		loop_timer_start(f->expire, next - now);
	while (!list_empty(&late)) {
		struct flow_ticket *t = LIST_ENTRY(late.next, struct flow_ticket, link);
		list_remove(&t->link);
		flow_level_unref(f, t->level);
		t->state = TICKET_DONE;
		t->refuse(t->arg);
	}
}

/* ---- a turn ---- */

/* The next level, after the one that was served last, that has a ticket ready. */
static struct flow_level *next_ready(struct flow *f)
{
	for (size_t i = 0; i < f->levels.n; i++) {
		struct flow_level *l = f->levels.at[(f->next_level + i) % f->levels.n];
		if (list_empty(&l->ready))
			continue;
		f->next_level = (f->next_level + i + 1) % f->levels.n;
		return l;
	}
	return NULL;
}

static void run_ready(void *arg)
{
	struct flow *f = arg;
	struct flow_level *l;
	while ((l = next_ready(f))) {
		if (!turn_has_time(f)) {
			loop_wake_send(f->turn);
			return;
		}
		struct flow_ticket *t = LIST_ENTRY(l->ready.next, struct flow_ticket, link);
		list_remove(&t->link);
		run(f, t);
	}
}

static uint64_t flow_hash(const struct flow_schema *s, const struct flow_request *r)
{
	const char *value = s->by == FLOW_BY_USER ? r->user->name : s->by == FLOW_BY_NAMESPACE ? r->ns : "";
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_adds(&b, s->name);
	buf_addc(&b, 0);
	buf_adds(&b, value);
	return hash_bytes(b.data, b.len);
}

static enum flow_answer refuse(struct flow *f, struct flow_ticket *t, uint64_t *counter)
{
	(*counter)++;
	flow_level_unref(f, t->level);
	t->state = TICKET_DONE;
	return FLOW_REFUSED;
}

enum flow_answer flow_admit(struct flow *f, const struct flow_request *r, struct flow_ticket *t)
{
	const struct flow_schema *s = flow_classify(f, r);
	list_init(&t->link);
	t->flow = f;
	t->state = TICKET_DONE;
	if (!s)
		return FLOW_RUN; /* before the mandatory schemas are there: the server's own start */
	struct flow_level *l = s->level;
	t->schema_uid = s->uid;
	t->level_uid = l->uid;
	if (l->exempt) {
		l->n_dispatched++;
		return FLOW_RUN;
	}
	t->level = l;
	l->refs++;
	t->state = TICKET_NEW;
	t->seats = !l->nominal || r->seats < l->nominal ? r->seats : l->nominal;
	t->queue = l->n_queues ? choose_queue(l, flow_hash(s, r)) : NULL;
	if (list_empty(&l->active) && may_sit(f, l, t->seats)) {
		sit(t);
		if (turn_has_time(f) && list_empty(&l->ready)) {
			t->state = TICKET_RUNNING;
			return FLOW_RUN;
		}
		make_ready(f, t);
		return FLOW_WAIT;
	}
	if (!t->queue)
		return refuse(f, t, &l->n_rejected_limit);
	if (t->queue->n >= l->queue_length)
		return refuse(f, t, &l->n_rejected_full);
	enqueue(f, t);
	return FLOW_WAIT;
}

void flow_spent(struct flow *f, int64_t ns)
{
	turn_has_time(f);
	f->spent_ns += ns;
}

void flow_done(struct flow_ticket *t)
{
	struct flow *f = t->flow;
	if (!f || t->state == TICKET_NEW || t->state == TICKET_DONE)
		return;
	if (t->state == TICKET_WAITING) {
		leave_queue(t);
	} else {
		list_remove(&t->link);
		t->level->in_use -= t->seats;
		t->level->n_running--;
		if (t->queue)
			t->queue->seats -= t->seats;
	}
	t->state = TICKET_DONE;
	flow_level_unref(f, t->level);
	serve_queues(f);
}

/* ---- metrics ---- */

static void head(struct buf *out, const char *name, const char *help, const char *type)
{
	buf_addf(out, "# HELP apiserver_flowcontrol_%s %s\n# TYPE apiserver_flowcontrol_%s %s\n", name, help, name,
		 type);
}

static void sample(struct buf *out, const char *name, const struct flow_level *l, const char *reason, uint64_t value)
{
	buf_addf(out, "apiserver_flowcontrol_%s{priority_level=\"%s\"", name, l->name);
	if (reason)
		buf_addf(out, ",reason=\"%s\"", reason);
	buf_addf(out, "} %" PRIu64 "\n", value);
}

void flow_metrics(struct flow *f, struct buf *out)
{
	static const struct {
		const char *name, *help, *type;
		size_t at;
		bool wide; /* uint64_t, else unsigned */
	} rows[] = {
	    {"nominal_limit_seats", "Seats of each priority level.", "gauge", offsetof(struct flow_level, nominal),
	     false},
	    {"current_executing_seats", "Seats in use.", "gauge", offsetof(struct flow_level, in_use), false},
	    {"current_executing_requests", "Requests with a seat.", "gauge", offsetof(struct flow_level, n_running),
	     false},
	    {"current_inqueue_requests", "Requests in queues.", "gauge", offsetof(struct flow_level, n_waiting), false},
	    {"dispatched_requests_total", "Requests that were given a seat.", "counter",
	     offsetof(struct flow_level, n_dispatched), true},
	};
	flow_config_refresh(f);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		head(out, rows[i].name, rows[i].help, rows[i].type);
		for (size_t j = 0; j < f->levels.n; j++) {
			const char *at = (const char *)f->levels.at[j] + rows[i].at;
			uint64_t v =
			    rows[i].wide ? *(const uint64_t *)(const void *)at : *(const unsigned *)(const void *)at;
			sample(out, rows[i].name, f->levels.at[j], NULL, v);
		}
	}
	head(out, "rejected_requests_total", "Requests refused, by reason.", "counter");
	for (size_t j = 0; j < f->levels.n; j++) {
		const struct flow_level *l = f->levels.at[j];
		sample(out, "rejected_requests_total", l, "queue-full", l->n_rejected_full);
		sample(out, "rejected_requests_total", l, "time-out", l->n_rejected_time);
		sample(out, "rejected_requests_total", l, "concurrency-limit", l->n_rejected_limit);
	}
}
