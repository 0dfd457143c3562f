/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /containerLogs: a container's log files, rotated ones included (PATH.4 … PATH.1, PATH), as the text that the
 * container wrote. Following waits for inotify; it ends when the container has ended and all was sent. The client's
 * pace rules: no more is read while LOG_QUEUE_BYTES wait for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/env.h"
#include "base/list.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/vec.h"
#include "base/str.h"
#include "http/server.h"
#include "io/loop.h"
#include "node/agent_internal.h"
#include "node/cri_log.h"
#include "node/kubelet_internal.h"
#include "node/pod.h"

/* Whoever may write to the log directory must not have us read something else, or wait. */
#define LOG_OPEN (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
#define LOG_QUEUE_BYTES (256u << 10) /* waiting for a slow client before reading pauses */
#define LOG_READ_BYTES (64u << 10)
#define LOG_LINE_MAX (256u << 10) /* CRI records are cut at 16 KiB by the runtime; longer ones are not records */
#define LOG_FILES_MAX 16	  /* rotated ones that are looked for */

struct log_reader {
	struct list link; /* in the api's followers */
	struct http_request *request;
	struct agent *agent;
	struct log_options o;
	char *uid, *container, *id; /* whose log it is: follow ends when this incarnation has */
	char *path;
	VEC(int) fds; /* still to be read, oldest first */
	off_t offset; /* in the first of them */
	bool rotated; /* the last of them has another name now: nothing is written to it any more */
	struct buf line;
	bool continued; /* the last record was a part: no time stamp before the next */
	int64_t left;	/* of limitBytes; -1: no limit */
	int inotify;
	struct loop_fd *watch;
	struct loop_defer *pump;
	bool ended;
};

static void reader_free(struct log_reader *l)
{
	list_remove(&l->link);
	loop_fd_free(l->watch);
	if (l->inotify >= 0)
		close(l->inotify);
	loop_defer_free(l->pump);
	VEC_EACH(fd, &l->fds)
		close(*fd);
	VEC_RELEASE(&l->fds);
	buf_release(&l->line);
	free(l->uid);
	free(l->container);
	free(l->id);
	free(l->path);
	free(l);
}

static void on_close(void *arg, bool aborted)
{
	(void)aborted;
	reader_free(arg);
}

static void end(struct log_reader *l)
{
	if (l->ended)
		return;
	l->ended = true;
	http_stream_end(l->request); /* on_close frees l */
}

/* ---- lines ---- */

static void emit(struct log_reader *l, struct buf *out, const struct cri_log_line *c)
{
	bool wanted = c->stream == CRI_LOG_STDOUT ? l->o.want_stdout : l->o.want_stderr;

	if (!wanted || c->time_ns < l->o.since_ns)
		return;
	if (l->o.timestamps && !l->continued) {
		buf_add(out, c->time, c->time_len);
		buf_addc(out, ' ');
	}
	buf_add(out, c->text, c->text_len);
	if (!c->partial)
		buf_addc(out, '\n');
	l->continued = c->partial;
}

static void take_bytes(struct log_reader *l, const char *p, size_t len, struct buf *out)
{
	while (len > 0) {
		const char *nl = memchr(p, '\n', len);
		size_t n = nl ? (size_t)(nl - p) : len;
		struct cri_log_line c;

		if (!nl || l->line.len) {
			if (l->line.len + n > LOG_LINE_MAX)
				buf_clear(&l->line);
			else
				buf_add(&l->line, p, n);
		}
		if (!nl)
			return;
		if (l->line.len ? cri_log_parse(l->line.data, l->line.len, &c) == 0 : cri_log_parse(p, n, &c) == 0)
			emit(l, out, &c);
		buf_clear(&l->line);
		p += n + 1;
		len -= n + 1;
	}
}

/* Sends what there is, within limitBytes; false when the limit is reached. */
static bool send_out(struct log_reader *l, struct buf *out)
{
	size_t n = out->len;

	if (l->left >= 0 && (int64_t)n > l->left)
		n = (size_t)l->left;
	if (n) {
		struct bytes *b = bytes_new(out->data, n);

		http_stream_write(l->request, b);
		bytes_unref(b);
	}
	if (l->left >= 0)
		l->left -= (int64_t)n;
	return l->left != 0;
}

/* ---- following ---- */

