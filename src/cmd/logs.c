/* SPDX-License-Identifier: Apache-2.0 */
/* proa logs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/local_internal.h"
#include "io/loop.h"
#include "node/cri_log.h"

struct reader {
	char *path;
	int fd, inotify;
	struct buf rest; /* an unfinished record */
	bool timestamps;
	int64_t skip; /* records before the tail */
	int64_t since_ns;
};

/* "10m", "1h30m": ago; "1700000000": seconds since 1970; "2024-01-02T03:04:05Z" */
static int parse_since(const char *text, int64_t *ret_ns)
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = {1, 60, 3600, 86400};
	int64_t n, ago = 0;
	if (time_parse(text, ret_ns) == 0)
		return 0;
	if (parse_int_range(text, 0, INT64_MAX / 1000000000, &n) == 0) {
		*ret_ns = n * 1000000000;
		return 0;
	}
	for (char *end; *text; text = end + 1) {
		double value = strtod(text, &end);
		const char *unit = *end ? strchr(units, *end) : NULL;
		if (end == text || !unit || value < 0 || value > 1e9)
			return -1;
		ago += (int64_t)(value * 1e9) * seconds[unit - units];
	}
	*ret_ns = now_ns() - ago;
	return 0;
}

static void print_record(struct reader *r, const char *line, size_t len)
{
	struct cri_log_line l;
	if (cri_log_parse(line, len, &l) < 0)
		return;
	if (r->since_ns) {
		_cleanup_free_ char *time = xstrndup(l.time, l.time_len);
		int64_t ns;
		if (time_parse(time, &ns) == 0 && ns < r->since_ns)
			return;
	}
	FILE *to = l.stream == CRI_LOG_STDERR ? stderr : stdout;
	if (r->timestamps)
		fprintf(to, "%.*s ", (int)l.time_len, l.time);
	fwrite(l.text, 1, l.text_len, to);
	if (!l.partial)
		fputc('\n', to);
}

static void read_on(struct reader *r)
{
	char chunk[64 * 1024];
	for (ssize_t n; r->fd >= 0 && (n = read(r->fd, chunk, sizeof(chunk))) > 0;) {
		buf_add(&r->rest, chunk, (size_t)n);
		const char *at = r->rest.data, *nl;
		size_t used = 0;
		while ((nl = memchr(at + used, '\n', r->rest.len - used))) {
			if (r->skip > 0)
				r->skip--;
			else
				print_record(r, at + used, (size_t)(nl - at) - used);
			used = (size_t)(nl - at) + 1;
		}
		buf_consume(&r->rest, used);
	}
	fflush(stdout);
}

static int64_t count_records(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char chunk[64 * 1024];
	int64_t n = 0;
	for (ssize_t len; fd >= 0 && (len = read(fd, chunk, sizeof(chunk))) > 0;)
		for (const char *p = chunk; (p = memchr(p, '\n', (size_t)(chunk + len - p))); p++)
			n++;
	return n;
}

/* Something happened to the log: more of it, or a new file in its place. */
static void on_change(void *arg, int events)
{
	struct reader *r = arg;
	char ignored[4096];
	struct stat was, is;
	(void)events;
	while (read(r->inotify, ignored, sizeof(ignored)) > 0)
		;
	read_on(r);
	if (r->fd >= 0 && fstat(r->fd, &was) == 0 && stat(r->path, &is) == 0 && was.st_ino != is.st_ino) {
		close(r->fd);
		r->fd = open(r->path, O_RDONLY | O_CLOEXEC);
		read_on(r);
	}
}

static void follow(struct reader *r, struct local_container *c)
{
	char *slash = strrchr(r->path, '/');
	*slash = 0;
	r->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	inotify_add_watch(r->inotify, r->path, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
	*slash = '/';
	struct loop_fd *watch = loop_fd_new(c->local->loop, r->inotify, LOOP_READABLE, on_change, r);
	read_on(r); /* what came between the first reading and the watch */
	local_wait(c);
	loop_fd_free(watch);
	close(r->inotify);
	read_on(r);
}

static int logs(const struct args *a)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct reader r = {.timestamps = args_switch(a, "timestamps")};
	struct local l;
	struct local_container *c;
	int64_t tail = -1;
	const char *text = args_value(a, "tail");
	if (!str_eq(text, "all") && parse_int_range(text, 0, INT64_MAX, &tail) < 0)
		return command_fail("--tail=%s is no number of lines", text);
	if (args_given(a, "since") && parse_since(args_value(a, "since"), &r.since_ns) < 0)
		return command_fail("--since=%s is no time and no time ago", args_value(a, "since"));
	if (local_command_open(a, &arena, &l) != 0)
		return 1;
	int status = local_command_find(&l, a->operands[0], &c);
	if (status == 0) {
		r.path = local_log_path(c);
		if (tail >= 0)
			r.skip = count_records(r.path) - tail;
		r.fd = open(r.path, O_RDONLY | O_CLOEXEC);
		read_on(&r);
		if (args_switch(a, "follow") && !c->exited)
			follow(&r, c);
		if (r.fd >= 0)
			close(r.fd);
		buf_release(&r.rest);
		free(r.path);
		local_container_free(c);
	}
	local_command_close(&l);
	return status;
}

static const struct flag flags[] = {
    {"follow", NULL, NULL, "Go on until the container exits."},
    {"tail", "LINES", "all", "Only the last lines."},
    {"since", "TIME", NULL, "Only what was written since: 10m (ago), or 2024-01-02T03:04:05Z."},
    {"timestamps", NULL, NULL, "Put the time before each line."},
    LOCAL_DATA_DIR_FLAG,
    {0},
};

const struct command command_logs = {
    .name = "logs",
    .summary = "Print what a container of 'proa run' wrote",
    .about = "Print what a container of 'proa run' wrote to its standard output and error.",
    .example = "  proa logs -f --tail 10 web",
    .operands = "CONTAINER",
    .operands_min = 1,
    .operands_max = 1,
    .flags = flags,
    .letters = "f=follow n=tail t=timestamps",
    .run = logs,
};
