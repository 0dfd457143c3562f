/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "cmd/cluster.h"
#include "server/pki.h"

#define KUBECONFIG_MAX (64 * 1024)

int credentials_ensure(struct pki *p, struct cluster *c, struct status *err)
{
	static const char *const masters[] = {"system:masters", NULL};
	static const char *const nodes[] = {"system:nodes", NULL};
	const char *host = cluster_host(c), *node_user = arena_printf(&c->arena, "system:node:%s", c->node_name);
	const char *const server_names[] = {"kubernetes",
					    "kubernetes.default",
					    "kubernetes.default.svc",
					    "kubernetes.default.svc.cluster.local",
					    "localhost",
					    c->node_name,
					    NULL};
	const char *const server_addresses[] = {"127.0.0.1", c->kubernetes_ip, c->node_ip,
						str_eq(host, "0.0.0.0") ? NULL : host, NULL};
	const char *const kubelet_names[] = {c->node_name, NULL};
	const char *const kubelet_addresses[] = {c->node_ip, "127.0.0.1", NULL};
	const struct {
		const char *name;
		struct pki_request request;
	} wanted[] = {
	    {"apiserver",
	     {.common_name = "kube-apiserver",
	      .dns_names = server_names,
	      .addresses = server_addresses,
	      .server = true}},
	    {"kubelet-client",
	     {.common_name = "kube-apiserver-kubelet-client", .organizations = masters, .client = true}},
	    {"admin", {.common_name = "kubernetes-admin", .organizations = masters, .client = true}},
	    {"agent", {.common_name = node_user, .organizations = nodes, .client = true}},
	    {"kubelet",
	     {.common_name = node_user,
	      .organizations = nodes,
	      .dns_names = kubelet_names,
	      .addresses = kubelet_addresses,
	      .server = true}},
	};
	int issued = 0;

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		int r = pki_ensure(p, wanted[i].name, &wanted[i].request, err);
		if (r < 0)
			return -1;
		issued += r;
	}
	return issued;
}

int credentials_write_kubeconfig(struct pki *p, struct cluster *c, struct status *err)
{
	_cleanup_free_ char *cert = NULL, *key = NULL, *text = NULL;
	_cleanup_buf_ struct buf there = BUF_INIT;
	struct stat st;

	if (pki_load(p, "admin", &cert, &key, err) < 0)
		return -1;
	text = pki_kubeconfig(pki_ca_pem(p), cluster_url(c), "admin", cert, key);
	if (stat(c->kubeconfig, &st) == 0 && (st.st_mode & 0777) == 0600 &&
	    fs_read(c->kubeconfig, KUBECONFIG_MAX, &there) == 0 && strcmp(buf_str(&there), text) == 0)
		return 0;
	int r = fs_write_atomic(c->kubeconfig, text, strlen(text), 0600);
	return r < 0 ? status_set(err, 500, "cannot write the kubeconfig %s: %s", c->kubeconfig, strerror(-r)) : 0;
}
