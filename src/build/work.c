/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of running builds, STATE/work/<pid>-<time>, each locked by its build; those of killed ones are removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"
#include "build/build_internal.h"

/* The directory's own lock, or negative errno. */
static int lock_dir(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : TAKE_FD(fd);
}

/* Those that nobody has locked; they stay locked by us, so that no other build removes them as well. */
struct dead {
	VEC(char *) paths;
	VEC(int) locks;
};

static void find_dead(const char *base, struct dead *dead)
{
	DIR *d = opendir(base);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (*e->d_name == '.')
			continue;
		_cleanup_free_ char *path = xasprintf("%s/%s", base, e->d_name);
		int lock = lock_dir(path);
		if (lock < 0)
			continue;
		VEC_PUSH(&dead->paths, TAKE_PTR(path));
		VEC_PUSH(&dead->locks, lock);
	}
	if (d)
		closedir(d);
}

int work_open(struct build *b)
{
	_cleanup_free_ char *base = xasprintf("%s/work", b->o->state_dir);
	struct dead dead = {0};
	int r = fs_mkdir_p(base, 0700);

	b->work = xasprintf("%s/%d-%llx", base, (int)getpid(), (unsigned long long)b->now_ns);
	if (r < 0)
		return build_fail(b, NULL, r, "%s: %s", base, strerror(-r));
	/* Between making and locking one, nobody may take it for a dead one's. */
	_cleanup_close_ int all = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (all < 0 || flock(all, LOCK_EX) < 0 || mkdir(b->work, 0700) < 0)
		return build_fail(b, NULL, -errno, "%s: %s", b->work, strerror(errno));
	b->work_lock = lock_dir(b->work);
	find_dead(base, &dead);
	close(TAKE_FD(all));
	for (size_t i = 0; i < dead.paths.n; i++) {
		fs_remove_tree(dead.paths.at[i]);
		close(dead.locks.at[i]);
		free(dead.paths.at[i]);
	}
	VEC_RELEASE(&dead.paths);
	VEC_RELEASE(&dead.locks);
	return b->work_lock < 0 ? build_fail(b, NULL, b->work_lock, "%s: %s", b->work, strerror(-b->work_lock)) : 0;
}

void work_close(struct build *b)
{
	if (b->work)
		fs_remove_tree(b->work);
	if (b->work_lock >= 0)
		close(b->work_lock);
	free(b->work);
}
