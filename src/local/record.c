/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of containers, and how they are found again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "local/local_internal.h"

#define RECORD_BYTES_MAX (256u << 10) /* commands may be long, records are not */

char *local_path(const struct local *l, const char *id, const char *name)
{
	return xasprintf("%s/%s%s%s", l->state_dir, id, *name ? "/" : "", name);
}

static struct json *ports_json(struct arena *a, const struct local_record *r)
{
	struct json *list = json_new(a, JSON_ARRAY);
	for (size_t i = 0; i < r->n_ports; i++) {
		struct json *p = json_append(list, json_new(a, JSON_OBJECT));
		json_set_str(a, p, "hostIP", r->ports[i].host_ip);
		json_set_int(a, p, "host", r->ports[i].host);
		json_set_int(a, p, "container", r->ports[i].container);
	}
	return list;
}

int local_record_save(struct local *l, const struct local_record *r)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *path = local_path(l, r->id, "record.json");
	struct json *o = json_new(&a, JSON_OBJECT);
	json_set_str(&a, o, "id", r->id);
	json_set_str(&a, o, "name", r->name);
	json_set_str(&a, o, "image", r->image);
	json_set_str(&a, o, "imageId", r->image_id);
	json_set_str(&a, o, "command", r->command);
	json_set_str(&a, o, "ip", r->ip);
	json_set_int(&a, o, "createdNs", r->created_ns);
	json_set_bool(&a, o, "remove", r->remove);
	json_set_bool(&a, o, "tty", r->tty);
	json_set_bool(&a, o, "complete", r->complete);
	json_set_bool(&a, o, "bridged", r->bridged);
	json_set_str(&a, o, "stopSignal", r->stop_signal);
	struct json *labels = json_array_in(&a, o, "labels");
	for (const char *const *l2 = r->labels; l2 && *l2; l2++)
		json_append(labels, json_new_str(&a, *l2));
	json_set(&a, o, "ports", ports_json(&a, r));
	json_write_pretty(&text, o);
	/* The first one only has to outlive this process. */
	return r->complete ? fs_write_atomic(path, buf_str(&text), text.len, 0600)
			   : fs_write_replace(path, buf_str(&text), text.len, 0600);
}

static const char *text_of(struct local_record *r, const struct json *o, const char *field)
{
	return arena_strdup(&r->arena, str_or(json_path_str(o, field), ""));
}

static const char *const *labels_of(struct local_record *r, const struct json *list)
{
	const char **out = arena_zalloc(&r->arena, (json_len(list) + 1) * sizeof(*out));
	size_t n = 0;
	JSON_EACH(v, list)
		if (json_str(v))
			out[n++] = arena_strdup(&r->arena, json_str(v));
	return out;
}

struct local_record *local_record_load(struct local *l, const char *id)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_free_ char *path = local_path(l, id, "record.json");
	struct json *o;
	struct json_error bad;
	if (strlen(id) != CONTAINER_ID_LEN || fs_read(path, RECORD_BYTES_MAX, &text) < 0 ||
	    json_parse(&a, buf_str(&text), text.len, &o, &bad) < 0)
		return NULL;
	struct local_record *r = NEW(struct local_record);
	snprintf(r->id, sizeof(r->id), "%s", id);
	r->name = text_of(r, o, "name");
	r->image = text_of(r, o, "image");
	r->image_id = text_of(r, o, "imageId");
	r->command = text_of(r, o, "command");
	r->ip = text_of(r, o, "ip");
	r->stop_signal = text_of(r, o, "stopSignal");
	r->labels = labels_of(r, json_get(o, "labels"));
	r->created_ns = json_path_int(o, "createdNs", 0);
	r->remove = json_path_bool(o, "remove", false);
	r->tty = json_path_bool(o, "tty", false);
	r->complete = json_path_bool(o, "complete", false);
	r->bridged = json_path_bool(o, "bridged", false);
	JSON_EACH(p, json_get(o, "ports")) {
		if (r->n_ports == LOCAL_PORTS_MAX)
			break;
		r->ports[r->n_ports++] = (struct local_port){text_of(r, p, "hostIP"), (int)json_path_int(p, "host", 0),
							     (int)json_path_int(p, "container", 0)};
	}
	return r;
}

