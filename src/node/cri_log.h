/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of a container's log file, in the format that the container runtime interface agreed on:
 *
 *     2016-10-06T00:17:09.669794202Z stdout F the text of the line
 *
 * time (RFC 3339, nanoseconds), stream, tag ("F": a full line, "P": a part of one, further tags after ':'), text.
 * Pure: bytes in, fields out.
 */
#ifndef PROA_NODE_CRI_LOG_H
#define PROA_NODE_CRI_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cri_log_stream { CRI_LOG_STDOUT, CRI_LOG_STDERR };

struct cri_log_line {
	int64_t time_ns;
	const char *time; /* its text, time_len bytes */
	size_t time_len;
	enum cri_log_stream stream;
	bool partial;	  /* the line goes on in the next record of the same stream */
	const char *text; /* without the newline */
	size_t text_len;
};

/* line: one record without its newline. -EINVAL when it isn't one; fields point into line. */
int cri_log_parse(const char *line, size_t len, struct cri_log_line *ret);

/* What a reader of logs asks for: the query of /containerLogs. */
struct log_options {
	bool follow, previous, timestamps;
	int64_t tail_lines;  /* -1: all */
	int64_t since_ns;    /* 0: from the start */
	int64_t limit_bytes; /* -1: no limit */
	bool want_stdout, want_stderr;
};
/*
 * Reads the query ("follow=true&tailLines=10"). now_ns makes sinceSeconds absolute. 0, or -EINVAL with a message for
 * the client in err.
 */
int log_options_parse(const char *query, int64_t now_ns, struct log_options *ret, char *err, size_t err_len);

/*
 * The offset in data at which the last n lines start (a line counts when it ends a full record or is the unfinished
 * end). *ret_lines is how many there were, at most n.
 */
size_t cri_log_tail(const char *data, size_t len, int64_t n, int64_t *ret_lines);

#endif
