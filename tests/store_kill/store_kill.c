/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGKILL at random moments. A child writes through the store under load and tells its parent, by a pipe, of every
 * acknowledgement and every event of a watch; the parent kills it and starts it again on the same directory, resuming
 * the watch after the last event it got. After each start the parent holds against each other:
 *
 *   acknowledged writes    are there, or a later write of their key is
 *   what is stored         is whole (checksum in each object), and equals the events seen so far, applied
 *   events                 come exactly once: revisions only grow, and each names the value before it
 *   revisions              are never below one that was seen, lazy writes included
 *
 * usage: store_kill [rounds [seed]]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "io/loop.h"
#include "store/store.h"

enum { KEYS = 64, LAZY_KEYS = 8, OUTSTANDING = 32, PAD_MAX = 6000 };

struct record {
	char kind; /* S state, R ready, A acknowledged, L lazy acknowledged, E event, X watch expired */
	int key, v, prev;
	uint64_t rev;
};

static uint64_t random_state;

static unsigned rnd(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 11) % n);
}

/* ---- the child ---- */

static struct loop *loop;
static struct store *store;
static int out, next_v;
static struct loop_timer *start_timer;
static int turns;

static void tell(char kind, int key, int v, int prev, uint64_t rev)
{
	struct record r;

	memset(&r, 0, sizeof(r));
	r.kind = kind;
	r.key = key;
	r.v = v;
	r.prev = prev;
	r.rev = rev;
	if (write(out, &r, sizeof(r)) != sizeof(r)) /* less than PIPE_BUF: whole or not at all */
		_exit(0);
}

static const char *key_name(int k, char *to)
{
	sprintf(to, k < KEYS ? "/registry/kill/n/k%d" : "/registry/lazy/n/k%d", k);
	return to;
}

static int key_number(const struct object *o)
{
	return atoi(strrchr(o->key, 'k') + 1);
}

static uint64_t checksum(int v, const char *pad)
{
	return (fnv64a(pad, strlen(pad)) ^ (uint64_t)v) & 0xffffffffffff;
}

/* 0: not there. A half-written object ends the test. */
static int checked_v(const struct object *o)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;

	if (!o)
		return 0;
	struct json *t = object_tree(o, &a);
	int v = (int)json_int(json_get(t, "v"), 0);
	uint64_t rev = 0;
	if ((uint64_t)json_int(json_get(t, "sum"), 0) != checksum(v, str_or(json_str(json_get(t, "pad")), "")) ||
	    parse_u64(str_or(json_path_str(t, "metadata.resourceVersion"), ""), &rev) < 0 || rev != o->rev) {
		fprintf(stderr, "half an object: %s\n", o->key);
		_exit(3);
	}
	return v;
}

static void write_one(int key);

static void on_done(void *arg, enum store_error result, struct object *obj)
{
	int key = (int)(intptr_t)arg;

	if (result != STORE_OK)
		_exit(4);
	tell(key < KEYS ? 'A' : 'L', key, checked_v(obj), 0, obj->rev);
	write_one(key < KEYS ? (int)rnd(KEYS) : KEYS + (int)rnd(LAZY_KEYS));
}

static void write_one(int key)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char name[64], pad[PAD_MAX + 1];
	size_t len = rnd(PAD_MAX);
	struct object *now = store_get_latest(store, key_name(key, name));
	struct json *o = json_new(&a, JSON_OBJECT);
	struct store_write w = {.key = name, .tree = o, .create = !now, .lazy = key >= KEYS, .done = on_done};
	int v = ++next_v;

	memset(pad, 'a' + v % 26, len);
	pad[len] = 0;
	json_set_str(&a, json_object_in(&a, o, "metadata"), "name", strrchr(name, '/') + 1);
	json_set_int(&a, o, "v", v);
	json_set_int(&a, o, "sum", (int64_t)checksum(v, pad));
	json_set_str(&a, o, "pad", pad);
	if (now && rnd(8) == 0)
		w.tree = NULL;
	w.arg = (void *)(intptr_t)key;
	if (store_write(store, &w) != STORE_OK)
		_exit(5);
}

static bool tell_state(void *arg, struct object *o)
{
	(void)arg;
	tell('S', key_number(o), checked_v(o), 0, o->rev);
	return true;
}

static void on_event(void *arg, const struct store_event *ev)
{
	(void)arg;
	if (ev)
		tell('E', key_number(ev->obj), ev->type == STORE_DELETED ? 0 : checked_v(ev->obj), checked_v(ev->prev),
		     ev->rev);
}

static void start_load(void *arg)
{
	(void)arg;
	if (++turns == 1) { /* the first may come before the first turn's end, when the watch is caught up */
		loop_timer_start(start_timer, 1);
		return;
	}
	tell('R', 0, 0, 0, store_revision(store));
	for (int i = 0; i < OUTSTANDING; i++)
		write_one((int)rnd(KEYS));
	write_one(KEYS);
}

static void child(const char *dir, uint64_t resume, bool first, int v)
{
	struct store_config c = {.dir = dir};
	char err[200];
	bool expired;

	next_v = v;
	if (loop_new(&c.loop) < 0)
		_exit(6);
	loop = c.loop;
	if (store_open(&c, &store, err, sizeof(err)) < 0) {
		fprintf(stderr, "%s\n", err);
		_exit(7);
	}
	store_each(store, "/registry/kill/", NULL, tell_state, NULL);
	if (!store_watch_new(store, "/registry/kill/", first ? store_revision(store) : resume, on_event, NULL,
			     &expired))
		tell('X', 0, 0, 0, store_compacted(store));
	start_timer = loop_timer_new(loop, start_load, NULL);
	loop_timer_start(start_timer, 1);
	loop_run(loop);
	_exit(8);
}

