/* SPDX-License-Identifier: Apache-2.0 */
/* What of `process` needs the runtime's rights: rlimits, oom score, scheduler, I/O priority, CPU affinity. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/process.h"
#include "runtime/rootfs.h"

static const struct {
	const char *name;
	int resource;
} rlimits[] = {
    {"RLIMIT_AS", RLIMIT_AS},		{"RLIMIT_CORE", RLIMIT_CORE},	      {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},	{"RLIMIT_FSIZE", RLIMIT_FSIZE},	      {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},	{"RLIMIT_NPROC", RLIMIT_NPROC},	      {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},	{"RLIMIT_RTTIME", RLIMIT_RTTIME},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

int process_rlimits(const struct json *list)
{
	unsigned seen = 0;
	JSON_EACH(e, list) {
		const char *name = json_path_str(e, "type");
		size_t i = 0;
		while (i < ARRAY_SIZE(rlimits) && strcmp(name, rlimits[i].name))
			i++;
		if (i == ARRAY_SIZE(rlimits))
			return oci_fail(0, "process.rlimits: unknown type \"%s\"", name);
		if (seen & 1u << i)
			return oci_fail(0, "process.rlimits: %s is there twice", name);
		seen |= 1u << i;
		struct rlimit l = {config_u64(json_get(e, "soft"), 0), config_u64(json_get(e, "hard"), 0)};
		if (setrlimit((__rlimit_resource_t)rlimits[i].resource, &l) < 0)
			return oci_fail(-errno, "process.rlimits: %s", name);
	}
	return 0;
}

int process_oom_score(const struct json *spec, pid_t pid)
{
	char text[24], path[40] = "/proc/self/oom_score_adj";
	const struct json *v = json_get(spec, "oomScoreAdj");
	if (!v || v->type == JSON_NULL)
		return 0;
	int64_t score = json_int(v, 0);
	if (score < -1000 || score > 1000)
		return oci_fail(0, "process.oomScoreAdj %lld is out of range", (long long)score);
	int n = snprintf(text, sizeof(text), "%lld", (long long)score);
	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, text, (size_t)n) == n)
		return 0;
	/* Nobody without privileges may lower it, and drivers ask for their own score all the same. */
	if (options.rootless && (errno == EACCES || errno == EPERM)) {
		oci_debug("process.oomScoreAdj is not permitted");
		return 0;
	}
	return oci_fail(-errno, "process.oomScoreAdj %lld", (long long)score);
}

/* The kernel's struct sched_attr, which Debian's headers don't have under that name in user space. */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

struct word {
	const char *name;
	unsigned value;
};

static int find_word(const struct word *w, const char *name, unsigned *ret)
{
	for (; w->name; w++)
		if (str_eq(w->name, name)) {
			*ret = w->value;
			return 0;
		}
	return -EINVAL;
}

static int set_scheduler(const struct json *s)
{
	static const struct word policies[] = {
	    {"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},	  {"SCHED_BATCH", 3},
	    {"SCHED_ISO", 4},	{"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6}, {0}};
	static const struct word flags[] = {{"SCHED_FLAG_RESET_ON_FORK", 0x01},	 {"SCHED_FLAG_RECLAIM", 0x02},
					    {"SCHED_FLAG_DL_OVERRUN", 0x04},	 {"SCHED_FLAG_KEEP_POLICY", 0x08},
					    {"SCHED_FLAG_KEEP_PARAMS", 0x10},	 {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
					    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}, {0}};
	struct scheduling a = {.size = sizeof(a)};
	unsigned bit;
	if (!s)
		return 0;
	const char *policy = json_path_str(s, "policy");
	if (find_word(policies, policy, &a.policy) < 0)
		return oci_fail(0, "process.scheduler: unknown policy \"%s\"", policy);
	JSON_EACH(e, json_get(s, "flags")) {
		if (find_word(flags, json_str(e), &bit) < 0)
			return oci_fail(0, "process.scheduler: unknown flag \"%s\"", json_str(e));
		a.flags |= bit;
	}
	a.nice = (int32_t)json_path_int(s, "nice", 0);
	a.priority = (uint32_t)json_path_int(s, "priority", 0);
	a.runtime = config_u64(json_get(s, "runtime"), 0);
	a.deadline = config_u64(json_get(s, "deadline"), 0);
	a.period = config_u64(json_get(s, "period"), 0);
	return syscall(SYS_sched_setattr, 0, &a, 0) < 0 ? oci_fail(-errno, "process.scheduler %s", policy) : 0;
}

static int set_io_priority(const struct json *io)
{
	static const struct word classes[] = {
	    {"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}, {0}};
	unsigned class;
	if (!io)
		return 0;
	int64_t priority = json_path_int(io, "priority", 0);
	if (find_word(classes, json_path_str(io, "class"), &class) < 0)
		return oci_fail(0, "process.ioPriority: unknown class \"%s\"", json_path_str(io, "class"));
	if (priority < 0 || priority > 7)
		return oci_fail(0, "process.ioPriority: priority %lld is not within 0 and 7", (long long)priority);
	if (syscall(SYS_ioprio_set, 1, 0, class << 13 | (unsigned)priority) < 0)
		return oci_fail(-errno, "process.ioPriority");
	return 0;
}

int process_set_affinity(const char *list)
{
	cpu_set_t *set = CPU_ALLOC(8192);
	size_t size = CPU_ALLOC_SIZE(8192);
	int r = 0;
	CPU_ZERO_S(size, set);
	for (const char *at = list; *at && r == 0;) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;
		if (end == at)
			r = -EINVAL;
		if (*end == '-') {
			at = end + 1;
			last = strtoul(at, &end, 10);
			if (end == at)
				r = -EINVAL;
		}
		if (first > last || last >= 8192 || (*end && *end != ','))
			r = -EINVAL;
		for (unsigned long i = first; i <= last && r == 0; i++)
			CPU_SET_S(i, size, set);
		at = end + (*end == ',');
	}
	if (r == 0 && sched_setaffinity(0, size, set) < 0)
		r = -errno;
	CPU_FREE(set);
	return r < 0 ? oci_fail(r, "CPU affinity \"%s\"", list) : 0;
}

int process_limits(const struct process *p)
{
	int r = set_scheduler(json_get(p->spec, "scheduler"));
	if (r == 0)
		r = set_io_priority(json_get(p->spec, "ioPriority"));
	return r;
}
