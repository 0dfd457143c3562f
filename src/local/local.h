/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers without a cluster: what `proa run`, ps, exec, logs, stop and rm work on. There is no daemon. A container
 * is STATE/<id>/record.json    what it is, and whether it is complete STATE/<id>/{upper,work}   its files; log: its
 * output, in the CRI's format LOCAL_RUN/<id>/           a runtime of its own with one pod of one container, whose shim
 * keeps it and its exit status Every command opens what it needs of that and leaves again. A shim that is gone (killed,
 * or the machine was started anew) makes the container an exited one.
 *
 * Calls block: each runs the session's loop until the runtime has answered. One thread.
 */
#ifndef PROA_LOCAL_LOCAL_H
#define PROA_LOCAL_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "runtime/spec.h"

struct image_store;
struct loop;
struct runtime;

#define LOCAL_RUN "/run/proa-containers"
#define LOCAL_CIDR "10.88.0.0/16" /* podman's and CNI's habit for containers of a single machine */
#define LOCAL_NAME_MAX 128
#define LOCAL_PORTS_MAX 64
#define LOCAL_ERR_MAX 1024

enum local_network { LOCAL_BRIDGE, LOCAL_HOST, LOCAL_NONE };

struct local_port {
	const char *host_ip; /* "" any */
	int host, container;
};

struct local_volume {
	const char *source; /* absolute: a path of the host; else a volume's name */
	const char *target;
	bool readonly;
	const char *tmpfs; /* its options, instead of a source */
};

/* Everything `proa run` may say. Strings are the caller's. */
struct local_options {
	const char *image, *name; /* name NULL: made */
	const char *platform;
	const char *const *words; /* command and arguments; none: the image's */
	size_t n_words;
	const char *entrypoint; /* NULL: the image's; "": none */
	const char *const *env; /* NULL-terminated "K=V" */
	const char *user, *workdir, *hostname;
	struct local_volume *volumes;
	size_t n_volumes;
	struct local_port ports[LOCAL_PORTS_MAX];
	size_t n_ports;
	enum local_network network;
	int64_t memory, pids; /* 0: no limit */
	double cpus;
	bool tty, interactive, readonly, privileged, remove;
	const char *const *cap_add, *const *cap_drop; /* NULL-terminated, or NULL */
	const char *const *hosts, *const *labels;     /* "NAME:IP", "KEY=VALUE"; likewise */
	const char *stop_signal;		      /* NULL: the image's */
	struct spec_rlimit *rlimits;
	size_t n_rlimits;
	struct spec_sysctl *sysctls;
	size_t n_sysctls;
	int64_t shm_size; /* 0: the usual */
};

struct local_record {
	struct arena arena;
	char id[CONTAINER_ID_LEN + 1];
	const char *name, *image, *image_id, *command, *ip;
	const char *stop_signal;   /* "" the image's */
	const char *const *labels; /* "KEY=VALUE", NULL-terminated */
	int64_t created_ns;
	bool remove, tty;
	bool complete; /* made; false on disk: its maker lives, or it is to be removed */
	bool bridged;  /* has, or may have, an address */
	struct local_port ports[LOCAL_PORTS_MAX];
	size_t n_ports;
};

struct local {
	struct loop *loop;
	char *state_dir;
	const char *shim;
	struct image_store *images; /* NULL where none is needed */
};

int local_open(struct local *l, const char *state_dir, const char *shim, char *err, size_t err_len);
void local_close(struct local *l);
/* Removes what commands left that were killed. l->images is open. */
void local_sweep(struct local *l);

/* ---- one container ---- */
struct local_container {
	struct local *local;
	struct local_record *record;
	struct runtime *runtime; /* NULL: its shim is gone */
	struct container_status status;
	bool exited; /* status, or because the shim is gone */
	int lock;
};

/*
 * Makes the image's container, started or not, and remembers it. The image is in the store already. On failure nothing
 * is left. 0; -ENOENT, -EEXIST the name is taken, -EINVAL the container's own fault, others.
 */
int local_create(struct local *l, const struct local_options *o, struct local_container **ret, char *err,
		 size_t err_len);
int local_start(struct local_container *c, char *err, size_t err_len);
/* By name, id, or the beginning of an id. -ENOENT; -EEXIST when several begin so. */
int local_find(struct local *l, const char *name, struct local_container **ret, char *err, size_t err_len);
/* Every container, the newest first; stop by returning false. */
int local_each(struct local *l, bool (*fn)(void *arg, struct local_container *c), void *arg, char *err, size_t err_len);
/* "SIGTERM", "TERM", "15"; 0: none of them. */
int local_signal_number(const char *name);
void local_container_free(struct local_container *c); /* NULL-safe; the container stays */

/* Runs the loop until it has exited. The exit code. */
int local_wait(struct local_container *c);
int local_signal(struct local_container *c, int signum, char *err, size_t err_len);
/* The image's stop signal or SIGTERM, then SIGKILL; returns when it has exited. */
int local_stop(struct local_container *c, int64_t grace_ms, char *err, size_t err_len);
/* force: kills it when it runs, else -EBUSY. */
int local_remove(struct local_container *c, bool force, char *err, size_t err_len);
char *local_log_path(const struct local_container *c); /* malloc'd */

/* ---- streams ---- */
/*
 * Copies between this process's own descriptors and the container's until it has exited (or the exec has) and its
 * output has ended. Signals are passed on; with a terminal it becomes raw and its size is followed. The exit code, or
 * negative errno. start: start the container once attached.
 */
int local_attach(struct local_container *c, bool input, bool start, char *err, size_t err_len);
struct local_exec {
	const char *const *words, *const *env;
	const char *user, *workdir;
	bool tty, interactive;
};
int local_exec(struct local_container *c, const struct local_exec *x, char *err, size_t err_len);

/* ---- ports: connections to the host's are handed on as long as the loop runs ---- */
struct local_ports;
int local_ports_open(struct local_container *c, struct local_ports **ret, char *err, size_t err_len);
void local_ports_close(struct local_ports *p); /* NULL-safe */

#endif
