/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/group.h"

#define VALUE_MAX 256 /* bytes of one line written to a cgroup file; a cpu list may be long */

/* How a number is written. */
enum form {
	PLAIN,	    /* as it is */
	LIMIT,	    /* -1: no limit ("max" on v2, -1 on v1) */
	WEIGHT_CPU, /* shares of v1 onto cpu.weight of v2 */
	TEXT,	    /* a string */
};

struct row {
	const char *property;
	enum cgroup_controller controller;
	const char *v1, *v2; /* NULL: there is nothing like it */
	enum form form;
	bool zero_is_unset;
};

static const struct row rows[] = {
    {"cpu.shares", CGROUP_CPU, "cpu.shares", "cpu.weight", WEIGHT_CPU, true},
    {"cpu.idle", CGROUP_CPU, "cpu.idle", "cpu.idle", PLAIN, false},
    {"cpu.realtimePeriod", CGROUP_CPU, "cpu.rt_period_us", NULL, PLAIN, true},
    {"cpu.realtimeRuntime", CGROUP_CPU, "cpu.rt_runtime_us", NULL, PLAIN, true},
    {"cpu.cpus", CGROUP_CPUSET, "cpuset.cpus", "cpuset.cpus", TEXT, true},
    {"cpu.mems", CGROUP_CPUSET, "cpuset.mems", "cpuset.mems", TEXT, true},
    {"memory.reservation", CGROUP_MEMORY, "memory.soft_limit_in_bytes", "memory.low", LIMIT, true},
    {"memory.kernel", CGROUP_MEMORY, "memory.kmem.limit_in_bytes", NULL, LIMIT, true},
    {"memory.kernelTCP", CGROUP_MEMORY, "memory.kmem.tcp.limit_in_bytes", NULL, LIMIT, true},
    {"memory.swappiness", CGROUP_MEMORY, "memory.swappiness", NULL, PLAIN, false},
    {"pids.limit", CGROUP_PIDS, "pids.max", "pids.max", LIMIT, true},
    {"network.classID", CGROUP_NET_CLS, "net_cls.classid", NULL, PLAIN, true},
};

static int no_such(const char *property, const char *why)
{
	return oci_fail(-ENOTSUP, "linux.resources.%s: %s", property, why);
}

static int open_for(const struct cgroup *g, enum cgroup_controller c, const char *property, bool *ret_v2)
{
	int dir = cgroup_open(&g->layout, c, g->path, ret_v2);
	if (dir == -ENOENT)
		return no_such(property, "this machine's cgroups don't have the controller");
	return dir < 0 ? oci_fail(dir, "opening cgroup %s", g->path) : dir;
}

static int put(int dir, const char *file, const char *value, const char *property)
{
	int r = cgroup_file_write(dir, file, value);
	return r < 0 ? oci_fail(r, "linux.resources.%s: writing \"%s\" to %s", property, value, file) : 0;
}

static int put_row(const struct cgroup *g, const struct row *row, const struct json *v)
{
	char value[VALUE_MAX];
	bool v2;
	int64_t n = json_int(v, 0);
	uint64_t u = config_u64(v, 0);
	if (row->form == TEXT ? str_empty(json_str(v)) : row->zero_is_unset && !n && !u)
		return 0;
	_cleanup_close_ int dir = open_for(g, row->controller, row->property, &v2);
	if (dir < 0)
		return dir;
	const char *file = v2 ? row->v2 : row->v1;
	if (!file)
		return no_such(row->property, "cgroup v2 has nothing like it");
	if (row->form == TEXT) {
		if (strlen(json_str(v)) >= sizeof(value))
			return no_such(row->property, "the value is too long");
		snprintf(value, sizeof(value), "%s", json_str(v));
	} else if (row->form == LIMIT && n < 0) {
		snprintf(value, sizeof(value), "%s", v2 || row->controller == CGROUP_PIDS ? "max" : "-1");
	} else if (row->form == WEIGHT_CPU && v2) {
		snprintf(value, sizeof(value), "%llu",
			 (unsigned long long)cgroup_weight_of_shares(u > INT64_MAX ? INT64_MAX : (int64_t)u));
	} else if (n < 0) {
		snprintf(value, sizeof(value), "%lld", (long long)n);
	} else {
		snprintf(value, sizeof(value), "%llu", (unsigned long long)u);
	}
	return put(dir, file, value, row->property);
}

