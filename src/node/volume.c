/* SPDX-License-Identifier: Apache-2.0 */
#include "node/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"
#include "node/atomic_writer.h"

static const struct volume_ops *const kinds[] = {&volume_empty_dir, &volume_host_path, &volume_config_map,
						 &volume_secret,    &volume_downward,  &volume_projected};

const struct volume_ops *volume_kind(const struct json *volume, const struct json **ret_source)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct json *source = json_get(volume, kinds[i]->source);

		if (json_is(source, JSON_OBJECT)) {
			*ret_source = source;
			return kinds[i];
		}
	}
	return NULL;
}

void volume_release(struct volume *v)
{
	free(v->name);
	free(v->path);
	*v = (struct volume){0};
}

mode_t volume_mode(const struct json *source, const char *key, mode_t fallback)
{
	return (mode_t)json_int(json_get(source, key), fallback) & 0777;
}

bool volume_is_mounted(const char *path)
{
	_cleanup_free_ char *above = xasprintf("%s/..", path);
	struct stat here, parent;

	return stat(path, &here) == 0 && stat(above, &parent) == 0 && here.st_dev != parent.st_dev;
}

int volume_tmpfs(const char *path, int64_t size, mode_t mode, struct status *err)
{
	char data[64];
	int r = fs_mkdir_p(path, 0750);

	if (r == 0 && volume_is_mounted(path))
		return 0;
	if (size > 0)
		snprintf(data, sizeof(data), "mode=%o,size=%lld", mode, (long long)size);
	else
		snprintf(data, sizeof(data), "mode=%o", mode);
	if (r == 0 && mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, data) < 0)
		r = -errno;
	if (r < 0)
		status_set(err, 500, "cannot mount memory at %s: %s", path, strerror(-r));
	return r;
}

void volume_remove_dir(struct volume *v)
{
	int r;

	while (volume_is_mounted(v->path))
		if (umount2(v->path, MNT_DETACH) < 0)
			break;
	r = fs_remove_tree(v->path);
	if (r < 0)
		log_warn("cannot remove a volume path=%s error=%s", v->path, strerror(-r));
}

void volumes_unmount_below(const char *path)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	VEC(char *) found = {0};
	size_t n = strlen(path);

	if (!f)
		return;
	for (struct mntent *m; (m = getmntent(f));)
		if (strncmp(m->mnt_dir, path, n) == 0 && (m->mnt_dir[n] == '/' || m->mnt_dir[n] == 0))
			VEC_PUSH(&found, xstrdup(m->mnt_dir));
	endmntent(f);
	while (found.n) { /* the innermost were mounted last */
		char *dir = VEC_POP(&found);

		if (umount2(dir, MNT_DETACH) < 0)
			log_warn("cannot unmount path=%s error=%s", dir, strerror(errno));
		free(dir);
	}
	VEC_RELEASE(&found);
}

int volume_set_group(const char *path, int64_t gid, struct status *err)
{
	struct stat st;

	if (gid < 0)
		return 0;
	if (lchown(path, (uid_t)-1, (gid_t)gid) < 0 || stat(path, &st) < 0 ||
	    chmod(path, (st.st_mode & 07777) | 02770) < 0) {
		int r = -errno;

		status_set(err, 500, "cannot give %s to group %lld: %s", path, (long long)gid, strerror(-r));
		return r;
	}
	return 0;
}

int volume_write(struct volume *v, struct payload *p, const struct volume_input *in, struct status *err)
{
	int r = volume_tmpfs(v->path, 0, 0755, err);

	if (r < 0)
		return r;
	VEC_EACH(f, &p->files)
		if (in->fs_group >= 0)
			f->mode |= 0440;
	return atomic_write_payload(v->path, p, in->fs_group, NULL, err);
}

/* One key's bytes; decode: from base64. */
static int add_value(struct payload *p, const char *path, const struct json *value, bool decode, mode_t mode,
		     const struct volume_input *in)
{
	_cleanup_buf_ struct buf raw = BUF_INIT;
	const char *s = json_str(value);

	if (!s)
		return -EINVAL;
	if (!decode) {
		payload_add(p, path, s, value->len, mode);
		return 0;
	}
	if (base64_decode(&raw, s, value->len) < 0)
		return -EINVAL;
	payload_add(p, path, arena_strndup(in->arena, buf_str(&raw), raw.len), raw.len, mode);
	return 0;
}

int keys_payload(const struct json *source, const struct json *data, bool decode, mode_t mode, const char *what,
		 const struct volume_input *in, struct payload *p, struct status *err)
{
	const struct json *items = json_get(source, "items");
	bool optional = json_bool(json_get(source, "optional"), false);

	if (!json_len(items)) {
		JSON_EACH(m, data)
			if (payload_path_valid(m->key))
				add_value(p, m->key, m, decode, mode, in);
		return 0;
	}
	JSON_EACH(item, items) {
		const char *key = str_or(json_path_str(item, "key"), ""),
			   *path = str_or(json_path_str(item, "path"), "");
		const struct json *value = json_get(data, key);

		if (!value) {
			if (optional)
				continue;
			status_set(err, 404, "references non-existent %s key: %s", what, key);
			return -ENOENT;
		}
		if (!payload_path_valid(path)) {
			status_set(err, 400, "invalid path in a volume: %s", path);
			return -EINVAL;
		}
		add_value(p, path, value, decode, volume_mode(item, "mode", mode), in);
	}
	return 0;
}
