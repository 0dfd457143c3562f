/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's log in the CRI format: `2026-11-23T01:57:00.123456789Z stdout F text`, one record a line; P instead of
 * F for a piece of a line longer than READ_MAX, or for an end without a newline. Before a record that would take it
 * beyond size_max the file is renamed to PATH.1 (older ones to .2 and so on) and begun anew, but only between lines, so
 * that no line is ever split over two files; a line that never ends may take twice as much. The new file is there
 * before the old one gives up its name: when it cannot be had, the old one grows on.
 *
 * A full disk loses output, not the container: no half record stays, and once writing works again a record says how
 * much was lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/shim_internal.h"

#define HEADER_MAX 64

static char
    out[READ_MAX + 2 * HEADER_MAX]; /* records on their way to the file; pages untouched until there is output */
static size_t out_len;

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	return fd < 0 ? -errno : fd;
}

static void use(struct log *l, int fd)
{
	struct stat st;
	if (l->fd >= 0)
		close(l->fd);
	l->size = fstat(fd, &st) == 0 ? st.st_size : 0;
	l->fd = fd;
	l->not_before = 0;
	l->reopen = false;
}

int log_open(struct log *l, const char *path, int64_t size_max, int files_max)
{
	*l = (struct log){.fd = -1, .size_max = size_max, .files_max = files_max};
	if (!path)
		return 0;
	int fd = open_file(path);
	if (fd < 0)
		return fd;
	l->path = xstrdup(path);
	use(l, fd);
	return 0;
}

