/* SPDX-License-Identifier: Apache-2.0 */
/* One v1 hierarchy: the files of each controller mounted there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "runtime/cgroup_internal.h"

static bool plain(const struct cgroup_hierarchy *h)
{
	return !(h->controllers & CGROUP_CPUSET);
}

/* A new cpuset is empty and takes no process until it has CPUs and memory nodes: copy the parent's. */
static int prepare(const struct cgroup_hierarchy *h, int parent, int child)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char have[CGROUP_FILE_MAX], text[CGROUP_FILE_MAX];
	(void)h;
	for (size_t i = 0; i < 2; i++) {
		if (cgroup_read(child, files[i], have) == 0 && have[0] && have[0] != '\n')
			continue;
		int r = cgroup_read(parent, files[i], text);
		if (r == 0 && text[0] == '\n')
			return 1;
		if (r == 0)
			r = cgroup_write(child, files[i], text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_memory(int dir, int64_t limit)
{
	if (limit <= 0)
		return 0;
	/* With swap accounting the sum must never be below the limit, so the order depends on the direction. */
	int r = cgroup_write_int(dir, "memory.limit_in_bytes", limit);
	int swap = cgroup_write_int(dir, "memory.memsw.limit_in_bytes", limit);
	if (r < 0 && swap == 0)
		r = cgroup_write_int(dir, "memory.limit_in_bytes", limit);
	return r < 0 ? r : swap == -ENOENT ? 0 : swap;
}

static int apply(const struct cgroup_hierarchy *h, int dir, const struct spec_resources *res)
{
	int r = 0;
	if (h->controllers & CGROUP_CPU) {
		if (res->cpu_shares > 0)
			r = cgroup_write_int(dir, "cpu.shares", res->cpu_shares);
		if (r == 0 && res->cpu_period_us > 0)
			r = cgroup_write_int(dir, "cpu.cfs_period_us", res->cpu_period_us);
		if (r == 0 && res->cpu_quota_us != 0)
			r = cgroup_write_int(dir, "cpu.cfs_quota_us", res->cpu_quota_us > 0 ? res->cpu_quota_us : -1);
	}
	if (r == 0 && h->controllers & CGROUP_MEMORY)
		r = apply_memory(dir, res->memory_limit);
	if (r == 0 && h->controllers & CGROUP_PIDS && res->pids_limit > 0)
		r = cgroup_write_int(dir, "pids.max", res->pids_limit);
	if (h->controllers & CGROUP_CPUSET) {
		if (r == 0 && res->cpuset_cpus)
			r = cgroup_write(dir, "cpuset.cpus", res->cpuset_cpus);
		if (r == 0 && res->cpuset_mems)
			r = cgroup_write(dir, "cpuset.mems", res->cpuset_mems);
	}
	return r;
}

static int rules(int dir, const struct cgroup_rule *list, size_t n)
{
	_cleanup_close_ int allow = openat(dir, "devices.allow", O_WRONLY | O_CLOEXEC);
	_cleanup_close_ int deny = openat(dir, "devices.deny", O_WRONLY | O_CLOEXEC);
	if (allow < 0 || deny < 0 || write(deny, "a", 1) < 0)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		const struct cgroup_device *d = &list[i].device;
		char text[64], major[24] = "*", minor[24] = "*";
		if (d->major >= 0)
			snprintf(major, sizeof(major), "%lld", (long long)d->major);
		if (d->minor >= 0)
			snprintf(minor, sizeof(minor), "%lld", (long long)d->minor);
		snprintf(text, sizeof(text), "%c %s:%s %s", d->type, major, minor, d->permissions);
		if (write(list[i].allow ? allow : deny, text, strlen(text)) < 0)
			return -errno;
	}
	return 0;
}

static int64_t oom_kills(const struct cgroup_hierarchy *h, int dir)
{
	char text[CGROUP_FILE_MAX];
	(void)h;
	return cgroup_read(dir, "memory.oom_control", text) ? 0 : cgroup_key(text, "oom_kill", 0);
}

static void stats(const struct cgroup_hierarchy *h, int dir, struct runtime_stats *s)
{
	char text[CGROUP_FILE_MAX];
	if (h->controllers & CGROUP_CPUACCT)
		s->cpu_usage_ns = cgroup_read_int(dir, "cpuacct.usage");
	if (h->controllers & CGROUP_PIDS)
		s->pids = cgroup_read_int(dir, "pids.current");
	if (!(h->controllers & CGROUP_MEMORY))
		return;
	s->memory_usage = cgroup_read_int(dir, "memory.usage_in_bytes");
	if (cgroup_read(dir, "memory.stat", text))
		return;
	int64_t inactive = cgroup_key(text, "total_inactive_file", 0);
	s->memory_working_set = s->memory_usage > inactive ? s->memory_usage - inactive : 0;
	s->memory_rss = cgroup_key(text, "total_rss", 0);
	s->page_faults = cgroup_key(text, "total_pgfault", 0);
	s->major_page_faults = cgroup_key(text, "total_pgmajfault", 0);
}

const struct cgroup_ops cgroup_v1_ops = {plain, prepare, apply, rules, "tasks", oom_kills, stats};
