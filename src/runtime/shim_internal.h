/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's parts: shim.c (loop, connections), shim_pod.c, shim_container.c, shim_exec.c, shim_io.c, shim_log.c. */
#ifndef PROA_RUNTIME_SHIM_INTERNAL_H
#define PROA_RUNTIME_SHIM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/macros.h"
#include "runtime/cgroup.h"
#include "runtime/frame.h"
#include "runtime/launch.h"
#include "runtime/spec.h"

#define SHIM_CONNS_MAX 8	/* agents (one, and its successor), command line tools */
#define SHIM_CONTAINERS_MAX 256 /* of a pod, exited ones not yet removed included */
#define SHIM_EXECS_MAX 256
#define ATTACH_MAX 16	      /* of one container */
#define ATTACH_STALL_MS 10000 /* a reader that takes nothing for so long is dropped: it must not stop the container */
#define READ_MAX 16384	      /* bytes a read from a container's stream; also the longest CRI log record */

/* ---- loop ---- */
struct source {
	int fd; /* -1: not watched */
	uint32_t events;
	void (*fn)(struct source *s, uint32_t events);
};
int source_add(struct source *s, int fd, uint32_t events, void (*fn)(struct source *, uint32_t));
void source_set(struct source *s, uint32_t events);
void source_remove(struct source *s); /* the descriptor stays open */
void source_close(struct source *s);  /* and closes it */
void deadline(int64_t at_ms);	      /* the loop must look at the timers by then */

/* ---- connections ---- */
struct conn;
struct json;
/* body: the reply's members; err: see reply_error. conn may be gone: c is looked up by its serial number. */
struct reply_to {
	uint64_t conn, id;
};
void reply_ok(struct reply_to to);
void reply_json(struct reply_to to, const char *json, const int *fds, int n_fds);
int reply_error(struct reply_to to, int code, const char *reason, const char *fmt, ...) PRINTF_LIKE(4, 5); /* -1 */
void send_exited(struct reply_to to, int exit_code);
bool conn_alive(uint64_t conn);
void broadcast_status(const struct container_status *s);

/* ---- logs ---- */
struct log_part {
	char *data; /* the unfinished line, at most READ_MAX; NULL when there is none */
	size_t len;
};
struct log {
	int fd;
	char *path;
	int64_t size, size_max;
	int files_max;
	bool mid_line[2];   /* the stream's last record was partial: no rotation now */
	bool reopen;	    /* asked for, and waits for the end of a line */
	int64_t not_before; /* a rotation failed: not again before the file has this size */
	int64_t lost;	    /* bytes of output since writing fails, with this error */
	int error;
	struct log_part part[2]; /* stdout, stderr */
};
int log_open(struct log *l, const char *path, int64_t size_max, int files_max);
void log_write(struct log *l, int stream, const char *data, size_t len); /* stream: 0 stdout, 1 stderr */
void log_finish(struct log *l, int stream);				 /* the stream ended, perhaps within a line */
int log_reopen(struct log *l); /* a new file now, or when the line that is being written ends */
void log_close(struct log *l);

/* ---- containers ---- */
struct attach {
	struct list link;
	struct container *c;
	struct source in, out[2];
	char *pending[2]; /* not yet taken by the reader */
	size_t pending_len[2];
	int64_t stalled_ms; /* since when; 0: not */
	struct reply_to to;
};

struct container {
	struct list link;
	struct arena arena; /* holds spec */
	struct container_spec spec;
	struct container_status status;
	char cgroup[CGROUP_PATH_MAX];
	bool has_cgroup, own_pid_ns, settled; /* settled: running, exited, or waiting for start */
	pid_t pid;			      /* not yet reaped; 0 otherwise */
	struct source sync;
	bool gate, gate_open;
	struct sync_message failed; /* kind SYNC_FAILED once it was */
	struct reply_to creator, starter;
	int64_t kill_at_ms; /* 0: no deadline */

	struct source out[2]; /* its stdout and stderr, or the terminal's master and nothing */
	struct source in;     /* to its stdin; watched only while something is pending */
	char *in_pending;
	size_t in_pending_len;
	bool in_ends; /* closed once in_pending is written */
	struct log log;
	struct list attaches;
	int n_attaches;
};

struct exec {
	struct list link;
	struct arena arena;
	struct container_spec spec;
	pid_t pid;
	struct source sync;
	int tty;
	bool started, kill_on_close;
	struct sync_message failed;
	struct reply_to to;
};

struct shim {
	char *dir;
	bool created;
	struct arena arena; /* holds pod */
	struct pod_spec pod;
	char cgroup[CGROUP_PATH_MAX]; /* of the pod */
	struct cgroup_layout layout;
	int64_t log_size_max;
	int log_files_max;
	int shm_ns; /* mount namespace that holds the pod's shm at SHM_AT; -1: the host's /dev/shm */
	int host_mnt_ns;
	int pid_ns; /* shared pid namespace; -1 */
	pid_t init; /* its first process */
	struct list containers, execs;
	int n_containers, n_execs;
	bool removing;
	struct reply_to remover;
};
extern struct shim shim;

int shim_listen(void); /* DIR/shim.sock; shim.c */

/* shim_pod.c */
int pod_create(struct json *body, struct reply_to to);
void pod_update(struct json *body, struct reply_to to);
void pod_remove(struct reply_to to);
void pod_check_removed(bool no_children); /* ends the process when all is gone */
int pod_shm(void);			  /* a detached mount of the pod's shm, or negative errno */

/* shim_container.c */
struct container *container_find(const char *id);
void container_create(struct json *body, const int *fds, int n_fds, struct reply_to to);
void container_start(struct container *c, struct reply_to to);
int container_stop(struct container *c, int signum, int64_t grace_ms);
void container_kill(struct container *c); /* everything in it */
void container_exited(struct container *c, int wait_status);
void container_free(struct container *c); /* with cgroup and directory; not while it runs */
void container_timers(int64_t now_ms);

/* shim_exec.c */
void exec_start(struct json *body, int *fds, int n_fds, struct reply_to to);
void exec_kill(pid_t pid, struct reply_to to);
void exec_exited(struct exec *e, int wait_status);
void exec_conn_closed(uint64_t conn);
int sync_read(int fd, struct sync_message *m, int *ret_fd); /* 1 a message, 0 end, -EAGAIN nothing yet */
int open_seccomp(const struct container_spec *s, int *ret); /* *ret: -1 without a filter */

/* shim_io.c */
int io_prepare(struct container *c, int child[3]); /* pipes: our ends into c, the child's into child */
void io_take_tty(struct container *c, int master);
void io_drain(struct container *c); /* what the ended container had written; closes everything */
void io_end(struct container *c);   /* it ended: attached clients take what is left, everything else is closed */
void io_release(struct container *c);
void attach_start(struct container *c, const int fds[3], struct reply_to to);
void attach_timers(struct container *c, int64_t now_ms);

#endif
