/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/state.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

static char *path_in(const char *dir)
{
	return xasprintf("%s/pod.json", dir);
}

int state_write(const char *dir, const struct pod_state *s)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_free_ char *path = path_in(dir);
	struct json *o = json_new(&a, JSON_OBJECT);
	json_set_int(&a, o, "version", 1);
	json_set_str(&a, o, "uid", s->uid);
	json_set_str(&a, o, "cgroup", s->cgroup);
	json_set_int(&a, o, "pid", s->pid);
	json_set_int(&a, o, "startTime", s->start_time);
	json_set_str(&a, o, "bootId", s->boot_id);
	json_set_bool(&a, o, "hostNetwork", s->host_network);
	const char *text = json_to_string(&a, o);
	/* Run directories are on tmpfs: after a power loss there is no pod to take over either. */
	return fs_write_replace(path, text, strlen(text), 0600);
}

static int copy(const struct json *o, const char *key, char *out, size_t max)
{
	const char *s = json_path_str(o, key);
	if (!s || strlen(s) >= max)
		return -EBADMSG;
	strcpy(out, s);
	return 0;
}

int state_parse(const char *text, unsigned long len, struct pod_state *ret)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	struct pod_state s = {0};
	struct json *o;
	struct json_error err;
	if (json_parse(&a, text, len, &o, &err) < 0 || json_path_int(o, "version", 0) != 1)
		return -EBADMSG;
	int64_t pid = json_path_int(o, "pid", -1);
	s.start_time = json_path_int(o, "startTime", -1);
	s.host_network = json_path_bool(o, "hostNetwork", false);
	if (copy(o, "uid", s.uid, sizeof(s.uid)) || copy(o, "cgroup", s.cgroup, sizeof(s.cgroup)) ||
	    copy(o, "bootId", s.boot_id, sizeof(s.boot_id)) || pid < 0 || pid > INT_MAX || s.start_time < 0 ||
	    !*s.uid || !*s.cgroup || s.cgroup[0] == '/' || strstr(s.cgroup, ".."))
		return -EBADMSG;
	s.pid = (int)pid;
	*ret = s;
	return 0;
}

int state_read(const char *dir, struct pod_state *ret)
{
	_cleanup_free_ char *path = path_in(dir);
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = fs_read(path, STATE_FILE_MAX, &b);
	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r;
	return state_parse(buf_str(&b), b.len, ret);
}

int state_boot_id(char out[BOOT_ID_MAX])
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = fs_read("/proc/sys/kernel/random/boot_id", BOOT_ID_MAX - 1, &b);
	if (r < 0)
		return r;
	snprintf(out, BOOT_ID_MAX, "%.*s", (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
	return 0;
}

int64_t state_start_time(int pid)
{
	char path[40];
	_cleanup_buf_ struct buf b = BUF_INIT;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (fs_read(path, 4096, &b) < 0)
		return -ESRCH;
	/* The command's name, field 2, is in parentheses and may hold anything: count from the last one. */
	const char *at = strrchr(buf_str(&b), ')');
	if (at && (!strncmp(at, ") Z", 3) || !strncmp(at, ") X", 3)))
		return -ESRCH; /* ended, and nobody has reaped it yet */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoll(at, NULL, 10) : -ESRCH;
}

bool state_alive(const struct pod_state *s)
{
	char boot[BOOT_ID_MAX];
	return s->pid > 0 && state_boot_id(boot) == 0 && !strcmp(boot, s->boot_id) &&
	       state_start_time(s->pid) == s->start_time;
}
