/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source rewriting for what pods send to addresses outside the cluster: one nf_tables table of our own, made and
 * removed by the nft program (its library is GPL; the program is run, not linked).
 */
#ifndef PROA_NETWORK_MASQUERADE_H
#define PROA_NETWORK_MASQUERADE_H

/* table: a name of our own. 0, -ENOENT when there is no nft program, -EIO when it refused. Replaces the table. */
int masquerade_install(const char *table, const char *pod_cidr, const char *cluster_cidr);
void masquerade_remove(const char *table);

#endif
