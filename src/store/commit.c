/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit. One job is at work at a time: a commit of all that was queued, or the backend's housekeeping. What is
 * written meanwhile waits and is the next commit.
 *
 * A job belongs to the worker while it runs. store_close waits for it (finished, under the lock) and then leaves it to
 * its callback in the loop, which frees it.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/loop.h"
#include "store/backend.h"
#include "store/store_internal.h"

struct commit_job {
	struct store *store; /* NULL: closed meanwhile */
	const struct store_backend_ops *ops;
	struct store_backend *backend;
	const struct store_codec *codec;
	bool maintain;
	struct list writes; /* of the queue */
	struct list saving; /* of unsaved */
	size_t n_saving;
	VEC(struct store_row) rows;
	VEC(struct bytes *) sealed; /* of rows, while they are written */
	struct store_batch batch;
	enum store_error result;
	char why[160];

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool finished;
};

static struct commit_job *job_new(struct store *s)
{
	struct commit_job *j = NEW(struct commit_job);

	j->store = s;
	j->ops = s->ops;
	j->backend = s->backend;
	j->codec = s->codec;
	list_init(&j->writes);
	list_init(&j->saving);
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->changed, NULL);
	return j;
}

static void job_free(struct commit_job *j)
{
	assert(list_empty(&j->writes) && list_empty(&j->saving));
	VEC_RELEASE(&j->rows);
	pthread_mutex_destroy(&j->lock);
	pthread_cond_destroy(&j->changed);
	free(j);
}

/* ---- filling ---- */

static size_t job_add_row(struct commit_job *j, const struct pending *p)
{
	struct store_row row = {
	    .rev = p->rev,
	    .key = p->obj->key,
	    .value = p->type == STORE_DELETED ? NULL : p->obj->json,
	};

	VEC_PUSH(&j->rows, row);
	return p->obj->json->len;
}

static struct commit_job *job_fill(struct store *s)
{
	struct commit_job *j = job_new(s);
	size_t bytes = 0;

	while (!list_empty(&s->unsaved)) {
		struct pending *p = LIST_ENTRY(s->unsaved.next, struct pending, link);
		list_remove(&p->link);
		list_add_tail(&j->saving, &p->link);
		bytes += job_add_row(j, p);
	}
	j->n_saving = s->n_unsaved;
	s->n_unsaved = 0;
	s->lazy_due = s->lazy_soon = false;
	s->lazy_waiting = LAZY_IDLE;
	loop_timer_stop(s->lazy_timer);
	for (struct pending *p; (p = store_queue_first(s)) && bytes < STORE_BATCH_BYTES_MAX;) {
		list_remove(&p->link);
		s->n_queue--;
		list_add_tail(&j->writes, &p->link);
		bytes += job_add_row(j, p);
	}
	uint64_t last = j->rows.n ? VEC_LAST(&j->rows).rev : s->rev;
	j->batch = (struct store_batch){.rows = j->rows.at, .n_rows = j->rows.n};
	s->probing = false;
	if (!j->rows.n) /* something that is true already */
		j->batch.ceiling = MAX_OF(s->ceiling, last);
	if (last + STORE_CEILING_STEP / 2 > s->ceiling)
		j->batch.ceiling = last + STORE_CEILING_STEP;
	if (s->prune.n >= (s->codec ? 1 : STORE_PRUNE_BATCH)) {
		j->batch.pruned = xmemdup(s->prune.at, s->prune.n * sizeof(s->prune.at[0]));
		j->batch.n_pruned = s->prune.n;
		j->batch.compacted = s->history.compacted;
	}
	return j;
}

/* ---- finishing, in the loop's thread ---- */

static void committed(struct store *s, struct commit_job *j)
{
	while (!list_empty(&j->saving)) {
		struct pending *p = LIST_ENTRY(j->saving.next, struct pending, link);
		list_remove(&p->link);
		store_pending_free(p);
	}
	if (j->batch.ceiling)
		s->ceiling = j->batch.ceiling;
	if (j->batch.n_pruned) {
		s->prune.n -= j->batch.n_pruned;
		memmove(s->prune.at, s->prune.at + j->batch.n_pruned, s->prune.n * sizeof(s->prune.at[0]));
	}
	if (s->failing)
		log_info("store works again");
	s->failing = false;
	loop_timer_stop(s->probe_timer);
	store_apply(s, &j->writes, false);
}

static void commit_failed(struct store *s, struct commit_job *j)
{
	if (!s->failing)
		log_error("store cannot commit reason=\"%s\"", j->why);
	s->failing = true;
	if (s->ops->blocking && !s->closing)
		loop_timer_start(s->probe_timer, STORE_PROBE_MS);
	/* Lazy writes have been seen: they stay, before those that came later. */
	while (!list_empty(&j->saving)) {
		struct list *l = j->saving.prev;
		list_remove(l);
		list_add_head(&s->unsaved, l);
	}
	s->n_unsaved += j->n_saving;
	s->lazy_soon = s->lazy_soon || j->n_saving;
	store_fail_all(s, &j->writes, j->result);
}

static void job_finish(struct store *s, struct commit_job *j)
{
	s->job = NULL;
	if (j->maintain)
		return;
	if (j->result == STORE_OK)
		committed(s, j);
	else
		commit_failed(s, j);
	free((void *)j->batch.pruned);
}

/* ---- running ---- */

