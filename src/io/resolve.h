/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names to addresses, by c-ares: /etc/hosts, then the servers of /etc/resolv.conf. A static executable cannot use
 * libc's getaddrinfo, whose name service modules are loaded at run time.
 */
#ifndef PROA_IO_RESOLVE_H
#define PROA_IO_RESOLVE_H

#include <stddef.h>

#define RESOLVE_ADDRESSES_MAX 8 /* tries to connect, one after another; more would only take longer to fail */
#define RESOLVE_TEXT_MAX 64	/* "[IPv6]:port" */
#define RESOLVE_MS_MAX 5000	/* of one server; each is asked twice */

/*
 * Blocks: from a worker thread or a command's process. host may be a numeric address. ret: "10.0.0.7:443" as
 * stream_connect takes them, the preferred one first. The number of them, or negative errno: -ENOENT no such name,
 * -ETIMEDOUT, -EHOSTUNREACH no server answers; err says which for a person.
 */
int resolve_host(const char *host, unsigned port, char ret[RESOLVE_ADDRESSES_MAX][RESOLVE_TEXT_MAX], char *err,
		 size_t err_len);

#endif
