/* SPDX-License-Identifier: Apache-2.0 */
#include "io/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

struct answer {
	bool done;
	int status;
	struct ares_addrinfo *list;
};

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
	struct answer *a = arg;

	(void)timeouts;
	a->done = true;
	a->status = status;
	a->list = list;
}

/* Lets the channel do its work until the answer is there. */
static void wait_for(ares_channel channel, struct answer *a)
{
	while (!a->done) {
		ares_socket_t socks[ARES_GETSOCK_MAXNUM];
		struct pollfd fds[ARES_GETSOCK_MAXNUM];
		int mask = ares_getsock(channel, socks, ARES_GETSOCK_MAXNUM);
		nfds_t n = 0;
		struct timeval most = {.tv_sec = RESOLVE_MS_MAX / 1000}, tv;
		for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
			short events = (short)((ARES_GETSOCK_READABLE(mask, i) ? POLLIN : 0) |
					       (ARES_GETSOCK_WRITABLE(mask, i) ? POLLOUT : 0));
			if (events)
				fds[n++] = (struct pollfd){.fd = socks[i], .events = events};
		}
		const struct timeval *t = ares_timeout(channel, &most, &tv);
		int r = poll(fds, n, (int)(t->tv_sec * 1000 + t->tv_usec / 1000 + 1));
		if (r <= 0)
			ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
		for (nfds_t i = 0; r > 0 && i < n; i++)
			if (fds[i].revents)
				ares_process_fd(channel, fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD,
						fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
	}
}

static int address_text(const struct sockaddr *sa, unsigned port, char *out)
{
	char host[INET6_ADDRSTRLEN];

	if (sa->sa_family == AF_INET) {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)sa)->sin_addr, host, sizeof(host));
		snprintf(out, RESOLVE_TEXT_MAX, "%s:%u", host, port);
		return 1;
	}
	if (sa->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)sa)->sin6_addr, host, sizeof(host));
		snprintf(out, RESOLVE_TEXT_MAX, "[%s]:%u", host, port);
		return 1;
	}
	return 0;
}

static int fail(int status, const char *host, char *err, size_t err_len)
{
	int r = status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME ? -ENOENT
		: status == ARES_ETIMEOUT						      ? -ETIMEDOUT
											      : -EHOSTUNREACH;

	snprintf(err, err_len, "lookup %s: %s", host, r == -ENOENT ? "no such host" : ares_strerror(status));
	return r;
}

static void init_library(void)
{
	ares_library_init(ARES_LIB_INIT_ALL);
}

int resolve_host(const char *host, unsigned port, char ret[RESOLVE_ADDRESSES_MAX][RESOLVE_TEXT_MAX], char *err,
		 size_t err_len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct ares_options o = {.timeout = RESOLVE_MS_MAX, .tries = 2};
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct in6_addr six;
	struct in_addr four;
	struct answer a = {0};
	ares_channel channel;
	int n = 0;

	if (inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1) {
		snprintf(ret[0], RESOLVE_TEXT_MAX, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
		return 1;
	}
	pthread_once(&once, init_library);
	int status = ares_init_options(&channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
	if (status != ARES_SUCCESS)
		return fail(status, host, err, err_len);
	ares_getaddrinfo(channel, host, NULL, &hints, on_answer, &a);
	wait_for(channel, &a);
	ares_destroy(channel);
	if (a.status != ARES_SUCCESS)
		return fail(a.status, host, err, err_len);
	for (struct ares_addrinfo_node *e = a.list->nodes; e && n < RESOLVE_ADDRESSES_MAX; e = e->ai_next)
		n += address_text(e->ai_addr, port, ret[n]);
	ares_freeaddrinfo(a.list);
	return n ? n : fail(ARES_ENODATA, host, err, err_len);
}