/* ---- those that take more than one write ---- */

static int put_bandwidth(const struct cgroup *g, const struct json *cpu)
{
	char value[VALUE_MAX];
	bool v2;
	int64_t quota = json_path_int(cpu, "quota", 0);
	uint64_t period = config_u64(json_get(cpu, "period"), 0), burst = config_u64(json_get(cpu, "burst"), 0);
	if (!quota && !period && !json_get(cpu, "burst"))
		return 0;
	_cleanup_close_ int dir = open_for(g, CGROUP_CPU, "cpu.quota", &v2);
	int r = dir < 0 ? dir : 0;
	if (r == 0 && v2 && (quota || period)) {
		char old[VALUE_MAX] = "max 100000";
		(void)cgroup_file_read(dir, "cpu.max", old, sizeof(old));
		char *space = strchr(old, ' ');
		if (!period && space)
			period = strtoull(space + 1, NULL, 10);
		if (space)
			*space = 0;
		if (quota > 0)
			snprintf(value, sizeof(value), "%lld %llu", (long long)quota, (unsigned long long)period);
		else
			snprintf(value, sizeof(value), "%s %llu", quota ? "max" : old, (unsigned long long)period);
		r = put(dir, "cpu.max", value, "cpu.quota");
	} else if (r == 0 && !v2) {
		/* A quota longer than the period's own limit is refused, so the order depends on the direction. */
		bool period_done = false;
		if (period) {
			snprintf(value, sizeof(value), "%llu", (unsigned long long)period);
			r = cgroup_file_write(dir, "cpu.cfs_period_us", value);
			period_done = r == 0;
			r = 0;
		}
		if (quota) {
			snprintf(value, sizeof(value), "%lld", quota > 0 ? (long long)quota : -1ll);
			r = put(dir, "cpu.cfs_quota_us", value, "cpu.quota");
		}
		if (r == 0 && period && !period_done) {
			snprintf(value, sizeof(value), "%llu", (unsigned long long)period);
			r = put(dir, "cpu.cfs_period_us", value, "cpu.period");
		}
	}
	if (r == 0 && json_get(cpu, "burst")) {
		snprintf(value, sizeof(value), "%llu", (unsigned long long)burst);
		r = put(dir, v2 ? "cpu.max.burst" : "cpu.cfs_burst_us", value, "cpu.burst");
	}
	return r;
}

static int check_usage(int dir, bool v2, int64_t limit)
{
	char text[64];
	if (cgroup_file_read(dir, v2 ? "memory.current" : "memory.usage_in_bytes", text, sizeof(text)) < 0)
		return 0;
	long long used = strtoll(text, NULL, 10);
	return limit > 0 && used > limit
		   ? oci_fail(-EBUSY, "linux.resources.memory.limit: %lld is below the %lld bytes in use",
			      (long long)limit, used)
		   : 0;
}

static int put_memory_v1(int dir, int64_t limit, int64_t swap)
{
	char l[32], s[32];
	snprintf(l, sizeof(l), "%lld", (long long)limit);
	snprintf(s, sizeof(s), "%lld", (long long)swap);
	/* Memory and swap together may never be below memory alone: raise the sum first, lower it last. */
	if (limit && swap) {
		bool sum_done = cgroup_file_write(dir, "memory.memsw.limit_in_bytes", s) == 0;
		int r = put(dir, "memory.limit_in_bytes", l, "memory.limit");
		return r < 0 || sum_done ? r : put(dir, "memory.memsw.limit_in_bytes", s, "memory.swap");
	}
	if (limit)
		return put(dir, "memory.limit_in_bytes", l, "memory.limit");
	return swap ? put(dir, "memory.memsw.limit_in_bytes", s, "memory.swap") : 0;
}

