/* SPDX-License-Identifier: Apache-2.0 */
#include "server/audit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"
#include "http/server.h"
#include "io/loop.h"
#include "server/server_internal.h"

/* What the worker thread has for itself while a batch is written. */
struct audit_file {
	char *path;
	int fd;
	uint64_t bytes, bytes_max;
	unsigned backups_max;
};

struct audit_batch {
	struct audit *audit; /* NULL: gone meanwhile */
	struct audit_file *file;
	struct buf text;
	int result;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool finished; /* under lock: for who cannot wait for the loop */
};

struct audit {
	struct loop *loop;
	const struct audit_policy *policy;
	struct audit_file *file;
	struct buf waiting;
	struct audit_batch *batch; /* being written, or NULL */
	uint64_t dropped;
	bool failing; /* the last batch could not be written; told once until one can */
};

/* ---- the file ---- */

static int file_open(struct audit_file *f)
{
	struct stat st;

	f->fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return -errno;
	f->bytes = (uint64_t)st.st_size;
	return 0;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Rotated files are called NAME-TIME.log, so that their order is that of time. */
static void remove_oldest(const struct audit_file *f)
{
	_cleanup_free_ char *copy = xstrdup(f->path), *copy2 = xstrdup(f->path);
	const char *dir = dirname(copy), *base = basename(copy2);
	size_t stem = str_has_suffix(base, ".log") ? strlen(base) - 4 : strlen(base);
	VEC(char *) names = {0};
	DIR *d = opendir(dir);

	for (struct dirent *e; d && (e = readdir(d));)
		if (strncmp(e->d_name, base, stem) == 0 && e->d_name[stem] == '-')
			VEC_PUSH(&names, xasprintf("%s/%s", dir, e->d_name));
	if (d)
		closedir(d);
	if (names.n)
		qsort(names.at, names.n, sizeof(*names.at), compare_text);
	for (size_t i = 0; i < names.n; i++) {
		if (i + f->backups_max < names.n)
			unlink(names.at[i]);
		free(names.at[i]);
	}
	VEC_RELEASE(&names);
}

static int rotate(struct audit_file *f)
{
	char text[TIME_RFC3339_MAX];
	size_t stem = str_has_suffix(f->path, ".log") ? strlen(f->path) - 4 : strlen(f->path);
	_cleanup_free_ char *to = xasprintf("%.*s-%s.log", (int)stem, f->path, time_format_micro(now_ns(), text));

	if (rename(f->path, to) < 0)
		return -errno;
	close(f->fd);
	int r = file_open(f);
	if (r == 0 && f->backups_max)
		remove_oldest(f);
	return r;
}

static void batch_write(struct audit_batch *b)
{
	struct audit_file *f = b->file;

	b->result = f->fd < 0 ? file_open(f) : 0;
	if (b->result == 0 && f->bytes && f->bytes + b->text.len > f->bytes_max)
		b->result = rotate(f);
	if (f->fd >= 0) {
		int r = fs_write_all(f->fd, b->text.data, b->text.len);
		f->bytes += b->text.len;
		b->result = r < 0 ? r : b->result;
	}
}

/* In a worker thread. */
static void batch_run(void *arg)
{
	struct audit_batch *b = arg;

	batch_write(b);
	pthread_mutex_lock(&b->lock);
	b->finished = true;
	pthread_cond_signal(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

static void batch_free(struct audit_batch *b)
{
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->changed);
	buf_release(&b->text);
	free(b);
}

static void file_free(struct audit_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f);
}

/* ---- batches ---- */

static void pump(struct audit *a);

static void batch_done(void *arg)
{
	struct audit_batch *b = arg;
	struct audit *a = b->audit;

	if (a) {
		a->batch = NULL;
		if (b->result < 0 && !a->failing)
			log_error("the audit log cannot be written path=%s error=\"%s\"", b->file->path,
				  strerror(-b->result));
		a->failing = b->result < 0;
		if (a->dropped)
			log_warn("the audit log could not keep up dropped=%llu", (unsigned long long)a->dropped);
		a->dropped = 0;
		pump(a);
	}
	batch_free(b);
}

static struct audit_batch *take(struct audit *a)
{
	struct audit_batch *b = NEW(struct audit_batch);

	b->audit = a;
	b->file = a->file;
	b->text = a->waiting;
	a->waiting = (struct buf)BUF_INIT;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	return b;
}

static void pump(struct audit *a)
{
	if (a->batch || !a->waiting.len)
		return;
	a->batch = take(a);
	loop_work(a->loop, batch_run, batch_done, a->batch);
}

const struct audit_policy *audit_policy_of(const struct audit *a)
{
	return a->policy;
}

int audit_new(const struct audit_config *c, struct audit **ret, struct status *err)
{
	struct audit *a = NEW(struct audit);

	a->loop = c->loop;
	a->policy = c->policy;
	a->file = NEW(struct audit_file);
	*a->file = (struct audit_file){.path = xstrdup(c->path),
				       .fd = -1,
				       .bytes_max = c->file_bytes_max ? c->file_bytes_max : AUDIT_FILE_BYTES_DEFAULT,
				       .backups_max = c->backups_max};
	int r = file_open(a->file);
	if (r < 0) {
		status_set(err, 500, "the audit log %s cannot be opened: %s", c->path, strerror(-r));
		audit_free(a);
		return -1;
	}
	*ret = a;
	return 0;
}

/* Until the file is ours again. */
static void batch_wait(struct audit_batch *b)
{
	pthread_mutex_lock(&b->lock);
	while (!b->finished)
		pthread_cond_wait(&b->changed, &b->lock);
	pthread_mutex_unlock(&b->lock);
	b->audit = NULL; /* its callback, still to come, frees it */
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	if (a->batch)
		batch_wait(a->batch);
	if (a->waiting.len) {
		struct audit_batch *b = take(a);
		batch_write(b);
		batch_free(b);
	}
	file_free(a->file);
	buf_release(&a->waiting);
	free(a);
}

/* ---- requests ---- */

void audit_received(struct request *r)
{
	const struct audit *a = r->server->config.audit;
	struct authz_attributes at = request_attributes(r);

	if (!a)
		return;
	if (!r->user.name)
		at.user = NULL;
	struct audit_decision d = audit_policy_decide(a->policy, &at);
	if (d.level == AUDIT_NONE)
		return;
	struct audit_record *record = ARENA_NEW(&r->arena, struct audit_record);
	struct user *user = ARENA_NEW(&r->arena, struct user);
	*user = r->user;
	record->decision = d;
	record->received_ns = now_ns();
	record->user = r->user.name ? user : NULL;
	const char *query = http_query(r->http), *agent = http_header(r->http, "user-agent");
	record->uri =
	    arena_printf(&r->arena, "%s%s%s", http_path(r->http), str_empty(query) ? "" : "?", str_or(query, ""));
	record->agent = agent ? arena_strdup(&r->arena, agent) : NULL;
	record->sources = audit_sources(r);
	record->id = r->audit_id;
	r->audit = record;
	if (record->user)
		audit_stage(r, AUDIT_RECEIVED);
}

void audit_verdict(struct request *r, bool allowed, const char *reason)
{
	if (!r->audit)
		return;
	r->audit->verdict = allowed ? "allow" : "forbid";
	r->audit->reason = arena_strdup(&r->arena, reason);
	r->audit->impersonated = r->impersonator ? &r->user : NULL;
}

void audit_request_object(struct request *r, const struct json *object)
{
	if (r->audit && object)
		audit_name_object(r->audit, &r->route, object);
	if (r->audit && object && r->audit->decision.level >= AUDIT_REQUEST)
		r->audit->request = json_clone(&r->arena, object);
}

struct json *audit_annotations(struct request *r)
{
	if (r->audit && !r->audit->annotations)
		r->audit->annotations = json_new(&r->arena, JSON_OBJECT);
	return r->audit ? r->audit->annotations : NULL;
}

bool audit_wants_response(const struct request *r)
{
	return r->audit && r->audit->decision.level == AUDIT_REQUEST_RESPONSE && !r->audit->response;
}

void audit_response_object(struct request *r, const struct json *object)
{
	if (audit_wants_response(r) && object)
		r->audit->response = json_clone(&r->arena, object);
}

void audit_emit(struct audit *a, const struct audit_record *record, const struct route *rt, enum audit_stage stage)
{
	if (record->decision.omit_stages & stage)
		return;
	if (a->waiting.len > AUDIT_PENDING_MAX) {
		a->dropped++;
		return;
	}
	audit_event_write(&a->waiting, record, rt, stage, now_ns());
	buf_addc(&a->waiting, '\n');
	pump(a);
}

void audit_stage(struct request *r, enum audit_stage stage)
{
	struct audit *a = r->server->config.audit;

	if (a && r->audit)
		audit_emit(a, r->audit, &r->route, stage);
}
