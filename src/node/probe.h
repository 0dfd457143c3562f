/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Startup, liveness and readiness probes. Each runs on a timer of its own: first after initialDelaySeconds, then every
 * periodSeconds, each try at most timeoutSeconds long. Thresholds decide when results count (probe_count, pure).
 * While a container has a startup probe that hasn't passed, its other probes wait.
 *
 * One const ops table for each way to probe, one file each: exec, httpGet, tcpSocket, grpc.
 */
#ifndef PROA_NODE_PROBE_H
#define PROA_NODE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

struct json;
struct loop;
struct pod_container;
struct probe;

enum probe_result { PROBE_SUCCESS, PROBE_FAILURE };

#define PROBE_OUTPUT_MAX 10240 /* upstream's bound for what a probe's failure may say */

/* ---- counting (pure) ---- */
struct probe_counter {
	int success_threshold, failure_threshold;
	int in_a_row;
	enum probe_result latest;
	bool known;	/* some threshold was reached */
	bool succeeded; /* which one, lately */
};
/* True when the outcome (succeeded) was reached anew by this result. */
bool probe_count(struct probe_counter *c, enum probe_result r);

/* ---- one try ---- */
/* Ends exactly once by probe_try_done, unless cancelled before. */
struct probe_try {
	const struct probe_ops *ops;
	struct pod_container *pc;
	struct loop *loop;
	const struct json *handler; /* valid only during start */
	int64_t timeout_ms;
	void (*done)(void *arg, enum probe_result r, const char *output);
	void *arg;
	void *state; /* the kind's own */
};
struct probe_ops {
	const char *name; /* member of the Probe or LifecycleHandler: "exec" */
	void (*start)(struct probe_try *t);
	void (*cancel)(struct probe_try *t); /* frees state; no done follows */
};
extern const struct probe_ops probe_exec, probe_http, probe_tcp, probe_grpc;
const struct probe_ops *probe_kind_of(const struct json *handler, const struct json **ret_spec);
/* Numeric or named port (of the container's ports); 0: unknown. */
int probe_port(const struct json *port, const struct json *container);

/* ---- a container's probes ---- */
void probes_start(struct pod_container *pc); /* the container runs */
void probes_stop(struct pod_container *pc);

#endif
