/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/systemd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/bus.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/group.h"
#include "oci/systemd_devices.h"

#define MANAGER "org.freedesktop.systemd1"
#define JOB_WAIT_MS 30000     /* a scope is made at once; a machine under load may take seconds */
#define CPUS_MAX 8192	      /* the kernel's NR_CPUS at its largest */
#define PROC_CGROUP_MAX 65536 /* see group.c */

/* ---- names ---- */

/* "a-b.slice" is below "a.slice"; "-.slice" is the root. */
static int expand_slice(const char *slice, char out[CGROUP_PATH_MAX])
{
	size_t stem = strlen(slice) - strlen(".slice"), len = 0;
	out[0] = 0;
	if (!strcmp(slice, "-.slice"))
		return 0;
	for (size_t i = 1; i <= stem; i++) {
		if (i < stem && slice[i] != '-')
			continue;
		if (slice[i - 1] == '-')
			return -EINVAL;
		int n = snprintf(out + len, CGROUP_PATH_MAX - len, "%s%.*s.slice", len ? "/" : "", (int)i, slice);
		len += (size_t)n;
		if (len >= CGROUP_PATH_MAX)
			return -ENAMETOOLONG;
	}
	return 0;
}

int systemd_plan(struct cgroup *g, const char *path, const char *id)
{
	char part[3][256] = {"", "proa", ""}, slice[CGROUP_PATH_MAX];
	if (!str_empty(path)) {
		const char *one = strchr(path, ':'), *two = one ? strchr(one + 1, ':') : NULL;
		if (!two || strchr(two + 1, ':') || strlen(path) >= sizeof(part[0]))
			return oci_fail(0,
					"expected linux.cgroupsPath to be of format \"slice:prefix:name\" for systemd "
					"cgroups, got \"%s\" instead",
					path);
		snprintf(part[0], sizeof(part[0]), "%.*s", (int)(one - path), path);
		snprintf(part[1], sizeof(part[1]), "%.*s", (int)(two - one - 1), one + 1);
		snprintf(part[2], sizeof(part[2]), "%s", two + 1);
	}
	if (!*part[0])
		strcpy(part[0], options.rootless ? "user.slice" : "system.slice");
	if (!*part[2])
		snprintf(part[2], sizeof(part[2]), "%s", id);
	size_t n = strlen(part[0]);
	if (n <= strlen(".slice") || strcmp(part[0] + n - strlen(".slice"), ".slice") || strchr(part[0], '/') ||
	    expand_slice(part[0], slice) < 0)
		return oci_fail(0, "linux.cgroupsPath: \"%s\" is not a slice", part[0]);
	if (strchr(part[1], '/') || strchr(part[2], '/') ||
	    snprintf(g->unit, sizeof(g->unit), "%s%s%s.scope", part[1], *part[1] ? "-" : "", part[2]) >=
		(int)sizeof(g->unit) ||
	    snprintf(g->path, sizeof(g->path), "%s%s%s", slice, *slice ? "/" : "", g->unit) >= (int)sizeof(g->path))
		return oci_fail(0, "linux.cgroupsPath \"%s\" is not usable", path);
	snprintf(g->slice, sizeof(g->slice), "%s", part[0]);
	return 0;
}

/* ---- the manager ---- */

static int connect_manager(struct bus *bus)
{
	char path[PATH_MAX];
	const char *run = getenv("XDG_RUNTIME_DIR"), *address = getenv("DBUS_SESSION_BUS_ADDRESS");
	if (!options.rootless) {
		if (bus_connect(bus, "/run/systemd/private", true) == 0 ||
		    bus_connect(bus, "/run/dbus/system_bus_socket", false) == 0)
			return 0;
		return oci_fail(-ENOTSUP, "the systemd cgroup driver: no systemd is there (%s)", oci_error());
	}
	snprintf(path, sizeof(path), "%s/systemd/private", str_or(run, ""));
	if (run && bus_connect(bus, path, true) == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/bus", str_or(run, ""));
	if (str_has_prefix(address, "unix:path="))
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(address + 10, ",;"), address + 10);
	if (bus_connect(bus, path, false) == 0)
		return 0;
	return oci_fail(-ENOTSUP, "the systemd cgroup driver: the user has no systemd (%s)", oci_error());
}

static int call(struct bus *bus, const char *member, const char *signature, const struct buf *body,
		struct bus_message *ret)
{
	struct bus_call c = {MANAGER, "/org/freedesktop/systemd1", MANAGER ".Manager", member, signature};
	return bus_call(bus, &c, body, ret);
}

