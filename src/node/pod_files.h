/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of the files that the agent manages inside containers: /etc/hosts and /etc/resolv.conf. Pure. */
#ifndef PROA_NODE_POD_FILES_H
#define PROA_NODE_POD_FILES_H

struct buf;
struct json;

#define RESOLV_NAMESERVERS_MAX 3 /* what the C library reads */
#define RESOLV_SEARCHES_MAX 32	 /* upstream's validation */

/* host: the node's /etc/hosts, used under hostNetwork. ip "" or NULL: no line for the pod itself. */
void hosts_file(struct buf *out, const struct json *pod, const char *hostname, const char *ip,
		const char *cluster_domain, const char *host);
/* host: the node's /etc/resolv.conf. cluster_dns NULL: ClusterFirst means Default. */
void resolv_file(struct buf *out, const struct json *pod, const char *cluster_dns, const char *cluster_domain,
		 const char *host);

#endif