static int put_memory(const struct cgroup *g, const struct json *memory)
{
	bool v2;
	char value[VALUE_MAX];
	int64_t limit = json_path_int(memory, "limit", 0), swap = json_path_int(memory, "swap", 0);
	bool no_oom = json_path_bool(memory, "disableOOMKiller", false);
	if (!limit && !swap && !no_oom)
		return 0;
	_cleanup_close_ int dir = open_for(g, CGROUP_MEMORY, limit ? "memory.limit" : "memory.swap", &v2);
	int r = dir < 0 ? dir : 0;
	if (r == 0 && json_path_bool(memory, "checkBeforeUpdate", false))
		r = check_usage(dir, v2, limit);
	if (r == 0 && !v2) {
		if (limit < 0 && !swap)
			swap = -1;
		r = put_memory_v1(dir, limit, swap);
		if (r == 0 && no_oom)
			r = put(dir, "memory.oom_control", "1", "memory.disableOOMKiller");
		return r;
	}
	if (r == 0 && no_oom)
		return no_such("memory.disableOOMKiller", "cgroup v2 has nothing like it");
	if (r == 0 && swap) {
		/* v2 counts swap alone, the specification memory and swap together. */
		if (swap > 0 && limit <= 0)
			return no_such("memory.swap", "needs memory.limit on cgroup v2");
		if (swap > 0 && swap < limit)
			return no_such("memory.swap", "memory and swap together cannot be less than memory.limit");
		if (swap > 0)
			snprintf(value, sizeof(value), "%lld", (long long)(swap - limit));
		else
			snprintf(value, sizeof(value), "max");
		r = put(dir, "memory.swap.max", value, "memory.swap");
		if (r == -ENOENT && swap == limit)
			r = 0; /* a kernel without swap accounting gives none beyond the limit when there is no swap */
	}
	if (r == 0 && limit) {
		if (limit > 0)
			snprintf(value, sizeof(value), "%lld", (long long)limit);
		else
			snprintf(value, sizeof(value), "max");
		r = put(dir, "memory.max", value, "memory.limit");
	}
	return r;
}

static const struct {
	const char *property, *v1, *v2;
} throttles[] = {
    {"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"},
    {"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"},
    {"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"},
    {"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"},
};

static int put_weight(int dir, bool v2, const char *device, uint64_t weight, const char *property)
{
	char value[VALUE_MAX];
	static const char *const files[2][2] = {{"blkio.weight", "blkio.bfq.weight"}, {"io.bfq.weight", "io.weight"}};
	static const char *const device_files[2][2] = {{"blkio.weight_device", "blkio.bfq.weight_device"},
						       {"io.bfq.weight", "io.weight"}};
	int r = -ENOENT;
	for (int i = 0; i < 2 && r == -ENOENT; i++) {
		/* 10..1000 onto io.weight's 1..10000. */
		uint64_t w = v2 && i == 1 && weight ? 1 + (weight - 10) * 9999 / 990 : weight;
		snprintf(value, sizeof(value), "%s%s%llu", str_or(device, ""), device ? " " : "",
			 (unsigned long long)w);
		r = cgroup_file_write(dir, device ? device_files[v2][i] : files[v2][i], value);
	}
	return r < 0 ? oci_fail(r, "linux.resources.blockIO.%s: writing \"%s\"", property, value) : 0;
}

