/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many pods a second the scheduler places on a large cluster: reading the pod, filtering, scoring, and putting it
 * into the cache; without the API around it.
 *
 * usage: schedule [NODES [PODS]]        default 5000 and 30000. Prints one JSON object.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "scheduler/attempt.h"

static struct object *make(const char *plural, const char *text)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct json *v;
	struct json_error e;
	static uint64_t rev;
	if (json_parse(&a, text, strlen(text), &v, &e) < 0)
		abort();
	return object_from_tree(resource_by_plural("", plural), "", ++rev, v);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	int n_nodes = argc > 1 ? atoi(argv[1]) : 5000, n_pods = argc > 2 ? atoi(argv[2]) : 30000;
	struct sched_cache cache;
	char text[1500];
	sched_cache_init(&cache);
	for (int i = 0; i < n_nodes; i++) {
		snprintf(
		    text, sizeof(text),
		    "{\"metadata\":{\"name\":\"node-%d\",\"uid\":\"n%d\",\"labels\":{\"kubernetes.io/hostname\":"
		    "\"node-%d\",\"topology.kubernetes.io/zone\":\"z%d\"}},\"status\":{\"allocatable\":{\"cpu\":\"16\","
		    "\"memory\":\"64Gi\",\"pods\":\"110\",\"ephemeral-storage\":\"100Gi\"}}}",
		    i, i, i, i % 3);
		struct object *o = make("nodes", text);
		sched_cache_set_node(&cache, o);
		object_unref(o);
	}
	struct object **pods = xcalloc((size_t)n_pods, sizeof(*pods));
	for (int i = 0; i < n_pods; i++) {
		snprintf(
		    text, sizeof(text),
		    "{\"metadata\":{\"name\":\"pod-%d\",\"namespace\":\"d\",\"uid\":\"p%d\",\"labels\":{\"app\":\"a%"
		    "d\"},"
		    "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"r\",\"uid\":"
		    "\"r%d\",\"controller\":true}]},\"spec\":{\"tolerations\":[{\"key\":"
		    "\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
		    "\"tolerationSeconds\":300}],\"containers\":[{\"name\":\"c\",\"image\":\"x\",\"resources\":{"
		    "\"requests\":{\"cpu\":\"100m\",\"memory\":\"128Mi\"}}}]}}",
		    i, i, i / 100, i / 100);
		pods[i] = make("pods", text);
	}
	size_t start = 0, placed = 0;
	double began = now();
	for (int i = 0; i < n_pods; i++) {
		struct sched_pod *p = sched_pod_new(pods[i], true);
		struct sched_attempt a;
		uint32_t reasons;
		sched_attempt_init(&a, &cache, p);
		a.start = start;
		a.random = (uint64_t)i * 2654435761u + 1;
		struct sched_node *n = sched_pick(&a, &reasons, &start);
		if (n) {
			sched_cache_add_pod(&cache, sched_pod_new(pods[i], false), n->name);
			placed++;
		}
		sched_attempt_release(&a);
		sched_pod_free(p);
	}
	double took = now() - began;
	printf("{\"nodes\":%d,\"pods\":%d,\"placed\":%zu,\"seconds\":%.3f,\"pods_per_second\":%.0f}\n", n_nodes, n_pods,
	       placed, took, n_pods / took);
	sched_cache_release(&cache);
	for (int i = 0; i < n_pods; i++)
		object_unref(pods[i]);
	free(pods);
	return placed == (size_t)n_pods ? 0 : 1;
}