/* ---- the parent ---- */

static int events_v[KEYS], state_v[KEYS];
static uint64_t events_rev[KEYS];
static uint64_t acked_rev[KEYS], event_rev, seen_rev, n_events, n_acks;
static int v_max, failures;

#define FAIL(...) (failures++, fprintf(stderr, __VA_ARGS__))

static void compare_state(const struct record *r)
{
	if (r->rev < seen_rev)
		FAIL("the revision went back: %llu after %llu\n", (unsigned long long)r->rev,
		     (unsigned long long)seen_rev);
	for (int k = 0; k < KEYS; k++) {
		if (state_v[k] != events_v[k])
			FAIL("key %d: stored %d, by the events %d\n", k, state_v[k], events_v[k]);
		if (events_rev[k] < acked_rev[k])
			FAIL("key %d: acknowledged at %llu, its last event is %llu\n", k,
			     (unsigned long long)acked_rev[k], (unsigned long long)events_rev[k]);
	}
}

static void on_record(const struct record *r, bool *is_ready)
{
	if (r->v > v_max)
		v_max = r->v;
	switch (r->kind) {
	case 'S':
		state_v[r->key] = r->v;
		if (r->rev < acked_rev[r->key])
			FAIL("key %d: acknowledged at %llu, stored at %llu\n", r->key,
			     (unsigned long long)acked_rev[r->key], (unsigned long long)r->rev);
		break;
	case 'R':
		compare_state(r);
		*is_ready = true;
		break;
	case 'A':
		acked_rev[r->key] = r->rev;
		n_acks++;
		break;
	case 'E':
		if (r->rev <= event_rev)
			FAIL("event %llu came again or late\n", (unsigned long long)r->rev);
		if (r->prev != events_v[r->key])
			FAIL("event %llu of key %d: the value before was %d, the watch had %d: one was missed\n",
			     (unsigned long long)r->rev, r->key, r->prev, events_v[r->key]);
		event_rev = r->rev;
		events_v[r->key] = r->v;
		events_rev[r->key] = r->rev;
		n_events++;
		break;
	case 'X':
		FAIL("the watch could not be resumed after %llu: compacted %llu\n", (unsigned long long)event_rev,
		     (unsigned long long)r->rev);
		break;
	}
	if (r->kind != 'S' && r->rev > seen_rev)
		seen_rev = r->rev;
}

static int64_t now_us(void)
{
	return env->monotonic_ns() / 1000;
}

/* Reads what the child tells until it is time to kill it, kills it, and reads the rest. */
static void follow(pid_t pid, int in, int64_t kill_at, bool after_ready)
{
	bool killed = false, is_ready = false;
	struct record r;

	for (;;) {
		int64_t left = kill_at - now_us();
		if (!killed && left <= 0 && (is_ready || !after_ready)) {
			kill(pid, SIGKILL);
			killed = true;
		}
		struct pollfd p = {.fd = in, .events = POLLIN};
		struct timespec wait = {.tv_sec = left > 0 ? left / 1000000 : 10,
					.tv_nsec = left > 0 ? left % 1000000 * 1000 : 0};
		if (ppoll(&p, 1, &wait, NULL) == 0)
			continue;
		if (read(in, &r, sizeof(r)) != sizeof(r))
			break;
		on_record(&r, &is_ready);
	}
	int status;
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		FAIL("the child ended by itself: status %#x\n", status);
}

static void one_round(const char *dir, int round)
{
	int fds[2];

	memset(state_v, 0, sizeof(state_v));
	if (pipe2(fds, O_CLOEXEC) < 0)
		abort();
	uint64_t child_seed = random_state + (uint64_t)round * 7919 + 1;
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		out = fds[1];
		random_state = child_seed;
		child(dir, event_rev, round == 0, v_max + 1000);
	}
	close(fds[1]);
	/* Mostly under load, sometimes while it starts and recovers. */
	bool starting = round > 0 && rnd(5) == 0;
	follow(pid, fds[0], now_us() + (starting ? rnd(5000) : rnd(120000)), !starting);
	close(fds[0]);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/store_killXXXXXX";
	uint64_t seed = (uint64_t)time(NULL) * 1000 + (uint64_t)getpid() % 1000, rounds = 100;

	if (argc > 1 && parse_u64(argv[1], &rounds) < 0)
		return 2;
	if (argc > 2 && parse_u64(argv[2], &seed) < 0)
		return 2;
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	random_state = seed * 2654435761u + 1;
	if (!mkdtemp(dir))
		return 2;
	for (int i = 0; i < (int)rounds && !failures; i++)
		one_round(dir, i);
	printf("rounds %llu, writes acknowledged %llu, events %llu, last revision %llu, failures %d\n",
	       (unsigned long long)rounds, (unsigned long long)n_acks, (unsigned long long)n_events,
	       (unsigned long long)seen_rev, failures);
	if (failures)
		printf("kept: %s\n", dir);
	else
		fs_remove_tree(dir);
	return failures != 0;
}
