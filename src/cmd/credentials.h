/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of a cluster on this machine, all in DATA_DIR/server/pki:
 *
 *     apiserver   serves the API; names and addresses that it is reached by
 *     kubelet-client  the server towards node agents
 *     admin       system:masters, for the kubeconfig
 *     agent       system:node:NAME, the local node agent towards the server
 *     kubelet     serves the local node agent's API
 */
#ifndef PROA_CMD_CREDENTIALS_H
#define PROA_CMD_CREDENTIALS_H

struct cluster;
struct pki;
struct status;
struct tls_config;

/* Issues what is missing, wrong or worn out. The number of certificates issued, or -1 with err. */
int credentials_ensure(struct pki *p, struct cluster *c, struct status *err);
/* Writes the admin kubeconfig (0600) when it would differ. 0 or -1 with err. */
int credentials_write_kubeconfig(struct pki *p, struct cluster *c, struct status *err);

#endif