void local_record_free(struct local_record *r)
{
	if (!r)
		return;
	arena_release(&r->arena);
	free(r);
}

int local_lock(struct local *l, const char *id, bool make)
{
	_cleanup_free_ char *dir = local_path(l, id, ""), *path = local_path(l, id, "lock");
	int r = make ? fs_mkdir_p(dir, 0700) : 0;
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : TAKE_FD(fd);
}

int local_lock_all(struct local *l)
{
	_cleanup_close_ int fd = open(l->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || flock(fd, LOCK_EX) < 0 ? -errno : TAKE_FD(fd);
}

/* ---- finding ---- */

struct found {
	VEC(struct local_record *) at;
};

static int newest_first(const void *a, const void *b)
{
	const struct local_record *x = *(struct local_record *const *)a, *y = *(struct local_record *const *)b;
	return x->created_ns > y->created_ns ? -1 : x->created_ns < y->created_ns;
}

static void read_all(struct local *l, struct found *f, bool also_incomplete)
{
	DIR *d = opendir(l->state_dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		struct local_record *r = *e->d_name == '.' ? NULL : local_record_load(l, e->d_name);
		if (r && (r->complete || also_incomplete))
			VEC_PUSH(&f->at, r);
		else
			local_record_free(r);
	}
	if (d)
		closedir(d);
	if (f->at.n)
		qsort(f->at.at, f->at.n, sizeof(*f->at.at), newest_first);
}

static void found_release(struct found *f)
{
	VEC_EACH(r, &f->at)
		local_record_free(*r);
	VEC_RELEASE(&f->at);
}

bool local_name_taken(struct local *l, const char *name)
{
	_cleanup_(found_release) struct found f = {0};
	read_all(l, &f, true);
	VEC_EACH(r, &f.at)
		if (str_eq((*r)->name, name))
			return true;
	return false;
}

static struct local_container *open_container(struct local *l, struct local_record *record)
{
	struct local_container *c = NEW(struct local_container);
	char why[LOCAL_ERR_MAX];
	c->local = l;
	c->record = record;
	c->lock = -1;
	if (local_attach_runtime(c, false, why, sizeof(why)) < 0)
		c->exited = true;
	return c;
}

int local_find(struct local *l, const char *name, struct local_container **ret, char *err, size_t err_len)
{
	_cleanup_(found_release) struct found f = {0};
	struct local_record **best = NULL;
	size_t len = strlen(name), n = 0;
	read_all(l, &f, false);
	VEC_EACH(r, &f.at) {
		if (str_eq((*r)->name, name) || str_eq((*r)->id, name)) {
			best = r;
			n = 1;
			break;
		}
		if (len && strncmp((*r)->id, name, len) == 0) {
			best = r;
			n++;
		}
	}
	if (!n)
		return local_fail(err, err_len, -ENOENT, "no such container: %s", name);
	if (n > 1)
		return local_fail(err, err_len, -EEXIST, "several containers begin with %s", name);
	*ret = open_container(l, TAKE_PTR(*best));
	return 0;
}

int local_each(struct local *l, bool (*fn)(void *arg, struct local_container *c), void *arg, char *err, size_t err_len)
{
	_cleanup_(found_release) struct found f = {0};
	bool more = true;
	(void)err;
	(void)err_len;
	read_all(l, &f, false);
	for (size_t i = 0; i < f.at.n && more; i++) {
		struct local_container *c = open_container(l, TAKE_PTR(f.at.at[i]));
		more = fn(arg, c);
		local_container_free(c);
	}
	return 0;
}
