/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/container.h"
#include "oci/error.h"

#define FILE_MAX 16384 /* memory.stat is below 3 kB; blkio files have four lines a device */

static int open_in(const struct container *c, enum cgroup_controller k, bool *v2)
{
	return cgroup_open(&c->group.layout, k, c->group.path, v2);
}

static uint64_t number(int dir, const char *file)
{
	char text[64];
	if (cgroup_file_read(dir, file, text, sizeof(text)) < 0)
		return 0;
	return str_has_prefix(text, "max") ? UINT64_MAX : strtoull(text, NULL, 10);
}

static struct json *u64(struct arena *a, uint64_t n)
{
	struct json *v = json_new_int(a, 0);
	v->str = arena_printf(a, "%llu", (unsigned long long)n);
	v->len = (uint32_t)strlen(v->str);
	return v;
}

/* "key 123" lines of a file into object. */
static void keyed(struct arena *a, int dir, const char *file, struct json *into)
{
	static char text[FILE_MAX];
	char *save = NULL;
	if (cgroup_file_read(dir, file, text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');
		if (!space)
			continue;
		*space = 0;
		json_set(a, into, arena_strdup(a, line), u64(a, strtoull(space + 1, NULL, 10)));
	}
}

static uint64_t value_of(const struct json *o, const char *key)
{
	const char *text = json_get(o, key) ? json_get(o, key)->str : "0";
	return strtoull(text, NULL, 10);
}

static void cpu(struct arena *a, const struct container *c, struct json *data)
{
	bool v2;
	struct json *o = json_object_in(a, data, "cpu"), *usage = json_object_in(a, o, "usage"),
		    *throttling = json_object_in(a, o, "throttling"), *raw = json_new(a, JSON_OBJECT);
	_cleanup_close_ int acct = open_in(c, CGROUP_CPUACCT, &v2), dir = open_in(c, CGROUP_CPU, &v2);
	_cleanup_close_ int unified = cgroup_open_v2(&c->group.layout, c->group.path);
	int stat = dir >= 0 ? dir : unified;
	if (stat >= 0)
		keyed(a, stat, "cpu.stat", raw);
	if (acct >= 0) {
		struct json *modes = json_new(a, JSON_OBJECT);
		keyed(a, acct, "cpuacct.stat", modes);
		uint64_t tick = 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);
		json_set(a, usage, "total", u64(a, number(acct, "cpuacct.usage")));
		json_set(a, usage, "kernel", u64(a, value_of(modes, "system") * tick));
		json_set(a, usage, "user", u64(a, value_of(modes, "user") * tick));
	} else {
		json_set(a, usage, "total", u64(a, value_of(raw, "usage_usec") * 1000));
		json_set(a, usage, "kernel", u64(a, value_of(raw, "system_usec") * 1000));
		json_set(a, usage, "user", u64(a, value_of(raw, "user_usec") * 1000));
	}
	json_set(a, throttling, "periods", u64(a, value_of(raw, "nr_periods")));
	json_set(a, throttling, "throttledPeriods", u64(a, value_of(raw, "nr_throttled")));
	json_set(a, throttling, "throttledTime",
		 u64(a, json_get(raw, "throttled_time") ? value_of(raw, "throttled_time")
							: value_of(raw, "throttled_usec") * 1000));
}

static void entry(struct arena *a, struct json *o, int dir, const char *usage, const char *max, const char *limit,
		  const char *failures)
{
	json_set(a, o, "limit", u64(a, number(dir, limit)));
	json_set(a, o, "usage", u64(a, number(dir, usage)));
	json_set(a, o, "max", u64(a, number(dir, max)));
	json_set(a, o, "failcnt", u64(a, failures ? number(dir, failures) : 0));
}

static void memory(struct arena *a, const struct container *c, struct json *data)
{
	bool v2 = false;
	struct json *o = json_object_in(a, data, "memory");
	_cleanup_close_ int dir = open_in(c, CGROUP_MEMORY, &v2);
	if (dir < 0)
		return;
	struct json *raw = json_object_in(a, o, "raw"), *usage = json_object_in(a, o, "usage"),
		    *swap = json_object_in(a, o, "swap");
	keyed(a, dir, "memory.stat", raw);
	if (v2) {
		struct json *events = json_new(a, JSON_OBJECT);
		keyed(a, dir, "memory.events", events);
		entry(a, usage, dir, "memory.current", "memory.peak", "memory.max", NULL);
		json_set(a, usage, "failcnt", u64(a, value_of(events, "oom")));
		/* Memory and swap together, as v1 counts. */
		uint64_t limit = number(dir, "memory.max"), more = number(dir, "memory.swap.max");
		json_set(a, swap, "usage", u64(a, number(dir, "memory.current") + number(dir, "memory.swap.current")));
		json_set(a, swap, "limit",
			 u64(a, limit == UINT64_MAX || more == UINT64_MAX ? UINT64_MAX : limit + more));
		json_set(a, o, "cache", u64(a, value_of(raw, "file")));
	} else {
		entry(a, usage, dir, "memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes",
		      "memory.failcnt");
		entry(a, swap, dir, "memory.memsw.usage_in_bytes", "memory.memsw.max_usage_in_bytes",
		      "memory.memsw.limit_in_bytes", "memory.memsw.failcnt");
		struct json *kernel = json_object_in(a, o, "kernel"), *tcp = json_object_in(a, o, "kernelTCP");
		entry(a, kernel, dir, "memory.kmem.usage_in_bytes", "memory.kmem.max_usage_in_bytes",
		      "memory.kmem.limit_in_bytes", "memory.kmem.failcnt");
		entry(a, tcp, dir, "memory.kmem.tcp.usage_in_bytes", "memory.kmem.tcp.max_usage_in_bytes",
		      "memory.kmem.tcp.limit_in_bytes", "memory.kmem.tcp.failcnt");
		json_set(a, o, "cache", u64(a, value_of(raw, "cache")));
	}
}

