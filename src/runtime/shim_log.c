/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's log in the CRI format: `2026-11-23T01:57:00.123456789Z stdout F text`, one record a line; P instead of
 * F for a piece of a line longer than READ_MAX. Full at size_max it is renamed to PATH.1 (older ones to .2 and so on)
 * and begun anew, only between lines, so that no line is ever split over two files. A full disk loses lines, not the
 * container: the rest is dropped until writes work again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/fs.h"
#include "base/mem.h"
#include "runtime/shim_internal.h"

#define HEADER_MAX 64

static char
    out[READ_MAX + 2 * HEADER_MAX]; /* records on their way to the file; pages untouched until there is output */
static size_t out_len;

static int reopen(struct log *l)
{
	struct stat st;
	int fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	l->size = fstat(fd, &st) == 0 ? st.st_size : 0;
	l->fd = fd;
	return 0;
}

int log_open(struct log *l, const char *path, int64_t size_max, int files_max)
{
	*l = (struct log){.fd = -1, .size_max = size_max, .files_max = files_max};
	if (!path)
		return 0;
	l->path = xstrdup(path);
	return reopen(l);
}

int log_rotate(struct log *l)
{
	char *from = NULL, *to = NULL;
	if (l->fd < 0)
		return 0;
	for (int i = l->files_max - 1; i >= 1; i--) {
		from = i == 1 ? xstrdup(l->path) : xasprintf("%s.%d", l->path, i - 1);
		to = xasprintf("%s.%d", l->path, i);
		int r = rename(from, to) < 0 ? -errno : 0;
		free(from);
		free(to);
		if (i == 1 && r < 0 && r != -ENOENT)
			return r;
	}
	if (l->files_max <= 1)
		unlink(l->path);
	close(l->fd);
	l->fd = -1;
	return reopen(l);
}

static void flush(struct log *l)
{
	if (l->fd >= 0 && out_len && fs_write_all(l->fd, out, out_len) == 0)
		l->size += (int64_t)out_len;
	out_len = 0;
}

static void record(struct log *l, const char *time, int stream, bool full, const char *a, size_t a_len, const char *b,
		   size_t b_len)
{
	if (out_len + a_len + b_len + HEADER_MAX > sizeof(out))
		flush(l);
	int64_t size = l->size + (int64_t)out_len;
	/* A line that never ends must not make the file grow for ever. */
	if (size > l->size_max && ((!l->mid_line[0] && !l->mid_line[1]) || size > 2 * l->size_max)) {
		flush(l);
		log_rotate(l);
	}
	out_len += (size_t)snprintf(out + out_len, HEADER_MAX, "%s %s %c ", time, stream ? "stderr" : "stdout",
				    full ? 'F' : 'P');
	memcpy(out + out_len, a, a_len);
	memcpy(out + out_len + a_len, b, b_len);
	out_len += a_len + b_len;
	out[out_len++] = '\n';
	l->mid_line[stream] = !full;
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
		record(l, time_format_nano(now_ns(), time), stream, true, p->data, p->len, "", 0);
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
