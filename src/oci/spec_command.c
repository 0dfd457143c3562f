/* SPDX-License-Identifier: Apache-2.0 */
/* spec: a config.json to start from. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/config.h"
#include "oci/error.h"

static struct {
	const char *bundle;
	bool rootless;
} given;

static const struct flag flags[] = {{"bundle", 'b', FLAG_STRING, &given.bundle, "directory to write into"},
				    {"rootless", 0, FLAG_BOOL, &given.rootless, "for who isn't root: a user namespace"},
				    {0}};

static const char text[] =
    "{\"ociVersion\":\"" OCI_VERSION
    "\",\"process\":{\"terminal\":true,\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"sh\"],"
    "\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"TERM=xterm\"],\"cwd\":\"/\","
    "\"capabilities\":{\"bounding\":[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"],"
    "\"effective\":[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"],"
    "\"permitted\":[\"CAP_AUDIT_WRITE\",\"CAP_KILL\",\"CAP_NET_BIND_SERVICE\"]},"
    "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1024,\"soft\":1024}],\"noNewPrivileges\":true},"
    "\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"hostname\":\"proa\",\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
    "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},"
    "{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/"
    "mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
    "{\"destination\":\"/"
    "sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]},"
    "{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]}],"
    "\"linux\":{\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
    "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":"
    "\"mount\"},"
    "{\"type\":\"cgroup\"}],"
    "\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/interrupts\",\"/proc/kcore\",\"/proc/keys\","
    "\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\",\"/proc/sched_debug\",\"/sys/firmware\","
    "\"/sys/devices/virtual/powercap\",\"/proc/scsi\"],"
    "\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}}";

static struct json *one_id(struct arena *a, long long id)
{
	struct json *list = json_new(a, JSON_ARRAY), *m = json_append(list, json_new(a, JSON_OBJECT));
	json_set_int(a, m, "containerID", 0);
	json_set_int(a, m, "hostID", id);
	json_set_int(a, m, "size", 1);
	return list;
}

/* What the caller alone can do: one id, the host's network and with it the host's /sys, no cgroup of its own. */
static void make_rootless(struct arena *a, struct json *o)
{
	struct json *linux_ = json_get(o, "linux"), *namespaces = json_get(linux_, "namespaces"), *drop = NULL;
	JSON_EACH(n, namespaces)
		if (str_eq(json_path_str(n, "type"), "network"))
			drop = n;
	json_remove_child(namespaces, drop);
	json_set_str(a, json_append(namespaces, json_new(a, JSON_OBJECT)), "type", "user");
	json_set(a, linux_, "uidMappings", one_id(a, geteuid()));
	json_set(a, linux_, "gidMappings", one_id(a, getegid()));
	json_remove(linux_, "resources");
	JSON_EACH(m, json_get(o, "mounts")) {
		const char *target = json_path_str(m, "destination");
		if (!strcmp(target, "/sys")) {
			json_set_str(a, m, "type", "bind");
			json_set_str(a, m, "source", "/sys");
			json_insert(json_get(m, "options"), 0, json_new_str(a, "rbind"));
		}
		struct json *gid = NULL;
		JSON_EACH(opt, json_get(m, "options"))
			if (str_has_prefix(json_str(opt), "gid="))
				gid = opt;
		if (gid)
			json_remove_child(json_get(m, "options"), gid);
	}
	struct json *mounts = json_get(o, "mounts"), *cgroup = NULL;
	JSON_EACH(m, mounts)
		if (str_eq(json_path_str(m, "type"), "cgroup"))
			cgroup = m;
	json_remove_child(mounts, cgroup);
}

static int spec(int argc, char **argv)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json *o;
	struct json_error err;
	(void)argc;
	(void)argv;
	if (given.bundle && chdir(given.bundle) < 0)
		return oci_fail(-errno, "bundle %s", given.bundle);
	if (json_parse(&a, text, sizeof(text) - 1, &o, &err) < 0)
		return oci_fail(0, "the template is damaged: %s", err.message);
	if (given.rootless)
		make_rootless(&a, o);
	json_write_pretty(&b, o);
	buf_addc(&b, '\n');
	_cleanup_close_ int fd = open("config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return errno == EEXIST ? oci_fail(0, "file config.json exists: remove it first")
				       : oci_fail(-errno, "config.json");
	int r = fs_write_all(fd, b.data, b.len);
	return r < 0 ? oci_fail(r, "writing config.json") : 0;
}

const struct command command_spec = {"spec", "", "write a config.json to start from", flags, 0, 0, false, false, spec};