/* Signals come to who is subscribed, through a bus to who has asked for them. */
static int subscribe(struct bus *bus)
{
	static const char name[] = "org.freedesktop.DBus";
	struct bus_call match = {name, "/org/freedesktop/DBus", name, "AddMatch", "s"};
	_cleanup_buf_ struct buf rule = BUF_INIT;
	struct buf none = BUF_INIT;
	bus_put_string(&rule, "type='signal',interface='" MANAGER ".Manager',member='JobRemoved'");
	int r = bus->direct ? 0 : bus_call(bus, &match, &rule, NULL);
	if (r == 0 && call(bus, "Subscribe", NULL, &none, NULL) < 0 && !strstr(oci_error(), "AlreadySubscribed"))
		return -EIO;
	return r;
}

/* ---- properties: a(sv) ---- */

static void begin(struct buf *b, const char *name, const char *type)
{
	bus_align(b, 8);
	bus_put_string(b, name);
	bus_put_signature(b, type);
}

static void put_text(struct buf *b, const char *name, const char *v)
{
	begin(b, name, "s");
	bus_put_string(b, v);
}

static void put_bool(struct buf *b, const char *name, bool v)
{
	begin(b, name, "b");
	bus_put_u32(b, v);
}

static void put_number(struct buf *b, const char *name, uint64_t v)
{
	begin(b, name, "t");
	bus_put_u64(b, v);
}

/* -1 is no limit; 0 is not said. */
static void put_limit(struct buf *b, const char *name, const struct json *v)
{
	int64_t n = json_int(v, 0);
	if (n)
		put_number(b, name, n < 0 ? UINT64_MAX : (uint64_t)n);
}

/* "0-3,5" as bits. */
static int put_cpus(struct buf *b, const char *name, const char *list)
{
	uint8_t bits[CPUS_MAX / 8] = {0};
	size_t used = 0;
	if (str_empty(list))
		return 0;
	for (const char *at = list; *at;) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
		if (end == at || first > last || last >= CPUS_MAX || (*end && *end != ','))
			return oci_fail(0, "linux.resources.cpu: \"%s\" is not a list", list);
		for (unsigned long i = first; i <= last; i++)
			bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << i % 8);
		used = MAX_OF(used, last / 8 + 1);
		at = end + (*end == ',');
	}
	begin(b, name, "ay");
	size_t array = bus_begin_array(b, 1);
	buf_add(b, bits, used);
	bus_end_array(b, array, 1);
	return 0;
}

static int put_limits(struct buf *b, const struct cgroup *g, const struct json *res)
{
	const struct cgroup_hierarchy *h = cgroup_layout_v2(&g->layout);
	bool v2 = h && h->controllers;
	int64_t limit = json_path_int(res, "memory.limit", 0), swap = json_path_int(res, "memory.swap", 0);
	int64_t quota = json_path_int(res, "cpu.quota", 0);
	uint64_t period = config_u64(json_path(res, "cpu.period"), 0),
		 shares = config_u64(json_path(res, "cpu.shares"), 0);
	put_limit(b, v2 ? "MemoryMax" : "MemoryLimit", json_path(res, "memory.limit"));
	if (v2)
		put_limit(b, "MemoryLow", json_path(res, "memory.reservation"));
	if (v2 && swap < 0)
		put_number(b, "MemorySwapMax", UINT64_MAX);
	else if (v2 && limit > 0 && swap >= limit)
		put_number(b, "MemorySwapMax", (uint64_t)(swap - limit));
	if (shares)
		put_number(b, v2 ? "CPUWeight" : "CPUShares",
			   v2 ? cgroup_weight_of_shares((int64_t)MIN_OF(shares, (uint64_t)INT64_MAX)) : shares);
	if (period)
		put_number(b, "CPUQuotaPeriodUSec", period);
	if (quota) {
		/* Of a second; the manager takes steps of ten milliseconds, and shall not allow less. */
		uint64_t share = quota < 0 ? UINT64_MAX : (uint64_t)quota * 1000000 / (period ? period : 100000);
		put_number(b, "CPUQuotaPerSecUSec", quota < 0 ? share : (share + 9999) / 10000 * 10000);
	}
	put_limit(b, "TasksMax", json_path(res, "pids.limit"));
	int r = v2 ? put_cpus(b, "AllowedCPUs", json_path_str(res, "cpu.cpus")) : 0;
	return r == 0 && v2 ? put_cpus(b, "AllowedMemoryNodes", json_path_str(res, "cpu.mems")) : r;
}

