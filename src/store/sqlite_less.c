/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extensions that Debian's SQLite registers in each connection (full text search, R-trees, …) and that the store has no
 * use for. Defined here, the linker need not take theirs from libsqlite3.a: a third of a megabyte less.
 */
#include "store/sqlite_less.h"

#include <sqlite3.h>

int sqlite3Fts3Init(sqlite3 *db);
int sqlite3Fts5Init(sqlite3 *db);
int sqlite3RtreeInit(sqlite3 *db);
int sqlite3StmtVtabInit(sqlite3 *db);
int sqlite3DbstatRegister(sqlite3 *db);

int sqlite3Fts3Init(sqlite3 *db)
{
	(void)db;
	return SQLITE_OK;
}

int sqlite3Fts5Init(sqlite3 *db)
{
	(void)db;
	return SQLITE_OK;
}

int sqlite3RtreeInit(sqlite3 *db)
{
	(void)db;
	return SQLITE_OK;
}

int sqlite3StmtVtabInit(sqlite3 *db)
{
	(void)db;
	return SQLITE_OK;
}

int sqlite3DbstatRegister(sqlite3 *db)
{
	(void)db;
	return SQLITE_OK;
}

void sqlite_less(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}
