/* SPDX-License-Identifier: Apache-2.0 */
/* What importers rely on, written down for collectors of other processes. */
#include "image/importers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/image_internal.h"

#define PINS_BYTES_MAX (16u << 20) /* some 250,000 digests: more than a store has */

struct importers {
	pthread_mutex_t lock;
	unsigned n;
	int importing, file; /* descriptors, while n > 0 */
	char *path;
	struct map pinned;
};

struct importers *importers_new(void)
{
	struct importers *i = NEW(struct importers);

	pthread_mutex_init(&i->lock, NULL);
	i->importing = i->file = -1;
	return i;
}

static void clear(struct importers *i)
{
	if (i->path)
		unlink(i->path);
	if (i->file >= 0)
		close(TAKE_FD(i->file));
	if (i->importing >= 0)
		close(TAKE_FD(i->importing));
	free(TAKE_PTR(i->path));
	map_release(&i->pinned, NULL);
	i->pinned = (struct map)MAP_INIT;
}

void importers_free(struct importers *i)
{
	if (!i)
		return;
	clear(i);
	pthread_mutex_destroy(&i->lock);
	free(i);
}

/* Under the store's lock, which collectors need: none takes the new file for a dead one's. */
static int make_file(struct image_store *s)
{
	static atomic_uint n;
	struct importers *i = s->importers;
	_cleanup_close_ int lock = image_lock(s, false);

	i->path = image_path(s, "pins/%d-%u", (int)getpid(), atomic_fetch_add(&n, 1));
	i->file = open(i->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || i->file < 0)
		return lock < 0 ? lock : -errno;
	return flock(i->file, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

int image_import_begin(struct image_store *s)
{
	struct importers *i = s->importers;
	int r = 0;

	pthread_mutex_lock(&i->lock);
	if (i->n++ == 0) {
		i->importing = image_lock_file(s, "importing", LOCK_SH);
		r = i->importing < 0 ? i->importing : make_file(s);
	}
	if (r < 0 && --i->n == 0)
		clear(i);
	pthread_mutex_unlock(&i->lock);
	return r;
}

void image_import_end(struct image_store *s)
{
	struct importers *i = s->importers;

	pthread_mutex_lock(&i->lock);
	if (--i->n == 0)
		clear(i);
	pthread_mutex_unlock(&i->lock);
}

bool image_is_importing(const struct image_store *s)
{
	struct importers *i = s->importers;

	pthread_mutex_lock(&i->lock);
	bool is = i->n > 0;
	pthread_mutex_unlock(&i->lock);
	return is;
}

static int pin(const struct image_store *s, const char *hex, bool locked)
{
	struct importers *i = s->importers;
	char line[SHA256_HEX + 2];
	int r = 0;

	pthread_mutex_lock(&i->lock);
	if (i->n && !map_has(&i->pinned, hex)) {
		_cleanup_close_ int lock = locked ? -1 : image_lock(s, false);
		snprintf(line, sizeof(line), "%.*s\n", SHA256_HEX, hex);
		r = !locked && lock < 0 ? lock : fs_write_all(i->file, line, strlen(line));
		if (r == 0)
			map_set(&i->pinned, hex, i);
	}
	pthread_mutex_unlock(&i->lock);
	return r;
}

int image_pin(const struct image_store *s, const char *hex)
{
	return pin(s, hex, false);
}

int image_pin_locked(const struct image_store *s, const char *hex)
{
	return pin(s, hex, true);
}

static int read_file(const struct image_store *s, const char *name, void (*fn)(void *arg, const char *hex), void *arg)
{
	_cleanup_free_ char *path = image_path(s, "pins/%s", name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) { /* its process died */
		unlink(path);
		return 0;
	}
	int r = fs_read(path, PINS_BYTES_MAX, &b);
	if (r < 0)
		return r == -ENOENT ? 0 : r; /* it has just ended */
	for (char *line = b.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		fn(arg, line);
	}
	return 0;
}

int image_pins_each(const struct image_store *s, void (*fn)(void *arg, const char *hex), void *arg)
{
	_cleanup_free_ char *path = image_path(s, "pins");
	DIR *d = opendir(path);
	int r = 0;

	if (!d)
		return -errno;
	for (struct dirent *e; r == 0 && (e = readdir(d));)
		if (e->d_name[0] != '.')
			r = read_file(s, e->d_name, fn, arg);
	closedir(d);
	return r;
}
