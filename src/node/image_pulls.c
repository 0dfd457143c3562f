/* SPDX-License-Identifier: Apache-2.0 */
#include "node/image_pulls.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/yaml.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/image.h"
#include "image/keyring.h"
#include "image/pull.h"
#include "image/registries.h"
#include "io/loop.h"

#define ERROR_MAX 1024
#define REGISTRIES_BYTES_MAX (1u << 20)
#define IOPRIO_IDLE (3 << 13) /* linux/ioprio.h: IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0) */
#define IOPRIO_WHO_PROCESS 1

enum task_kind { TASK_PULL, TASK_LOOK, TASK_GC };

/* What a thread works on. It is the thread's until it is in the done list. */
struct task {
	struct list link;
	struct shared *shared;
	enum task_kind kind;
	char *ref, *registries;
	struct keyring *keyring;
	struct image_store *store;
	void (*done)(void *arg, const struct image_pull_result *r);
	void *arg;
	int64_t asked_ms, began_ms, ended_ms;
	int result;
	char *id, *images;
	unsigned removed;
	char error[ERROR_MAX];
};

/* Between loop and threads; the last of them frees it. */
struct shared {
	pthread_mutex_t lock;
	unsigned refs;
	struct list done;
	struct loop_wake *wake; /* NULL: nobody listens any more */
};

struct image_pulls {
	struct loop *loop;
	struct image_store *store;
	char *registries;
	struct shared *shared;
	struct list waiting;		     /* pulls in line */
	struct task *running[PULLS_AT_ONCE]; /* theirs who run them; only done and arg may be looked at */
	bool looking, look_again, collecting;
	char *images;
	struct loop_timer *gc;
	void (*on_changed)(void *arg);
	void *arg;
};

int registries_file_read(const char *path, bool needed, struct registries **ret, char *err, size_t err_len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct yaml_error ye;
	struct json *tree = NULL;
	char why[256];
	int r = fs_read(path, REGISTRIES_BYTES_MAX, &b);

	if (r < 0 && (needed || r != -ENOENT)) {
		snprintf(err, err_len, "%s: %s", path, strerror(-r));
		return -1;
	}
	if (r == 0 && yaml_parse(&a, buf_str(&b), b.len, NULL, NULL, &tree, &ye) < 0) {
		snprintf(err, err_len, "%s:%zu: %s", path, ye.line, ye.message);
		return -1;
	}
	if (registries_new(tree, ret, why, sizeof(why)) < 0) {
		snprintf(err, err_len, "%s: %s", path, why);
		return -1;
	}
	return 0;
}

/* ---- shared ---- */

static void shared_unref(struct shared *s)
{
	pthread_mutex_lock(&s->lock);
	bool last = --s->refs == 0;
	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void task_free(struct task *t)
{
	free(t->ref);
	free(t->registries);
	keyring_free(t->keyring);
	image_store_close(t->store);
	free(t->id);
	free(t->images);
	free(t);
}

/* ---- in a thread ---- */

static void run_pull(struct task *t)
{
	struct registries *registries = NULL;

	if (registries_file_read(t->registries, false, &registries, t->error, sizeof(t->error)) < 0) {
		t->result = -EINVAL;
		return;
	}
	struct image_transfer how = {.registries = registries, .keyring = t->keyring};
	t->result = image_pull(t->store, t->ref, &how, &t->id, t->error, sizeof(t->error));
	registries_free(registries);
}

struct shown {
	uint64_t size;
	struct json *v;
};

struct look {
	struct arena arena;
	VEC(struct shown) all;
};

static bool look_image(void *arg, const struct image *i)
{
	struct look *l = arg;
	struct json *v = json_new(&l->arena, JSON_OBJECT), *names = json_array_in(&l->arena, v, "names");
	struct shown s = {i->size, v};

	for (const char *const *n = i->repo_digests; *n; n++)
		json_append(names, json_new_str(&l->arena, *n));
	for (const char *const *n = i->repo_tags; *n; n++)
		json_append(names, json_new_str(&l->arena, *n));
	if (!json_len(names))
		json_append(names, json_new_str(&l->arena, i->id));
	json_set_int(&l->arena, v, "sizeBytes", (int64_t)i->size);
	VEC_PUSH(&l->all, s);
	return true;
}

static int by_size(const void *a, const void *b)
{
	const struct shown *x = a, *y = b;
	return x->size > y->size ? -1 : x->size < y->size;
}

static void run_look(struct task *t)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct look l = {.arena = ARENA_INIT};
	struct json *list = json_new(&l.arena, JSON_ARRAY);

	t->result = image_list(t->store, look_image, &l, t->error, sizeof(t->error));
	if (l.all.n)
		qsort(l.all.at, l.all.n, sizeof(*l.all.at), by_size);
	for (size_t i = 0; i < l.all.n && i < NODE_IMAGES_MAX; i++)
		json_append(list, l.all.at[i].v);
	json_write(&b, list);
	t->images = buf_steal(&b, NULL);
	VEC_RELEASE(&l.all);
	arena_release(&l.arena);
}

