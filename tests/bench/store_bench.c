/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store alone: durable writes/s with 1 and 64 outstanding, gets/s, events/s to 1,000 watches, memory per object,
 * bytes written per durable write. Prints one JSON object. usage: store_bench [DIR], by default below /tmp.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/object.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/loop.h"
#include "store/store.h"

enum { OBJECTS = 10000, VALUE_BYTES = 3000, WATCHES = 1000 };

static struct loop *loop;
static struct store *store;
static int outstanding, to_start, next_key;
static uint64_t n_events;

static void key_name(char *to, int n)
{
	sprintf(to, "/registry/pods/ns-%d/pod-%d", n % 100, n);
}

static void write_next(void);

static void on_done(void *arg, enum store_error result, struct object *obj)
{
	(void)arg, (void)obj;
	if (result != STORE_OK) {
		fprintf(stderr, "a write failed: %d\n", result);
		exit(1);
	}
	outstanding--;
	write_next();
	if (!outstanding)
		loop_stop(loop);
}

static void write_next(void)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	static char pad[VALUE_BYTES + 1];
	char key[64];

	if (!to_start)
		return;
	to_start--;
	if (!*pad)
		memset(pad, 'x', VALUE_BYTES);
	key_name(key, next_key++ % OBJECTS);
	struct json *o = json_new(&a, JSON_OBJECT), *meta = json_object_in(&a, o, "metadata");
	json_set_str(&a, meta, "name", strrchr(key, '/') + 1);
	json_set_str(&a, meta, "namespace", "ns");
	json_set_str(&a, meta, "uid", "01234567-89ab-cdef-0123-456789abcdef");
	json_set_str(&a, o, "pad", pad);
	struct store_write w = {.key = key, .tree = o, .create = !store_get_latest(store, key), .done = on_done};
	if (store_write(store, &w) != STORE_OK)
		exit(1);
	outstanding++;
}

/* writes/s */
static double writes(int n, int at_once)
{
	int64_t start = env->monotonic_ns();

	to_start = n;
	for (int i = 0; i < at_once; i++)
		write_next();
	loop_run(loop);
	return n * 1e9 / (double)(env->monotonic_ns() - start);
}

static double gets(void)
{
	enum { N = 2000000 };
	char(*keys)[64] = xcalloc(OBJECTS, sizeof(*keys));
	uint64_t found = 0;

	for (int i = 0; i < OBJECTS; i++)
		key_name(keys[i], (i * 7919) % OBJECTS);
	int64_t start = env->monotonic_ns();
	for (int i = 0; i < N; i++)
		found += store_get(store, keys[i % OBJECTS]) != NULL;
	double rate = N * 1e9 / (double)(env->monotonic_ns() - start);
	free(keys);
	return found == N ? rate : 0;
}

static bool count_one(void *arg, struct object *o)
{
	(void)o;
	++*(int *)arg;
	return true;
}

static void on_event(void *arg, const struct store_event *ev)
{
	(void)arg;
	n_events += ev != NULL;
}

/* The time that watches add to a commit: those of other namespaces should cost nothing. */
static double writes_watched(const char *prefix, int n)
{
	struct store_watch *w[WATCHES];
	bool expired;

	for (int i = 0; i < WATCHES; i++)
		w[i] = store_watch_new(store, prefix, store_revision(store), on_event, NULL, &expired);
	double rate = writes(n, 64);
	for (int i = 0; i < WATCHES; i++)
		store_watch_free(w[i]);
	return rate;
}

static uint64_t bytes_written(void)
{
	uint64_t n = 0;
	char line[128];
	FILE *f = fopen("/proc/self/io", "r");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "write_bytes: %lu", &n);
	if (f)
		fclose(f);
	return n;
}

static size_t heap_used(void)
{
	struct mallinfo2 m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

int main(int argc, char **argv)
{
	char dir[200], err[200];
	struct store_config c = {.dir = dir};

	snprintf(dir, sizeof(dir), "%s/store_benchXXXXXX", argc > 1 ? argv[1] : "/tmp");
	if (!mkdtemp(dir) || loop_new(&loop) < 0)
		return 1;
	c.loop = loop;
	if (store_open(&c, &store, err, sizeof(err)) < 0) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	size_t before = heap_used();
	double fill = writes(OBJECTS, 64);
	size_t after = heap_used();
	uint64_t io = bytes_written();
	double one = writes(1000, 1);
	double one_bytes = (double)(bytes_written() - io) / 1000;
	io = bytes_written();
	double many = writes(20000, 64);
	double many_bytes = (double)(bytes_written() - io) / 20000;
	double rate = gets();
	int n = 0;
	int64_t start = env->monotonic_ns();
	store_each(store, "/registry/pods/", NULL, count_one, &n);
	double each_us = (double)(env->monotonic_ns() - start) / 1000;
	double elsewhere = writes_watched("/registry/secrets/", 10000);
	n_events = 0;
	double watched = writes_watched("/registry/pods/", 10000);
	start = env->monotonic_ns();
	store_close(store);
	if (store_open(&c, &store, err, sizeof(err)) < 0)
		return 1;
	double reopen_ms = (double)(env->monotonic_ns() - start) / 1e6;
	printf("{\"store\": {\"creates_per_s_64\": %.0f, \"writes_per_s_1\": %.0f, \"disk_bytes_per_write_1\": %.0f, "
	       "\"writes_per_s_64\": %.0f, \"disk_bytes_per_write_64\": %.0f, \"gets_per_s\": %.0f, "
	       "\"each_10000_us\": %.0f, \"heap_bytes_per_object\": %zu, \"value_bytes\": %d, "
	       "\"writes_per_s_64_1000_watches_elsewhere\": %.0f, \"writes_per_s_64_1000_watches\": %.0f, "
	       "\"events\": %lu, \"close_and_open_10000_ms\": %.1f}}\n",
	       fill, one, one_bytes, many, many_bytes, rate, each_us, (after - before) / OBJECTS, VALUE_BYTES,
	       elsewhere, watched, n_events, reopen_ms);
	store_close(store);
	loop_free(loop);
	fs_remove_tree(dir);
	return n == OBJECTS ? 0 : 1;
}