static void pids(struct arena *a, const struct container *c, struct json *data)
{
	bool v2;
	struct json *o = json_object_in(a, data, "pids");
	_cleanup_close_ int dir = open_in(c, CGROUP_PIDS, &v2);
	if (dir < 0)
		return;
	uint64_t limit = number(dir, "pids.max");
	json_set(a, o, "current", u64(a, number(dir, "pids.current")));
	json_set(a, o, "limit", u64(a, limit == UINT64_MAX ? 0 : limit));
}

/* v1: "8:0 Read 4096" lines; v2: "8:0 rbytes=4096 wbytes=0 rios=1 …". */
static void block_line(struct arena *a, struct json *list, const char *device, const char *op, uint64_t value)
{
	unsigned major = 0, minor = 0;
	if (sscanf(device, "%u:%u", &major, &minor) != 2)
		return;
	struct json *e = json_append(list, json_new(a, JSON_OBJECT));
	json_set_int(a, e, "major", major);
	json_set_int(a, e, "minor", minor);
	json_set_str(a, e, "op", arena_strdup(a, op));
	json_set(a, e, "value", u64(a, value));
}

static void block_io_v1(struct arena *a, int dir, const char *file, struct json *list)
{
	static char text[FILE_MAX];
	char *save = NULL, device[32], op[32];
	unsigned long long value;
	if (cgroup_file_read(dir, file, text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%31s %31s %llu", device, op, &value) == 3)
			block_line(a, list, device, op, value);
}

static void block_io(struct arena *a, const struct container *c, struct json *data)
{
	bool v2 = false;
	struct json *o = json_object_in(a, data, "blkio");
	_cleanup_close_ int dir = open_in(c, CGROUP_BLKIO, &v2);
	if (dir < 0)
		return;
	struct json *bytes = json_array_in(a, o, "ioServiceBytesRecursive"),
		    *ios = json_array_in(a, o, "ioServicedRecursive");
	if (!v2) {
		block_io_v1(a, dir, "blkio.throttle.io_service_bytes_recursive", bytes);
		block_io_v1(a, dir, "blkio.throttle.io_serviced_recursive", ios);
		return;
	}
	static char text[FILE_MAX];
	char *save = NULL;
	if (cgroup_file_read(dir, "io.stat", text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *inner = NULL, *device = strtok_r(line, " ", &inner);
		for (char *w = strtok_r(NULL, " ", &inner); device && w; w = strtok_r(NULL, " ", &inner)) {
			static const char *const names[4][2] = {
			    {"rbytes=", "Read"}, {"wbytes=", "Write"}, {"rios=", "Read"}, {"wios=", "Write"}};
			for (size_t i = 0; i < 4; i++)
				if (str_has_prefix(w, names[i][0]))
					block_line(a, i < 2 ? bytes : ios, device, names[i][1],
						   strtoull(strchr(w, '=') + 1, NULL, 10));
		}
	}
}

int stats_read(struct arena *a, const struct container *c, struct json **ret)
{
	if (c->group.manager == GROUP_DISABLED)
		return oci_fail(-ENOTSUP, "statistics: the container has no cgroup");
	struct json *data = json_new(a, JSON_OBJECT);
	cpu(a, c, data);
	json_object_in(a, data, "cpuset");
	memory(a, c, data);
	pids(a, c, data);
	block_io(a, c, data);
	json_object_in(a, data, "hugetlb");
	json_object_in(a, data, "intel_rdt");
	json_set(a, data, "network_interfaces", json_new(a, JSON_NULL));
	*ret = data;
	return 0;
}

int64_t stats_oom_kills(const struct container *c)
{
	return cgroup_oom_kills(&c->group.layout, c->group.path);
}

int stats_watch_oom(const struct container *c)
{
	bool v2 = false;
	char text[64];
	_cleanup_close_ int dir = open_in(c, CGROUP_MEMORY, &v2);
	if (dir < 0)
		return -1;
	if (v2)
		return openat(dir, "memory.events", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int event = eventfd(0, EFD_CLOEXEC),
			    control = openat(dir, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	if (event < 0 || control < 0)
		return -1;
	snprintf(text, sizeof(text), "%d %d", event, control);
	return cgroup_file_write(dir, "cgroup.event_control", text) < 0 ? -1 : TAKE_FD(event);
}
