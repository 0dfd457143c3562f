/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the end of an HTTP/1.1 message head and checks its lines strictly (RFC 9112, 2 to 5): every line ends with CR
 * LF, no other CR, LF or NUL, no folded lines, a field name is a token directly followed by a colon. What other
 * implementations might read in another way is refused here, before framing is decided.
 */
#ifndef PROA_HTTP_H1_HEAD_H
#define PROA_HTTP_H1_HEAD_H

#include <stddef.h>

enum h1_head_result { H1_HEAD_MORE, H1_HEAD_DONE, H1_HEAD_BAD };
enum h1_head_kind { H1_HEAD_REQUEST, H1_HEAD_RESPONSE };

struct h1_head_scan {
	size_t at;    /* everything before was checked; DONE: one past the head */
	size_t start; /* of the first line: empty lines before a request are skipped (RFC 9112, 2.2) */
	size_t lines;
};

/* p is the whole received text each time; scan remembers how far it was checked. */
enum h1_head_result h1_head_scan(struct h1_head_scan *s, const char *p, size_t len, enum h1_head_kind kind);

#endif
