/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default backend: one SQLite file, DIR/store.db, in WAL mode.
 *
 *   changes(rev, key, value)   one row a change, rev is the rowid: writing appends at the table's end, which dirties
 *                              one leaf for a small object; a NULL value is a deletion
 *   meta(name, value)          "compacted", "ceiling" (backend.h)
 *
 * synchronous=FULL: COMMIT returns after the log's fsync. Checkpoints are ours (maintain), after CHECKPOINT_FRAMES, so
 * that they never delay a commit that somebody waits for and the log stays small. The file is locked exclusively, which
 * also keeps the log's index in memory. application_id and user_version say whose file it is and of which layout.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/backend.h"
#include "store/sqlite_less.h"
#include "store/store_internal.h"

#define APPLICATION_ID 0x70726f61 /* "proa" */
#define LAYOUT_VERSION 1
#define CHECKPOINT_FRAMES 1000	  /* 4 MiB of log: read back within a moment when starting after a crash */
#define LOG_BYTES_KEPT (4u << 20) /* the log's file is reused, not truncated, up to this size */
#define CACHE_KIB 256		  /* objects are in memory already */
#define VACUUM_PAGES_MIN 1024	  /* give space back only when there are so many free pages, */
#define VACUUM_FREE_PART 4	  /* and they are at least this part of the file */
#define VACUUM_PAGES_STEP 256

struct store_backend {
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *insert, *prune, *meta;
	int log_frames;
	bool full; /* the last commit found no space: a checkpoint may make some */
};

static int failure(char *err, size_t err_len, const char *path, int r, const char *fmt, ...) PRINTF_LIKE(5, 6);
static int failure(char *err, size_t err_len, const char *path, int r, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(err, err_len, "%s: %s", path, text);
	return r;
}

static bool no_space(sqlite3 *db)
{
	int code = sqlite3_errcode(db), system = sqlite3_system_errno(db);

	return code == SQLITE_FULL || (code == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT));
}

/* Of a failed call while opening. */
static int open_failure(sqlite3 *db, const char *path, char *err, size_t err_len)
{
	switch (sqlite3_errcode(db)) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return failure(err, err_len, path, -EBUSY, "is in use by another process");
	case SQLITE_NOTADB:
		return failure(err, err_len, path, -EINVAL, "is not a proa store");
	case SQLITE_CORRUPT:
		return failure(err, err_len, path, -EBADMSG, "is damaged: %s", sqlite3_errmsg(db));
	default:
		return failure(err, err_len, path, no_space(db) ? -ENOSPC : -EIO, "%s", sqlite3_errmsg(db));
	}
}

static int query_int(sqlite3 *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (r == SQLITE_OK && (r = sqlite3_step(st)) == SQLITE_ROW) {
		*ret = sqlite3_column_int64(st, 0);
		r = SQLITE_OK;
	}
	int f = sqlite3_finalize(st);
	return r == SQLITE_OK ? f : r;
}

static int log_written(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct store_backend *b = arg;

	(void)db, (void)name;
	b->log_frames = frames;
	return SQLITE_OK;
}

