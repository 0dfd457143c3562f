/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/resources.h"

static struct {
	const char *resources, *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *cpu_share, *cpu_rt_period,
	    *cpu_rt_runtime, *cpuset_cpus, *cpuset_mems, *kernel_memory, *kernel_memory_tcp, *memory, *cpu_idle,
	    *reservation, *swap, *pids, *l3, *bandwidth;
} given;

static const struct flag flags[] = {
    {"resources", 'r', FLAG_STRING, &given.resources, "file with the specification's resources; - is standard input"},
    {"blkio-weight", 0, FLAG_STRING, &given.blkio_weight, "10 to 1000"},
    {"cpu-period", 0, FLAG_STRING, &given.cpu_period, "microseconds"},
    {"cpu-quota", 0, FLAG_STRING, &given.cpu_quota, "microseconds a period"},
    {"cpu-burst", 0, FLAG_STRING, &given.cpu_burst, "microseconds"},
    {"cpu-share", 0, FLAG_STRING, &given.cpu_share, "weight, 2 to 262144"},
    {"cpu-rt-period", 0, FLAG_STRING, &given.cpu_rt_period, "microseconds, real-time"},
    {"cpu-rt-runtime", 0, FLAG_STRING, &given.cpu_rt_runtime, "microseconds a period, real-time"},
    {"cpuset-cpus", 0, FLAG_STRING, &given.cpuset_cpus, "list of CPUs"},
    {"cpuset-mems", 0, FLAG_STRING, &given.cpuset_mems, "list of memory nodes"},
    {"cpu-idle", 0, FLAG_STRING, &given.cpu_idle, "1: only when nobody else wants the CPU"},
    {"kernel-memory", 0, FLAG_STRING, &given.kernel_memory, "accepted and ignored: obsolete"},
    {"kernel-memory-tcp", 0, FLAG_STRING, &given.kernel_memory_tcp, "accepted and ignored: obsolete"},
    {"memory", 0, FLAG_STRING, &given.memory, "bytes; -1: no limit"},
    {"memory-reservation", 0, FLAG_STRING, &given.reservation, "bytes"},
    {"memory-swap", 0, FLAG_STRING, &given.swap, "bytes of memory and swap together; -1: no limit"},
    {"pids-limit", 0, FLAG_STRING, &given.pids, "processes; -1: no limit"},
    {"l3-cache-schema", 0, FLAG_STRING, &given.l3, "refused: needs Intel RDT"},
    {"mem-bw-schema", 0, FLAG_STRING, &given.bandwidth, "refused: needs Intel RDT"},
    {0}};

static const struct {
	const char **value, *property;
	bool text, bytes;
} onto[] = {
    {&given.blkio_weight, "blockIO.weight", false, false},
    {&given.cpu_period, "cpu.period", false, false},
    {&given.cpu_quota, "cpu.quota", false, false},
    {&given.cpu_burst, "cpu.burst", false, false},
    {&given.cpu_share, "cpu.shares", false, false},
    {&given.cpu_rt_period, "cpu.realtimePeriod", false, false},
    {&given.cpu_rt_runtime, "cpu.realtimeRuntime", false, false},
    {&given.cpuset_cpus, "cpu.cpus", true, false},
    {&given.cpuset_mems, "cpu.mems", true, false},
    {&given.cpu_idle, "cpu.idle", false, false},
    {&given.memory, "memory.limit", false, true},
    {&given.reservation, "memory.reservation", false, true},
    {&given.swap, "memory.swap", false, true},
    {&given.pids, "pids.limit", false, false},
};

/* "64M", "1g", "-1". */
static int parse_bytes(const char *text, int64_t *ret)
{
	static const char units[] = "bkmgt";
	char digits[32];
	size_t n = strlen(text);
	int shift = 0;
	if (n && (text[n - 1] == 'b' || text[n - 1] == 'B') && n > 1 && strchr("kmgtKMGT", text[n - 2]))
		n--;
	const char *unit = n ? strchr(units, text[n - 1] | 0x20) : NULL;
	if (unit && *unit) {
		shift = 10 * (int)(unit - units);
		n--;
	}
	if (!n || n >= sizeof(digits))
		return -1;
	memcpy(digits, text, n);
	digits[n] = 0;
	int64_t v;
	if (parse_i64(digits, &v) < 0 || v > INT64_MAX >> shift || v < -1)
		return -1;
	*ret = v < 0 ? v : v << shift;
	return 0;
}

static int from_flags(struct arena *a, struct json *res)
{
	for (size_t i = 0; i < ARRAY_SIZE(onto); i++) {
		const char *v = *onto[i].value;
		int64_t n;
		if (!v)
			continue;
		if (onto[i].text) {
			json_set_path(a, res, onto[i].property, json_new_str(a, v));
			continue;
		}
		if ((onto[i].bytes ? parse_bytes(v, &n) : parse_i64(v, &n)) < 0)
			return oci_fail(0, "invalid value \"%s\" for %s", v, onto[i].property);
		json_set_path(a, res, onto[i].property, json_new_int(a, n));
	}
	return 0;
}

/* One file may say how much swap and another how much memory: v2 needs both to know the difference. */
static void complete(struct arena *a, struct json *res, const struct json *before)
{
	struct json *memory = json_get(res, "memory");
	const struct json *limit = json_path(before, "memory.limit");
	if (memory && json_get(memory, "swap") && !json_get(memory, "limit") && limit)
		json_set(a, memory, "limit", json_clone(a, limit));
}

/* What is said now replaces what was said before, property by property, for a later update and for the reader. */
static void merge(struct arena *a, struct json *into, const struct json *from)
{
	JSON_EACH(e, from) {
		struct json *old = json_get(into, e->key);
		if (json_is(old, JSON_OBJECT) && json_is(e, JSON_OBJECT))
			merge(a, old, e);
		else
			json_set(a, into, e->key, json_clone(a, e));
	}
}

static int update(int argc, char **argv)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	struct json *res = NULL;
	(void)argc;
	if (given.l3 || given.bandwidth)
		return oci_fail(0, "Intel RDT is not supported");
	int r = container_load(&c, argv[0], true);
	if (r == 0)
		r = container_load_config(&c);
	if (r < 0)
		return r;
	if (container_phase_of(&c) == PHASE_STOPPED)
		return oci_fail(0, "container not running");
	if (given.resources)
		r = config_read(&c.arena, given.resources, &res);
	else
		res = json_new(&c.arena, JSON_OBJECT);
	if (r == 0)
		r = from_flags(&c.arena, res);
	if (r == 0)
		r = config_check_resources(res);
	if (r == 0)
		r = group_detect(&c.group);
	if (r < 0)
		return r;
	struct json *config_linux = json_object_in(&c.arena, c.config, "linux");
	struct json *all = json_object_in(&c.arena, config_linux, "resources");
	complete(&c.arena, res, all);
	r = resources_apply(&c.group, res, false);
	if (r == 0)
		r = group_tell_limits(&c.group, res);
	if (r < 0)
		return r;
	merge(&c.arena, all, res);
	return container_save_config(&c);
}

const struct command command_update = {"update", "ID",	"change the limits of a container", flags, 1, 1, false,
				       false,	 update};
