/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite without what the store has no use for. */
#ifndef PROA_STORE_SQLITE_LESS_H
#define PROA_STORE_SQLITE_LESS_H

/* Before the first database is opened: no statistics of memory. Linking this file leaves the extensions out. */
void sqlite_less(void);

#endif