static bool still_alive(const struct log_reader *l)
{
	struct pod *p = map_get(&l->agent->pods, l->uid);
	struct pod_container *pc = p ? pod_container_named(p, l->container) : NULL;

	return pc && str_eq(pc->c.id, l->id) && container_is_alive(&pc->c);
}

/* PATH, PATH.1 and so on. */
static char *file_name(const struct log_reader *l, int i)
{
	return i ? xasprintf("%s.%d", l->path, i) : xstrdup(l->path);
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* Which of the names an open file has now; -1: none, it was the oldest and is deleted. */
static int find_name(const struct log_reader *l, const struct stat *file)
{
	for (int i = 0; i <= LOG_FILES_MAX; i++) {
		_cleanup_free_ char *name = file_name(l, i);
		struct stat st;

		if (stat(name, &st) == 0 && same(&st, file))
			return i;
	}
	return -1;
}

static int open_oldest(const struct log_reader *l)
{
	for (int i = LOG_FILES_MAX; i >= 0; i--) {
		_cleanup_free_ char *name = file_name(l, i);
		int fd = open(name, LOG_OPEN);

		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}

/* The file that was begun when this one was full. All may be renamed at any moment: it counts if ours was not. */
static int open_successor(const struct log_reader *l, const struct stat *file)
{
	for (int tries = 0; tries < LOG_FILES_MAX; tries++) {
		int i = find_name(l, file);

		if (i == 0)
			return -EAGAIN;
		if (i < 0)
			return open_oldest(l);
		_cleanup_free_ char *name = file_name(l, i - 1);
		int fd = open(name, LOG_OPEN);

		if (fd < 0)
			return -errno; /* between two renames; the second will wake us */
		if (find_name(l, file) == i)
			return fd;
		close(fd);
	}
	return -EAGAIN;
}

/* What was read is at its end: whether there is more to read, now. */
static bool next_file(struct log_reader *l)
{
	struct stat here;
	int fd;

	if (l->fds.n > 1) {
		close(l->fds.at[0]);
		VEC_REMOVE(&l->fds, 0);
		l->offset = 0;
		return true;
	}
	if (!l->o.follow)
		return false;
	if (l->fds.n == 1) {
		if (fstat(l->fds.at[0], &here) < 0)
			return false;
		/* What was written between our last read and the rotation comes first. */
		if (!l->rotated)
			return l->rotated = find_name(l, &here) != 0;
		fd = open_successor(l, &here);
	} else {
		fd = open_oldest(l);
	}
	if (fd < 0)
		return false;
	if (l->fds.n == 1) {
		close(l->fds.at[0]);
		VEC_REMOVE(&l->fds, 0);
	}
	VEC_PUSH(&l->fds, fd);
	l->offset = 0;
	l->rotated = false;
	return true;
}

static void pump(void *arg)
{
	char *chunk = xmalloc(LOG_READ_BYTES);
	struct log_reader *l = arg;

	while (!l->ended && http_stream_queued(l->request) < LOG_QUEUE_BYTES) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		/* Asked before reading: what was written before the end is then read for sure. */
		bool alive = l->o.follow && still_alive(l);
		ssize_t n = l->fds.n ? pread(l->fds.at[0], chunk, LOG_READ_BYTES, l->offset) : 0;

		if (n > 0) {
			l->offset += n;
			take_bytes(l, chunk, (size_t)n, &out);
			if (!send_out(l, &out))
				end(l);
			continue;
		}
		if (next_file(l))
			continue;
		if (!alive)
			end(l);
		break;
	}
	free(chunk);
}

static void on_drain(void *arg)
{
	struct log_reader *l = arg;

	loop_defer_schedule(l->pump);
}

static void on_inotify(void *arg, int events)
{
	struct log_reader *l = arg;
	char buf[4096];

	(void)events;
	while (read(l->inotify, buf, sizeof(buf)) > 0)
		;
	loop_defer_schedule(l->pump);
}

/* The directory is watched: writes to the current file and the birth of the next one both show there. */
static void watch_dir(struct log_reader *l)
{
	_cleanup_free_ char *dir = xstrdup(l->path);

	*strrchr(dir, '/') = 0;
	l->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (l->inotify < 0 || inotify_add_watch(l->inotify, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
		log_warn("cannot watch a log directory path=%s error=%s", dir, strerror(errno));
		return;
	}
	l->watch = loop_fd_new(l->agent->loop, l->inotify, LOOP_READABLE, on_inotify, l);
}

void kubelet_logs_wake(struct kubelet_api *k, const char *uid)
{
	LIST_EACH(link, &k->followers) {
		struct log_reader *l = LIST_ENTRY(link, struct log_reader, link);

		if (str_eq(l->uid, uid))
			loop_defer_schedule(l->pump);
	}
}

/* ---- starting ---- */

/* From the newest on: a rotation meanwhile then shows a file twice, which is seen, and hides none. */
static void open_files(struct log_reader *l)
{
	VEC(int) found = {0};
	struct stat last = {0};

	for (int i = 0; i <= LOG_FILES_MAX; i++) {
		_cleanup_free_ char *name = file_name(l, i);
		int fd = open(name, LOG_OPEN);
		struct stat st;

		if (fd < 0)
			continue;
		if (fstat(fd, &st) == 0 && same(&st, &last)) {
			close(fd);
			continue;
		}
		last = st;
		VEC_PUSH(&found, fd);
	}
	for (size_t i = found.n; i > 0; i--)
		VEC_PUSH(&l->fds, found.at[i - 1]);
	VEC_RELEASE(&found);
}

/* Skips to the last tail_lines lines: whole files from the oldest on, then into one of them. */
static void seek_tail(struct log_reader *l)
{
	int64_t want = l->o.tail_lines;
	size_t keep = l->fds.n;

	if (want < 0)
		return;
	while (keep > 0) {
		struct stat st;
		int64_t got = 0;
		void *map;

		keep--;
		l->offset = 0;
		if (fstat(l->fds.at[keep], &st) < 0 || st.st_size == 0)
			continue;
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, l->fds.at[keep], 0);
		if (map == MAP_FAILED)
			continue;
		l->offset = (off_t)cri_log_tail(map, (size_t)st.st_size, want, &got);
		munmap(map, (size_t)st.st_size);
		want -= got;
		if (want <= 0)
			break;
	}
	for (; keep > 0; keep--) {
		close(l->fds.at[0]);
		VEC_REMOVE(&l->fds, 0);
	}
}

/* Which file, or an answer to the client and NULL. */
static char *log_path(struct http_request *r, const struct pod_container *pc, const struct log_options *o)
{
	const struct pod *p = pc->pod;
	char *path;

	if (o->previous) {
		path =
		    pc->c.restarts > 0 ? xasprintf("%s/%s/%u.log", p->log_dir, pc->c.name, pc->c.restarts - 1) : NULL;
		if (path && access(path, F_OK) == 0)
			return path;
		free(path);
		kubelet_failf(r, 400, "previous terminated container \"%s\" in pod \"%s\" not found", pc->c.name,
			      p->name);
		return NULL;
	}
	if (!pc->c.id) {
		kubelet_failf(r, 400, "container \"%s\" in pod \"%s\" is waiting to start: %s", pc->c.name, p->name,
			      str_or(pc->c.waiting_reason, "ContainerCreating"));
		return NULL;
	}
	return pc->log_path ? xstrdup(pc->log_path) : xasprintf("%s/%s/%u.log", p->log_dir, pc->c.name, pc->c.restarts);
}

void kubelet_logs(struct kubelet_api *k, struct http_request *r, const struct kubelet_path *path)
{
	struct pod_container *pc = kubelet_find_container(k, r, path);
	struct log_options o;
	struct log_reader *l;
	char error[256], *file;

	if (!pc)
		return;
	if (log_options_parse(http_query(r), now_ns(), &o, error, sizeof(error)) < 0) {
		kubelet_failf(r, 400, "%s", error);
		return;
	}
	file = log_path(r, pc, &o);
	if (!file)
		return;
	l = NEW(struct log_reader);
	l->request = r;
	l->agent = k->agent;
	l->o = o;
	l->o.follow &= !o.previous;
	l->left = o.limit_bytes;
	l->uid = xstrdup(pc->pod->uid);
	l->container = xstrdup(pc->c.name);
	l->id = xstrdup(pc->c.id);
	l->path = file;
	l->inotify = -1;
	list_add_tail(&k->followers, &l->link);
	l->pump = loop_defer_new(k->agent->loop, pump, l);
	if (l->o.follow)
		watch_dir(l);
	open_files(l);
	seek_tail(l);
	http_stream_begin(r, 200, "text/plain; charset=utf-8");
	http_on_close(r, on_close, l);
	http_on_drain(r, on_drain, l);
	loop_defer_schedule(l->pump);
}
