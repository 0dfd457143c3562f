/* SPDX-License-Identifier: Apache-2.0 */
/* Where probes and hooks connect to, and why they could not, as upstream words it. */
#ifndef PROA_NODE_DIAL_H
#define PROA_NODE_DIAL_H

/* "192.0.2.1:80", "[2001:db8::1]:80". The caller frees it. */
char *dial_address(const char *host, int port);
/* error: an errno. "dial tcp 192.0.2.1:80: connect: connection refused". The caller frees it. */
char *dial_error(const char *address, int error);

#endif