static int put_block_io(const struct cgroup *g, const struct json *io)
{
	bool v2;
	char value[VALUE_MAX], device[48];
	if (!json_len(io))
		return 0;
	_cleanup_close_ int dir = open_for(g, CGROUP_BLKIO, "blockIO", &v2);
	int r = dir < 0 ? dir : 0;
	uint64_t weight = config_u64(json_get(io, "weight"), 0), leaf = config_u64(json_get(io, "leafWeight"), 0);
	if (r == 0 && weight)
		r = put_weight(dir, v2, NULL, weight, "weight");
	if (r == 0 && leaf) {
		if (v2)
			return no_such("blockIO.leafWeight", "cgroup v2 has nothing like it");
		snprintf(value, sizeof(value), "%llu", (unsigned long long)leaf);
		r = put(dir, "blkio.leaf_weight", value, "blockIO.leafWeight");
	}
	JSON_EACH(d, json_get(io, "weightDevice")) {
		snprintf(device, sizeof(device), "%lld:%lld", (long long)json_path_int(d, "major", 0),
			 (long long)json_path_int(d, "minor", 0));
		weight = config_u64(json_get(d, "weight"), 0);
		leaf = config_u64(json_get(d, "leafWeight"), 0);
		if (r == 0 && weight)
			r = put_weight(dir, v2, device, weight, "weightDevice");
		if (r == 0 && leaf) {
			if (v2)
				return no_such("blockIO.weightDevice.leafWeight", "cgroup v2 has nothing like it");
			snprintf(value, sizeof(value), "%s %llu", device, (unsigned long long)leaf);
			r = put(dir, "blkio.leaf_weight_device", value, "blockIO.weightDevice.leafWeight");
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(throttles); i++)
		JSON_EACH(d, json_get(io, throttles[i].property)) {
			unsigned long long rate = config_u64(json_get(d, "rate"), 0);
			snprintf(device, sizeof(device), "%lld:%lld", (long long)json_path_int(d, "major", 0),
				 (long long)json_path_int(d, "minor", 0));
			if (v2 && rate)
				snprintf(value, sizeof(value), "%s %s=%llu", device, throttles[i].v2, rate);
			else if (v2)
				snprintf(value, sizeof(value), "%s %s=max", device, throttles[i].v2);
			else
				snprintf(value, sizeof(value), "%s %llu", device, rate);
			if (r == 0)
				r = put(dir, v2 ? "io.max" : throttles[i].v1, value, throttles[i].property);
		}
	return r;
}

/* A name that becomes part of a file's name. */
static bool plain_name(const char *s)
{
	return *s && !strchr(s, '/') && strcmp(s, "..") && strcmp(s, ".") && strlen(s) < 100;
}

static int put_huge_pages(const struct cgroup *g, const struct json *limits)
{
	JSON_EACH(l, limits) {
		bool v2;
		char file[160], value[32];
		const char *size = json_path_str(l, "pageSize");
		if (!plain_name(size))
			return no_such("hugepageLimits.pageSize", "not a page size");
		_cleanup_close_ int dir = open_for(g, CGROUP_HUGETLB, "hugepageLimits", &v2);
		if (dir < 0)
			return dir;
		snprintf(value, sizeof(value), "%llu", (unsigned long long)config_u64(json_get(l, "limit"), 0));
		snprintf(file, sizeof(file), "hugetlb.%s.%s", size, v2 ? "max" : "limit_in_bytes");
		int r = put(dir, file, value, "hugepageLimits");
		if (r < 0)
			return r;
		snprintf(file, sizeof(file), "hugetlb.%s.rsvd.%s", size, v2 ? "max" : "limit_in_bytes");
		r = cgroup_file_write(dir, file, value);
		if (r < 0 && r != -ENOENT && r != -EACCES)
			return oci_fail(r, "linux.resources.hugepageLimits: writing %s", file);
	}
	return 0;
}

static int put_network(const struct cgroup *g, const struct json *priorities)
{
	JSON_EACH(p, priorities) {
		bool v2;
		char value[VALUE_MAX];
		_cleanup_close_ int dir = open_for(g, CGROUP_NET_PRIO, "network.priorities", &v2);
		if (dir < 0)
			return dir;
		snprintf(value, sizeof(value), "%.100s %llu", json_path_str(p, "name"),
			 (unsigned long long)config_u64(json_get(p, "priority"), 0));
		int r = v2 ? no_such("network.priorities", "cgroup v2 has nothing like it")
			   : put(dir, "net_prio.ifpriomap", value, "network.priorities");
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_rdma(const struct cgroup *g, const struct json *rdma)
{
	JSON_EACH(d, rdma) {
		bool v2;
		char value[VALUE_MAX];
		_cleanup_close_ int dir = open_for(g, CGROUP_RDMA, "rdma", &v2);
		if (dir < 0)
			return dir;
		int n = snprintf(value, sizeof(value), "%.100s", d->key);
		if (json_get(d, "hcaHandles"))
			n += snprintf(value + n, sizeof(value) - (size_t)n, " hca_handle=%lld",
				      (long long)json_path_int(d, "hcaHandles", 0));
		if (json_get(d, "hcaObjects"))
			n += snprintf(value + n, sizeof(value) - (size_t)n, " hca_object=%lld",
				      (long long)json_path_int(d, "hcaObjects", 0));
		int r = put(dir, "rdma.max", value, "rdma");
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_unified(const struct cgroup *g, const struct json *unified)
{
	if (!json_len(unified))
		return 0;
	_cleanup_close_ int dir = cgroup_open_v2(&g->layout, g->path);
	if (dir < 0 || (g->layout.n > 1 && !cgroup_layout_v2(&g->layout)->controllers))
		return no_such("unified", "needs cgroup v2");
	JSON_EACH(u, unified) {
		if (!plain_name(u->key) || !strchr(u->key, '.'))
			return oci_fail(0, "linux.resources.unified: \"%s\" is not a file of a cgroup", u->key);
		char property[160];
		snprintf(property, sizeof(property), "unified.%s", u->key);
		/* Several lines are several writes: the kernel takes one a time. */
		char *copy = strdup(json_str(u)), *save = NULL;
		int r = 0;
		for (char *line = strtok_r(copy, "\n", &save); line && r == 0; line = strtok_r(NULL, "\n", &save))
			r = put(dir, u->key, line, property);
		free(copy);
		if (r == -ENOENT)
			return no_such(property, "this machine's cgroups don't have it");
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- devices ---- */

int resources_device_rules(const struct json *rules, struct cgroup_rule list[CGROUP_RULES_MAX])
{
	int n = 0;
	JSON_EACH(d, rules) {
		const char *type = str_or(json_path_str(d, "type"), "a"),
			   *access = str_or(json_path_str(d, "access"), "");
		if (!*type)
			type = "a";
		if (n == CGROUP_RULES_MAX)
			return no_such("devices", "too many rules");
		if (strlen(type) != 1 || !strchr("abc", *type))
			return no_such("devices.type", "must be a, b or c");
		if (access[strspn(access, "rwm")])
			return no_such("devices.access", "must be of the letters r, w and m");
		int64_t major = json_path_int(d, "major", -1), minor = json_path_int(d, "minor", -1);
		if (major < -1 || major > UINT32_MAX || minor < -1 || minor > UINT32_MAX)
			return no_such("devices", "major and minor are numbers, or -1 for all");
		list[n++] = (struct cgroup_rule){json_path_bool(d, "allow", false),
						 {*type, major, minor, *access ? access : "rwm"}};
	}
	return n;
}

static int put_devices(const struct cgroup *g, const struct json *rules)
{
	static struct cgroup_rule list[CGROUP_RULES_MAX];
	int n = resources_device_rules(rules, list);
	if (n < 0)
		return n;
	int r = cgroup_apply_rules(&g->layout, g->path, list, (size_t)n);
	if (r < 0 && options.rootless && (r == -EPERM || r == -EACCES)) {
		/* Nobody in a user namespace can make device nodes, and those that exist have their owners'
		 * permissions. */
		oci_debug("device rules are not applied: not permitted");
		return 0;
	}
	return r < 0 ? oci_fail(r, "linux.resources.devices") : 0;
}

bool resources_demanded(const struct json *res)
{
	JSON_EACH(member, res) {
		if (!strcmp(member->key, "devices") || !json_len(member))
			continue;
		/* {"limit": 0} and {"limit": -1} say that there is no limit. */
		JSON_EACH(v, member)
			if (v->type != JSON_NUMBER ? v->type != JSON_BOOL || v->boolean : json_int(v, 1) > 0)
				return true;
	}
	return false;
}

int resources_apply(const struct cgroup *g, const struct json *res, bool creating)
{
	int r = 0;
	if (g->manager == GROUP_DISABLED)
		return resources_demanded(res) ? oci_fail(-ENOTSUP, "linux.resources: the container has no cgroup") : 0;
	/* First what others are judged against. */
	r = put_memory(g, json_get(res, "memory"));
	if (r == 0)
		r = put_bandwidth(g, json_get(res, "cpu"));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rows); i++) {
		const struct json *v = json_path(res, rows[i].property);
		if (v && v->type != JSON_NULL)
			r = put_row(g, &rows[i], v);
	}
	if (r == 0)
		r = put_block_io(g, json_get(res, "blockIO"));
	if (r == 0)
		r = put_huge_pages(g, json_get(res, "hugepageLimits"));
	if (r == 0)
		r = put_network(g, json_path(res, "network.priorities"));
	if (r == 0)
		r = put_rdma(g, json_get(res, "rdma"));
	if (r == 0)
		r = put_unified(g, json_get(res, "unified"));
	if (r == 0 && (creating || json_len(json_get(res, "devices"))))
		r = put_devices(g, json_get(res, "devices"));
	return r;
}