/* The lowest priorities for processor and disk: nobody waits for it. They are the thread's alone. */
static void run_gc(struct task *t)
{
	static const struct image_gc_policy policy = {.high_percent = IMAGE_GC_HIGH_PERCENT,
						      .low_percent = IMAGE_GC_LOW_PERCENT,
						      .min_age_s = IMAGE_GC_MIN_AGE_S};
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct image_gc_result r = {0};

	setpriority(PRIO_PROCESS, (id_t)tid, 19);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, tid, IOPRIO_IDLE);
	t->result = image_gc(t->store, &policy, &r, t->error, sizeof(t->error));
	t->removed = r.removed;
	if (r.removed || r.wanted)
		log_info("images collected removed=%u wanted=%llu freed=%llu", r.removed, (unsigned long long)r.wanted,
			 (unsigned long long)r.freed);
	if (t->result == 0 && r.freed < r.wanted)
		log_warn("image collection freed less than it should wanted=%llu freed=%llu",
			 (unsigned long long)r.wanted, (unsigned long long)r.freed);
}

static void *run(void *arg)
{
	static void (*const kinds[])(struct task *) = {
	    [TASK_PULL] = run_pull, [TASK_LOOK] = run_look, [TASK_GC] = run_gc};
	struct task *t = arg;
	struct shared *s = t->shared;

	t->began_ms = monotonic_ms();
	kinds[t->kind](t);
	t->ended_ms = monotonic_ms();
	pthread_mutex_lock(&s->lock);
	if (s->wake) {
		list_add_tail(&s->done, &t->link);
		loop_wake_send(s->wake);
		t = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	if (t)
		task_free(t); /* whoever asked was told already */
	shared_unref(s);
	return NULL;
}

/* ---- in the loop ---- */

static int start(struct image_pulls *p, struct task *t)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_mutex_lock(&p->shared->lock);
	p->shared->refs++;
	pthread_mutex_unlock(&p->shared->lock);
	t->shared = p->shared;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int r = -pthread_create(&thread, &attr, run, t);
	pthread_attr_destroy(&attr);
	if (r < 0)
		shared_unref(p->shared);
	return r;
}

static struct task *task_new(struct image_pulls *p, enum task_kind kind)
{
	struct task *t = NEW(struct task);

	list_init(&t->link);
	t->kind = kind;
	t->store = image_store_dup(p->store);
	t->registries = xstrdup(p->registries);
	return t;
}

static void answer(struct task *t, int result, const char *error)
{
	struct image_pull_result r = {.result = result,
				      .error = error,
				      .id = t->id,
				      .ms = t->ended_ms - t->began_ms,
				      .waited_ms = t->ended_ms - t->asked_ms};
	t->done(t->arg, &r);
}

static struct task **place_of(struct image_pulls *p, const struct task *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->running); i++)
		if (p->running[i] == t)
			return &p->running[i];
	return NULL;
}

static void start_pulls(struct image_pulls *p)
{
	for (struct task **free_place; (free_place = place_of(p, NULL)) && !list_empty(&p->waiting);) {
		struct task *t = LIST_ENTRY(p->waiting.next, struct task, link);
		list_remove(&t->link);
		int r = start(p, t);
		if (r < 0) {
			answer(t, r, "cannot start a thread");
			task_free(t);
			continue;
		}
		*free_place = t;
	}
}

static void done_look(struct image_pulls *p, struct task *t)
{
	p->looking = false;
	bool changed = t->result == 0 && !str_eq(p->images, t->images);
	if (changed) {
		free(p->images);
		p->images = TAKE_PTR(t->images);
	}
	if (p->look_again)
		image_pulls_look(p);
	if (changed)
		p->on_changed(p->arg);
}

static void done_gc(struct image_pulls *p, struct task *t)
{
	p->collecting = false;
	if (t->result < 0)
		log_warn("images not collected reason=\"%s\"", t->error);
	if (t->removed)
		image_pulls_look(p);
}