static int write_scope(struct buf *b, const struct cgroup *g, const struct json *config, const char *id, pid_t pid)
{
	static const char *const accounted[] = {"CPUAccounting", "MemoryAccounting", "TasksAccounting", "IOAccounting"};
	char text[300];
	bus_put_string(b, g->unit);
	bus_put_string(b, "replace");
	size_t all = bus_begin_array(b, 8);
	snprintf(text, sizeof(text), "container %s", id);
	put_text(b, "Description", text);
	put_text(b, "Slice", g->slice);
	put_bool(b, "Delegate", true);
	put_bool(b, "DefaultDependencies", false);
	for (size_t i = 0; i < ARRAY_SIZE(accounted); i++)
		put_bool(b, accounted[i], true);
	begin(b, "PIDs", "au");
	size_t pids = bus_begin_array(b, 4);
	bus_put_u32(b, (uint32_t)pid);
	bus_end_array(b, pids, 4);
	const struct json *res = json_path(config, "linux.resources");
	int r = put_limits(b, g, res);
	if (r == 0 && !options.rootless) /* the user's manager may not restrict devices */
		r = systemd_put_devices(b, json_get(res, "devices"));
	bus_end_array(b, all, 8);
	bus_end_array(b, bus_begin_array(b, 8), 8); /* no auxiliary units */
	return r;
}

/* ---- the scope ---- */

static int wait_for_job(struct bus *bus, const char *job)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t until = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + JOB_WAIT_MS;
	for (;;) {
		struct bus_message m;
		int r = bus_next(bus, until, &m);
		if (r < 0)
			return oci_fail(r, "waiting for systemd's job %s", job);
		/* JobRemoved(u id, o job, s unit, s result) */
		bool ours = !strcmp(m.member, "JobRemoved") && str_eq(bus_string(&m, 4, 0), job);
		const char *result = ours ? bus_string(&m, 4, 2) : NULL;
		if (ours && !str_eq(result, "done"))
			r = oci_fail(0, "systemd's job %s ended: %s", job, str_or(result, "?"));
		bus_message_release(&m);
		if (ours)
			return r;
	}
}

/* Where it is now: the user's manager has a group of its own above its slices. */
static int find_path(struct cgroup *g, pid_t pid)
{
	char file[40], *save = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	int r = fs_read(file, PROC_CGROUP_MAX, &b);
	for (char *line = r < 0 ? NULL : strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *path = str_has_prefix(line, "0::/") ? line + 4 : strstr(line, ":name=systemd:/");
		if (path && *path == ':')
			path += strlen(":name=systemd:/");
		const char *unit = path ? strstr(path, g->unit) : NULL;
		if (unit && !strcmp(unit, g->unit) && strlen(path) < sizeof(g->path)) {
			strcpy(g->path, path);
			return 0;
		}
	}
	return oci_fail(r < 0 ? r : 0, "systemd has not moved process %d into %s", (int)pid, g->unit);
}

int systemd_start_scope(struct cgroup *g, const struct json *config, const char *id, pid_t pid)
{
	struct bus bus = BUS_INIT;
	struct bus_message reply = {0};
	_cleanup_buf_ struct buf body = BUF_INIT;
	int r = write_scope(&body, g, config, id, pid);
	if (r == 0)
		r = connect_manager(&bus);
	if (r == 0)
		r = subscribe(&bus);
	if (r == 0)
		r = call(&bus, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body, &reply);
	if (r == 0)
		r = wait_for_job(&bus, str_or(bus_string(&reply, 0, 0), ""));
	bus_message_release(&reply);
	bus_close(&bus);
	return r < 0 ? r : find_path(g, pid);
}

int systemd_set_limits(const struct cgroup *g, const struct json *resources)
{
	struct bus bus = BUS_INIT;
	_cleanup_buf_ struct buf body = BUF_INIT;
	bus_put_string(&body, g->unit);
	bus_put_u32(&body, true); /* until the next boot */
	size_t all = bus_begin_array(&body, 8), none = body.len;
	int r = put_limits(&body, g, resources);
	if (r == 0 && !options.rootless && json_len(json_get(resources, "devices")))
		r = systemd_put_devices(&body, json_get(resources, "devices"));
	bus_end_array(&body, all, 8);
	if (r < 0 || body.len == none)
		return r;
	r = connect_manager(&bus);
	if (r == 0)
		r = call(&bus, "SetUnitProperties", "sba(sv)", &body, NULL);
	bus_close(&bus);
	return r;
}

void systemd_stop_scope(const struct cgroup *g)
{
	struct bus bus = BUS_INIT;
	_cleanup_buf_ struct buf stop = BUF_INIT, reset = BUF_INIT;
	bus_put_string(&stop, g->unit);
	bus_put_string(&stop, "replace");
	bus_put_string(&reset, g->unit);
	if (connect_manager(&bus) < 0)
		return;
	/* It has gone with its last process, unless that failed. */
	(void)call(&bus, "StopUnit", "ss", &stop, NULL);
	(void)call(&bus, "ResetFailedUnit", "s", &reset, NULL);
	bus_close(&bus);
}