/* Rows whose values are written otherwise than they are get bytes of their own, which are dropped after the commit. */
static int seal_rows(struct commit_job *j)
{
	for (size_t i = 0; j->codec && i < j->rows.n; i++) {
		struct store_row *row = &j->rows.at[i];
		struct bytes *sealed = NULL;
		int r = row->value ? j->codec->seal(j->codec->self, row->key, row->value, &sealed) : 0;
		if (r < 0) {
			snprintf(j->why, sizeof(j->why), "a value cannot be encrypted: %s", strerror(-r));
			return r;
		}
		if (sealed) {
			VEC_PUSH(&j->sealed, sealed);
			row->value = sealed;
		}
	}
	return 0;
}

static void commit_rows(struct commit_job *j)
{
	j->result = seal_rows(j) < 0 ? STORE_IO : j->ops->commit(j->backend, &j->batch, j->why, sizeof(j->why));
	VEC_EACH(b, &j->sealed)
		bytes_unref(*b);
	VEC_RELEASE(&j->sealed);
}

static void job_run(void *arg)
{
	struct commit_job *j = arg;

	if (j->maintain)
		j->ops->maintain(j->backend);
	else
		commit_rows(j);
	pthread_mutex_lock(&j->lock);
	j->finished = true;
	pthread_cond_signal(&j->changed);
	pthread_mutex_unlock(&j->lock);
}

static void work(struct store *s, struct commit_job *j);

static void job_done(void *arg)
{
	struct commit_job *j = arg;
	struct store *s = j->store;

	if (s) {
		bool maintained = j->maintain;
		job_finish(s, j);
		if (!maintained && s->ops->wants_maintenance(s->backend)) {
			struct commit_job *upkeep = job_new(s);
			upkeep->maintain = true;
			work(s, upkeep);
		}
		store_pump(s);
	}
	job_free(j);
}

static void lazy_wait(struct store *s)
{
	int want = !s->n_unsaved || s->closing ? LAZY_IDLE : s->lazy_soon ? LAZY_SOON : LAZY_RENEWAL;

	if (want <= (int)s->lazy_waiting)
		return;
	s->lazy_waiting = want;
	loop_timer_start(s->lazy_timer, want == LAZY_SOON ? STORE_LAZY_MS_MAX : STORE_RENEWAL_MS_MAX);
}

void store_lazy_fired(void *arg)
{
	struct store *s = arg;

	s->lazy_waiting = LAZY_IDLE;
	s->lazy_due = true;
	store_pump(s);
}

static bool visible_at_once(const struct store *s, const struct pending *p)
{
	return p->lazy && p->rev <= s->ceiling && s->n_unsaved < STORE_UNSAVED_MAX;
}

void store_probe_fired(void *arg)
{
	struct store *s = arg;

	s->probing = true;
	store_pump(s);
}

static void work(struct store *s, struct commit_job *j)
{
	s->job = j;
	s->job_since_ms = loop_now_ms(s->loop);
	loop_work(s->loop, job_run, job_done, j);
}

/* Without a disk there is nothing to wait for; the backend is still told, since tests make it fail. */
static void commit_at_once(struct store *s)
{
	if (!store_queue_first(s))
		return;
	struct commit_job *j = job_fill(s);
	job_run(j);
	job_finish(s, j);
	job_free(j);
	if (store_queue_first(s)) /* written by those that were answered just now, or too much for one commit */
		loop_defer_schedule(s->turn);
}

void store_pump(struct store *s)
{
	struct list now;

	if (s->job)
		return;
	if (!s->ops->blocking) {
		commit_at_once(s);
		return;
	}
	list_init(&now);
	for (struct pending *p; (p = store_queue_first(s)) && visible_at_once(s, p);) {
		list_remove(&p->link);
		s->n_queue--;
		list_add_tail(&now, &p->link);
	}
	if (!list_empty(&now))
		store_apply(s, &now, true);
	if (store_queue_first(s) || (s->lazy_due && s->n_unsaved) || s->probing)
		work(s, job_fill(s));
	lazy_wait(s);
}

/* ---- closing ---- */

static void job_wait(struct store *s)
{
	struct commit_job *j = s->job;

	pthread_mutex_lock(&j->lock);
	while (!j->finished)
		pthread_cond_wait(&j->changed, &j->lock);
	pthread_mutex_unlock(&j->lock);
	job_finish(s, j);
	j->store = NULL; /* its callback, still to come, frees it */
}

/* true: all that was pending is durable. */
static bool commit_all(struct store *s)
{
	bool lost = false;

	watch_set_catch_up(&s->watches, &s->history);
	while (s->job)
		job_wait(s);
	while (!lost && (store_queue_first(s) || s->n_unsaved)) {
		struct commit_job *j = job_fill(s);
		job_run(j);
		job_finish(s, j);
		lost = j->result != STORE_OK;
		job_free(j);
	}
	return !lost;
}

void store_settle(struct store *s)
{
	commit_all(s);
}

void store_drain(struct store *s)
{
	bool lost = !commit_all(s);

	while (!list_empty(&s->unsaved)) {
		struct pending *p = LIST_ENTRY(s->unsaved.next, struct pending, link);
		list_remove(&p->link);
		store_pending_free(p);
	}
	/* Everything that was seen is durable: the next start need not jump ahead. */
	if (!lost && s->ceiling > s->rev) {
		char why[160];
		struct store_batch b = {.ceiling = s->rev};
		s->ops->commit(s->backend, &b, why, sizeof(why));
	}
}
