/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server in a child process with a few routes, and blocking helpers to talk to it. The child is ended by SIGTERM,
 * drains and frees everything; server_stop() fails the test unless it ended cleanly (leaks are found by the sanitizer
 * there).
 */
#ifndef PROA_TEST_FIXTURE_H
#define PROA_TEST_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../io/certs.h"
#include "http/server.h"

struct test_server {
	pid_t pid;
	int port;
	char address[64];
	int out; /* what the child writes about events: one byte each */
};

/* certs NULL: plain. handler NULL: the routes of fixture.c. */
void server_start(struct test_server *s, const struct http_limits *limits, const struct test_certs *certs,
		  http_handler handler);
void server_stop(struct test_server *s);
void server_wait(struct test_server *s); /* after a SIGTERM of the test's own */

int raw_connect(const struct test_server *s);
void raw_send(int fd, const void *p, size_t len);
/* Reads until `until` occurs (NULL: until the peer closes) or 10 s; malloc'd text. */
char *raw_read(int fd, const char *until);
/* Connects, sends, reads until close. */
char *raw_exchange(const struct test_server *s, const char *text);
/* Runs a shell command, returns what it writes; %s in fmt etc. as printf. */
char *run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *write_temp(const char *text); /* path, malloc'd; removed at exit */

#endif