static void on_wake(void *arg)
{
	struct image_pulls *p = arg;

	for (;;) {
		pthread_mutex_lock(&p->shared->lock);
		struct task *t =
		    list_empty(&p->shared->done) ? NULL : LIST_ENTRY(p->shared->done.next, struct task, link);
		if (t)
			list_remove(&t->link);
		pthread_mutex_unlock(&p->shared->lock);
		if (!t)
			break;
		if (t->kind == TASK_PULL) {
			*place_of(p, t) = NULL;
			if (t->result == 0)
				image_pulls_look(p);
			answer(t, t->result, t->error);
		} else if (t->kind == TASK_LOOK) {
			done_look(p, t);
		} else {
			done_gc(p, t);
		}
		task_free(t);
	}
	start_pulls(p);
}

void image_pulls_start(struct image_pulls *p, const char *ref, struct keyring *keyring,
		       void (*done)(void *arg, const struct image_pull_result *r), void *arg)
{
	struct task *t = task_new(p, TASK_PULL);

	t->ref = xstrdup(ref);
	t->keyring = keyring;
	t->done = done;
	t->arg = arg;
	t->asked_ms = monotonic_ms();
	list_add_tail(&p->waiting, &t->link);
	loop_wake_send(p->shared->wake); /* not from within the caller */
}

void image_pulls_look(struct image_pulls *p)
{
	p->look_again = p->looking;
	if (p->looking)
		return;
	struct task *t = task_new(p, TASK_LOOK);
	p->looking = start(p, t) == 0;
	if (!p->looking)
		task_free(t);
}

const char *image_pulls_node_images(const struct image_pulls *p)
{
	return p ? p->images : NULL;
}

static void on_gc_time(void *arg)
{
	struct image_pulls *p = arg;

	loop_timer_start(p->gc, IMAGE_GC_PERIOD_MS);
	image_pulls_look(p); /* `proa image` may have been at work */
	if (p->collecting)
		return;
	struct task *t = task_new(p, TASK_GC);
	p->collecting = start(p, t) == 0;
	if (!p->collecting)
		task_free(t);
}

struct image_pulls *image_pulls_new(struct loop *l, const struct image_store *s, const char *registries,
				    void (*on_changed)(void *arg), void *arg)
{
	struct image_pulls *p = NEW(struct image_pulls);

	p->loop = l;
	p->store = image_store_dup(s);
	p->registries = xstrdup(registries);
	p->on_changed = on_changed;
	p->arg = arg;
	list_init(&p->waiting);
	p->shared = NEW(struct shared);
	pthread_mutex_init(&p->shared->lock, NULL);
	p->shared->refs = 1;
	list_init(&p->shared->done);
	p->shared->wake = loop_wake_new(l, on_wake, p);
	p->gc = loop_timer_new(l, on_gc_time, p);
	loop_timer_start(p->gc, IMAGE_GC_PERIOD_MS);
	image_pulls_look(p);
	return p;
}

void image_pulls_free(struct image_pulls *p)
{
	struct {
		void (*done)(void *arg, const struct image_pull_result *r);
		void *arg;
	} told[PULLS_AT_ONCE];
	const struct image_pull_result canceled = {.result = -ECANCELED, .error = "the agent ends"};
	size_t n = 0;

	if (!p)
		return;
	pthread_mutex_lock(&p->shared->lock);
	loop_wake_free(TAKE_PTR(p->shared->wake));
	for (size_t i = 0; i < ARRAY_SIZE(p->running); i++)
		if (p->running[i]) {
			told[n].done = p->running[i]->done;
			told[n++].arg = p->running[i]->arg;
		}
	while (!list_empty(&p->shared->done)) {
		struct task *t = LIST_ENTRY(p->shared->done.next, struct task, link);
		list_remove(&t->link);
		task_free(t);
	}
	pthread_mutex_unlock(&p->shared->lock);
	for (size_t i = 0; i < n; i++)
		told[i].done(told[i].arg, &canceled);
	while (!list_empty(&p->waiting)) {
		struct task *t = LIST_ENTRY(p->waiting.next, struct task, link);
		list_remove(&t->link);
		t->done(t->arg, &canceled);
		task_free(t);
	}
	shared_unref(p->shared);
	loop_timer_free(p->gc);
	image_store_close(p->store);
	free(p->registries);
	free(p->images);
	free(p);
}