/* Best effort but for the last step: an older file that cannot be moved stays where it is, and is lost to the next. */
static int shift(struct log *l)
{
	for (int i = l->files_max - 1; i >= 1; i--) {
		_cleanup_free_ char *from = i == 1 ? xstrdup(l->path) : xasprintf("%s.%d", l->path, i - 1);
		_cleanup_free_ char *to = xasprintf("%s.%d", l->path, i);
		if (rename(from, to) < 0 && i == 1 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int rotate(struct log *l)
{
	_cleanup_free_ char *next = xasprintf("%s.new", l->path);
	unlink(next);
	int fd = open_file(next), r = fd < 0 ? fd : shift(l);
	if (r == 0 && rename(next, l->path) < 0)
		r = -errno;
	if (r == 0) {
		use(l, fd);
		return 0;
	}
	if (fd >= 0) {
		close(fd);
		unlink(next);
	}
	l->not_before = l->size + l->size_max / 8;
	log_warn("a log cannot be rotated path=%s error=%s", l->path, strerror(-r));
	return r;
}

static bool mid_line(const struct log *l)
{
	return l->mid_line[0] || l->mid_line[1];
}

int log_reopen(struct log *l)
{
	if (l->fd < 0)
		return 0;
	if (!mid_line(l))
		return rotate(l);
	l->reopen = true;
	return 0;
}

/* How much of what was written are whole records; the rest of it is taken back. */
static size_t whole_records(struct log *l, size_t written)
{
	size_t whole = written;
	struct stat st;
	while (whole && out[whole - 1] != '\n')
		whole--;
	if (whole < written && (fstat(l->fd, &st) < 0 || ftruncate(l->fd, st.st_size - (off_t)(written - whole)) < 0))
		log_warn("half a record stays in a log path=%s error=%s", l->path, strerror(errno));
	return whole;
}

static void flush(struct log *l)
{
	size_t done = 0;
	int error = 0;
	while (l->fd >= 0 && done < out_len && !error) {
		ssize_t n = write(l->fd, out + done, out_len - done);
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			error = errno;
	}
	if (error) {
		if (!l->error)
			log_warn("output is lost until its log can be written again path=%s error=%s", l->path,
				 strerror(error));
		done = whole_records(l, done);
		l->error = error;
		l->lost += (int64_t)(out_len - done);
	}
	l->size += (int64_t)done;
	out_len = 0;
}

/* Between lines when the next record of len bytes does not fit any more; or when one line fills two files. */
static void make_room(struct log *l, int64_t len)
{
	int64_t size = l->size + (int64_t)out_len;
	bool full = size && size + len > l->size_max;
	if ((!full && !l->reopen) || (mid_line(l) && size + len <= 2 * l->size_max) || size < l->not_before)
		return;
	flush(l);
	rotate(l);
}

static void add(struct log *l, const char *time, int stream, bool full, const char *a, size_t a_len, const char *b,
		size_t b_len)
{
	out_len += (size_t)snprintf(out + out_len, HEADER_MAX, "%s %s %c ", time, stream ? "stderr" : "stdout",
				    full ? 'F' : 'P');
	memcpy(out + out_len, a, a_len);
	memcpy(out + out_len + a_len, b, b_len);
	out_len += a_len + b_len;
	out[out_len++] = '\n';
	l->mid_line[stream] = !full;
}

/* Whether writing works again; the gap is the first thing that is written then. */
static bool tell_loss(struct log *l, const char *time)
{
	char text[160];
	int64_t lost = l->lost;
	int n = snprintf(text, sizeof(text), "[proa: %lld bytes of this log were lost here: %s]", (long long)lost,
			 strerror(l->error));
	add(l, time, 1, true, text, (size_t)n, "", 0);
	l->lost = 0;
	size_t len = out_len;
	flush(l);
	if (l->lost) /* this record is no output */
		l->lost = lost + MAX_OF(l->lost - (int64_t)len, 0);
	else
		l->error = 0;
	return !l->lost;
}

static void record(struct log *l, const char *time, int stream, bool full, const char *a, size_t a_len, const char *b,
		   size_t b_len)
{
	size_t len = a_len + b_len + strlen(time) + sizeof(" stdout F \n") - 1;
	if (out_len + len + HEADER_MAX > sizeof(out))
		flush(l);
	make_room(l, (int64_t)len);
	if (l->lost && !out_len && !tell_loss(l, time)) {
		l->lost += (int64_t)len;
		l->mid_line[stream] = !full;
		return;
	}
	add(l, time, stream, full, a, a_len, b, b_len);
}

static void keep(struct log_part *p, const char *data, size_t len)
{
	if (!len)
		return;
	p->data = xrealloc(p->data, p->len + len);
	memcpy(p->data + p->len, data, len);
	p->len += len;
}

static void drop(struct log_part *p)
{
	free(p->data);
	*p = (struct log_part){0};
}

void log_write(struct log *l, int stream, const char *data, size_t len)
{
	char time[TIME_RFC3339_MAX];
	struct log_part *p = &l->part[stream];
	if (l->fd < 0)
		return;
	time_format_nano(now_ns(), time);
	while (len) {
		const char *newline = memchr(data, '\n', len);
		size_t n = newline ? (size_t)(newline - data) : len;
		if (p->len + n > READ_MAX || (!newline && p->len + n == READ_MAX)) {
			size_t take = READ_MAX - p->len;
			record(l, time, stream, false, p->data ? p->data : "", p->len, data, take);
			drop(p);
			data += take;
			len -= take;
			continue;
		}
		if (!newline) {
			keep(p, data, n);
			break;
		}
		record(l, time, stream, true, p->data ? p->data : "", p->len, data, n);
		drop(p);
		data += n + 1;
		len -= n + 1;
	}
	flush(l);
}

void log_finish(struct log *l, int stream)
{
	char time[TIME_RFC3339_MAX];
	struct log_part *p = &l->part[stream];
	if (l->fd >= 0 && p->len) {
		record(l, time_format_nano(now_ns(), time), stream, false, p->data, p->len, "", 0);
		flush(l);
	}
	drop(p);
}

void log_close(struct log *l)
{
	drop(&l->part[0]);
	drop(&l->part[1]);
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	l->path = NULL;
	l->fd = -1;
}