static int create_layout(sqlite3 *db)
{
	char sql[512];

	snprintf(sql, sizeof(sql),
		 "BEGIN IMMEDIATE;"
		 "CREATE TABLE changes(rev INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB);"
		 "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
		 "PRAGMA application_id=%d; PRAGMA user_version=%d;"
		 "COMMIT",
		 APPLICATION_ID, LAYOUT_VERSION);
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* Whose file is it? *ret_empty: nobody's yet. */
static int check_owner(sqlite3 *db, const char *path, bool *ret_empty, char *err, size_t err_len)
{
	int64_t application = 0, version = 0, tables = 0;

	if (query_int(db, "PRAGMA application_id", &application) != SQLITE_OK ||
	    query_int(db, "PRAGMA user_version", &version) != SQLITE_OK ||
	    query_int(db, "SELECT count(*) FROM sqlite_schema", &tables) != SQLITE_OK)
		return open_failure(db, path, err, err_len);
	*ret_empty = application == 0 && version == 0 && tables == 0;
	if (*ret_empty)
		return 0;
	if (application != APPLICATION_ID)
		return failure(err, err_len, path, -EINVAL, "is not a proa store, but some other program's database");
	if (version != LAYOUT_VERSION)
		return failure(err, err_len, path, -EINVAL,
			       "has layout version %lld, this proa reads version %d: it was written by a %s one",
			       (long long)version, LAYOUT_VERSION, version > LAYOUT_VERSION ? "newer" : "older");
	return 0;
}

static int prepare(struct store_backend *b)
{
	const struct {
		sqlite3_stmt **st;
		const char *sql;
	} all[] = {
	    {&b->begin, "BEGIN IMMEDIATE"},
	    {&b->commit, "COMMIT"},
	    {&b->insert, "INSERT INTO changes(rev, key, value) VALUES(?, ?, ?)"},
	    {&b->prune, "DELETE FROM changes WHERE rev = ?"},
	    {&b->meta, "REPLACE INTO meta(name, value) VALUES(?, ?)"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		int r = sqlite3_prepare_v3(b->db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT, all[i].st, NULL);
		if (r != SQLITE_OK)
			return r;
	}
	return SQLITE_OK;
}

static int open_database(struct store_backend *b, const char *path, char *err, size_t err_len)
{
	char sql[256];
	bool empty;

	sqlite_less();
	if (sqlite3_open_v2(path, &b->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) !=
	    SQLITE_OK)
		return open_failure(b->db, path, err, err_len);
	sqlite3_extended_result_codes(b->db, 0);
	sqlite3_db_config(b->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
	snprintf(
	    sql, sizeof(sql),
	    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-%d; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=FAST",
	    CACHE_KIB);
	if (sqlite3_exec(b->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return open_failure(b->db, path, err, err_len);
	int r = check_owner(b->db, path, &empty, err, err_len);
	if (r < 0)
		return r;
	snprintf(sql, sizeof(sql), "%s PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=%u",
		 empty ? "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL;" : "", LOG_BYTES_KEPT);
	if (sqlite3_exec(b->db, sql, NULL, NULL, NULL) != SQLITE_OK || (empty && create_layout(b->db) != SQLITE_OK) ||
	    prepare(b) != SQLITE_OK)
		return open_failure(b->db, path, err, err_len);
	sqlite3_wal_hook(b->db, log_written, b); /* also ends SQLite's own checkpoints */
	return 0;
}

static void backend_close(struct store_backend *b)
{
	if (!b)
		return;
	sqlite3_finalize(b->begin);
	sqlite3_finalize(b->commit);
	sqlite3_finalize(b->insert);
	sqlite3_finalize(b->prune);
	sqlite3_finalize(b->meta);
	sqlite3_close(b->db); /* checkpoints, and removes the log */
	free(b);
}

static int backend_open(const char *dir, struct store_backend **ret, char *err, size_t err_len)
{
	_cleanup_free_ char *path = xasprintf("%s/store.db", dir);
	int r = fs_mkdir_p(dir, 0700);

	if (r < 0)
		return failure(err, err_len, dir, r, "cannot be created: %s", strerror(-r));
	/*
	 * SQLite would create it readable to all. Only a new file is opened here: closing a descriptor of an old one
	 * would drop the lock that another store of this process has on it (POSIX record locks).
	 */
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno != EEXIST)
		return failure(err, err_len, path, -errno, "cannot be created: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	struct store_backend *b = NEW(struct store_backend);
	r = open_database(b, path, err, err_len);
	if (r < 0) {
		backend_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

static int load_failure(struct store_backend *b, char *err, size_t err_len)
{
	return open_failure(b->db, "store.db", err, err_len);
}

static int load_meta(struct store_backend *b, struct store_loader *l)
{
	int64_t compacted = 0, ceiling = 0;
	int r = query_int(b->db, "SELECT coalesce((SELECT value FROM meta WHERE name = 'compacted'), 0)", &compacted);

	if (r == SQLITE_OK)
		r = query_int(b->db, "SELECT coalesce((SELECT value FROM meta WHERE name = 'ceiling'), 0)", &ceiling);
	l->compacted = (uint64_t)compacted;
	l->ceiling = (uint64_t)ceiling;
	return r;
}

static int load_one(sqlite3_stmt *st, struct store_loader *l, char *err, size_t err_len)
{
	int64_t rev = sqlite3_column_int64(st, 0);
	const char *key = (const char *)sqlite3_column_text(st, 1);
	bool deleted = sqlite3_column_type(st, 2) == SQLITE_NULL;
	const void *value = sqlite3_column_blob(st, 2);
	int len = sqlite3_column_bytes(st, 2);

	if (rev <= 0 || !key || !*key || strlen(key) > STORE_KEY_MAX || (!deleted && !value))
		return failure(err, err_len, "store.db", -EBADMSG, "is damaged: row %lld makes no sense",
			       (long long)rev);
	return l->row(l->arg, (uint64_t)rev, key, value, (size_t)len, deleted);
}

static int backend_load(struct store_backend *b, struct store_loader *l, char *err, size_t err_len)
{
	sqlite3_stmt *st = NULL;
	int r = 0, s;

	if (load_meta(b, l) != SQLITE_OK ||
	    sqlite3_prepare_v2(b->db, "SELECT rev, key, value FROM changes ORDER BY rev", -1, &st, NULL) != SQLITE_OK)
		return load_failure(b, err, err_len);
	while ((s = sqlite3_step(st)) == SQLITE_ROW && (r = load_one(st, l, err, err_len)) == 0)
		;
	if (r == 0 && s != SQLITE_DONE)
		r = load_failure(b, err, err_len);
	sqlite3_finalize(st);
	return r;
}

/* ---- committing ---- */

static bool run(sqlite3_stmt *st)
{
	int r = sqlite3_step(st);

	sqlite3_reset(st);
	return r == SQLITE_DONE;
}

static bool write_row(struct store_backend *b, const struct store_row *row)
{
	sqlite3_bind_int64(b->insert, 1, (sqlite3_int64)row->rev);
	sqlite3_bind_text(b->insert, 2, row->key, -1, SQLITE_STATIC);
	if (row->value)
		sqlite3_bind_blob(b->insert, 3, row->value->data, (int)row->value->len, SQLITE_STATIC);
	else
		sqlite3_bind_null(b->insert, 3);
	return run(b->insert);
}

static bool write_meta(struct store_backend *b, const char *name, uint64_t value)
{
	sqlite3_bind_text(b->meta, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(b->meta, 2, (sqlite3_int64)value);
	return run(b->meta);
}

static bool write_batch(struct store_backend *b, const struct store_batch *batch)
{
	for (size_t i = 0; i < batch->n_rows; i++)
		if (!write_row(b, &batch->rows[i]))
			return false;
	for (size_t i = 0; i < batch->n_pruned; i++) {
		sqlite3_bind_int64(b->prune, 1, (sqlite3_int64)batch->pruned[i]);
		if (!run(b->prune))
			return false;
	}
	return (!batch->compacted || write_meta(b, "compacted", batch->compacted)) &&
	       (!batch->ceiling || write_meta(b, "ceiling", batch->ceiling));
}

static enum store_error backend_commit(struct store_backend *b, const struct store_batch *batch, char *why,
				       size_t why_len)
{
	if (run(b->begin) && write_batch(b, batch) && run(b->commit))
		return STORE_OK;
	b->full = no_space(b->db);
	snprintf(why, why_len, "%s", sqlite3_errmsg(b->db));
	if (!sqlite3_get_autocommit(b->db))
		sqlite3_exec(b->db, "ROLLBACK", NULL, NULL, NULL);
	return b->full ? STORE_FULL : STORE_IO;
}

static bool backend_wants_maintenance(const struct store_backend *b)
{
	return b->log_frames >= CHECKPOINT_FRAMES || b->full;
}

static void vacuum_step(struct store_backend *b)
{
	int64_t all = 0, unused = 0;
	char sql[64];

	if (query_int(b->db, "PRAGMA page_count", &all) != SQLITE_OK ||
	    query_int(b->db, "PRAGMA freelist_count", &unused) != SQLITE_OK)
		return;
	if (unused < VACUUM_PAGES_MIN || unused < all / VACUUM_FREE_PART)
		return;
	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES_STEP);
	sqlite3_exec(b->db, sql, NULL, NULL, NULL);
}

static void backend_maintain(struct store_backend *b)
{
	int frames = 0, done = 0;

	if (!b->full)
		vacuum_step(b);
	b->full = false;
	if (sqlite3_wal_checkpoint_v2(b->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &done) != SQLITE_OK)
		log_debug("store checkpoint failed reason=\"%s\"", sqlite3_errmsg(b->db));
	b->log_frames = frames - done;
}

static void backend_wipe_deleted(struct store_backend *b)
{
	/* Freed content is overwritten with zeros, and the log is emptied of older versions of pages. */
	sqlite3_exec(b->db, "PRAGMA secure_delete=ON; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
}

const struct store_backend_ops store_backend_sqlite = {
    .blocking = true,
    .open = backend_open,
    .load = backend_load,
    .commit = backend_commit,
    .wants_maintenance = backend_wants_maintenance,
    .maintain = backend_maintain,
    .wipe_deleted = backend_wipe_deleted,
    .close = backend_close,
};
