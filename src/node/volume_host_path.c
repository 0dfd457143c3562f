/* SPDX-License-Identifier: Apache-2.0 */
/* hostPath volumes: a path of the node itself, checked (or made) as its type says. Never removed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "node/volume.h"

struct path_type {
	const char *name;
	mode_t format; /* S_IFMT bits; 0: anything */
	bool create;
	const char *what;
};
static const struct path_type types[] = {
    {"", 0, false, "path"},
    {"DirectoryOrCreate", S_IFDIR, true, "directory"},
    {"Directory", S_IFDIR, false, "directory"},
    {"FileOrCreate", S_IFREG, true, "file"},
    {"File", S_IFREG, false, "file"},
    {"Socket", S_IFSOCK, false, "socket"},
    {"CharDevice", S_IFCHR, false, "character device"},
    {"BlockDevice", S_IFBLK, false, "block device"},
};

static int create(const char *path, mode_t format)
{
	int fd;

	if (format == S_IFDIR)
		return fs_mkdir_p(path, 0755);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int check(const char *path, const struct path_type *t, struct status *err)
{
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0) {
		/* Without a type a missing path is made as a directory, as container runtimes do for a bind's source.
		 */
		bool make = errno == ENOENT && (t->create || !t->format);

		r = make ? create(path, t->format ? t->format : S_IFDIR) : -errno;
		if (r < 0)
			status_set(err, 400, "hostPath type check failed: %s is not a %s: %s", path, t->what,
				   strerror(-r));
		return r;
	}
	if (t->format && (st.st_mode & S_IFMT) != t->format) {
		status_set(err, 400, "hostPath type check failed: %s is not a %s", path, t->what);
		return -EINVAL;
	}
	return 0;
}

static int prepare(struct volume *v, const struct json *source, const struct volume_input *in, struct status *err)
{
	const char *path = str_or(json_path_str(source, "path"), ""), *type = str_or(json_path_str(source, "type"), "");

	(void)in;
	if (path[0] != '/') {
		status_set(err, 400, "hostPath \"%s\" is not absolute", path);
		return -EINVAL;
	}
	free(v->path);
	v->path = xstrdup(path);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_eq(type, types[i].name))
			return check(path, &types[i], err);
	status_set(err, 400, "hostPath type \"%s\" is not supported", type);
	return -EINVAL;
}

static void teardown(struct volume *v)
{
	(void)v;
}

const struct volume_ops volume_host_path = {
    .source = "hostPath",
    .prepare = prepare,
    .teardown = teardown,
};
