/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What killed commands left: containers half made or half removed, and those of --rm that have ended with nobody there
 * to remove them. A command holds the container's lock as long as it makes, runs or removes it.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/image.h"
#include "local/local_internal.h"

struct left {
	VEC(struct local_container *) at;
};

/* Whose command is gone and whom it may concern; NULL: not this one. */
static struct local_container *abandoned(struct local *l, const char *id)
{
	_cleanup_close_ int lock = strlen(id) == CONTAINER_ID_LEN ? local_lock(l, id, false) : -1;

	if (lock < 0)
		return NULL;
	struct local_record *record = local_record_load(l, id);
	if (record && record->complete && !record->remove) {
		local_record_free(record);
		return NULL;
	}
	struct local_container *c = NEW(struct local_container);
	if (!record) {
		record = NEW(struct local_record);
		strcpy(record->id, id);
		record->name = record->image = record->image_id = record->command = record->ip = record->stop_signal =
		    "";
	}
	c->local = l;
	c->record = record;
	c->lock = TAKE_FD(lock);
	return c;
}

static bool still_runs(struct local_container *c)
{
	char why[LOCAL_ERR_MAX];

	return c->record->complete && local_attach_runtime(c, false, why, sizeof(why)) == 0 &&
	       c->status.state == CONTAINER_RUNNING;
}

static bool not_of(void *arg, const char *image, const char *user)
{
	const char *id = str_after(user, IMAGE_USER_LOCAL);

	(void)image;
	return !id || !str_eq(id, arg);
}

static void remove_left(struct local_container *c)
{
	char why[LOCAL_ERR_MAX];

	if (still_runs(c))
		return;
	if (!c->runtime)
		(void)local_attach_runtime(c, true, why, sizeof(why));
	/* Its image may not have been written down yet. */
	image_uses_keep(c->local->images, not_of, c->record->id);
	local_discard(c);
}

void local_sweep(struct local *l)
{
	struct left left = {0};
	int all = local_lock_all(l);
	DIR *d = all < 0 ? NULL : opendir(l->state_dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		struct local_container *c = *e->d_name == '.' ? NULL : abandoned(l, e->d_name);
		if (c)
			VEC_PUSH(&left.at, c);
	}
	if (d)
		closedir(d);
	if (all >= 0)
		close(all);
	VEC_EACH(c, &left.at) {
		remove_left(*c);
		local_container_free(*c);
	}
	VEC_RELEASE(&left.at);
}
