/* SPDX-License-Identifier: Apache-2.0 */
/* The v2 hierarchy, with or without controllers (hybrid machines have none on it). */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "runtime/cgroup_internal.h"

static bool plain(const struct cgroup_hierarchy *h)
{
	return !h->controllers;
}

/* Controllers are inherited only when the parent says so. Those the parent does not have itself cannot be given. */
static int prepare(const struct cgroup_hierarchy *h, int parent, int child)
{
	static const struct {
		unsigned bit;
		const char *enable;
	} want[] = {{CGROUP_CPU, "+cpu"},	{CGROUP_MEMORY, "+memory"}, {CGROUP_PIDS, "+pids"},
		    {CGROUP_CPUSET, "+cpuset"}, {CGROUP_BLKIO, "+io"},	    {CGROUP_HUGETLB, "+hugetlb"},
		    {CGROUP_RDMA, "+rdma"},	{CGROUP_MISC, "+misc"}};
	char have[CGROUP_FILE_MAX];
	int lacking = 0;
	if (cgroup_read(child, "cgroup.controllers", have))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		if (h->controllers & want[i].bit && !strstr(have, want[i].enable + 1)) {
			lacking = 1;
			/* -EBUSY: processes live in the parent; what is missing then shows when a limit is applied. */
			(void)cgroup_write(parent, "cgroup.subtree_control", want[i].enable);
		}
	return lacking;
}

static int apply(const struct cgroup_hierarchy *h, int dir, const struct spec_resources *res)
{
	int r = 0;
	char text[64];
	if (h->controllers & CGROUP_CPU) {
		if (res->cpu_shares > 0)
			r = cgroup_write_int(dir, "cpu.weight", (int64_t)cgroup_weight_of_shares(res->cpu_shares));
		if (r == 0 && (res->cpu_quota_us != 0 || res->cpu_period_us > 0)) {
			long long period = res->cpu_period_us > 0 ? res->cpu_period_us : 100000;
			if (res->cpu_quota_us > 0)
				snprintf(text, sizeof(text), "%lld %lld", (long long)res->cpu_quota_us, period);
			else
				snprintf(text, sizeof(text), "max %lld", period);
			r = cgroup_write(dir, "cpu.max", text);
		}
	}
	if (h->controllers & CGROUP_MEMORY) {
		if (r == 0 && res->memory_limit > 0) {
			r = cgroup_write_int(dir, "memory.max", res->memory_limit);
			if (r == 0) {
				/* No swap beyond the limit, where swap is accounted. */
				int swap = cgroup_write(dir, "memory.swap.max", "0");
				r = swap == -ENOENT ? 0 : swap;
			}
		}
		if (r == 0 && res->oom_group)
			r = cgroup_write_int(dir, "memory.oom.group", 1);
		if (r == 0 && res->memory_low_high > 0)
			r = cgroup_write_int(dir, "memory.high", res->memory_low_high);
	}
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

/* ---- devices: a BPF program that answers 1 or 0 for a (type, access, major, minor) ---- */

#define INSNS_PER_RULE 9
#define PROGRAMS_MAX 64 /* the kernel's BPF_CGROUP_MAX_PROGS */

static struct bpf_insn insn(int code, int dst, int src, int off, int imm)
{
	return (struct bpf_insn){.code = (uint8_t)code,
				 .dst_reg = (uint8_t)(dst & 15),
				 .src_reg = (uint8_t)(src & 15),
				 .off = (int16_t)off,
				 .imm = imm};
}

static int access_bits(const char *permissions)
{
	int bits = 0;
	for (const char *c = permissions; *c; c++)
		bits |= *c == 'r' ? BPF_DEVCG_ACC_READ : *c == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
	return bits;
}

/* R2 type, R3 access asked for, R4 major, R5 minor. A rule that doesn't match jumps to the next one. */
static size_t rule(struct bpf_insn *p, const struct cgroup_rule *r)
{
	const struct cgroup_device *d = &r->device;
	size_t n = 0, fix[4], n_fix = 0;
	int access = access_bits(d->permissions);
	if (d->type != 'a') {
		fix[n_fix++] = n;
		p[n++] =
		    insn(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0, d->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	}
	if (r->allow) {
		/* Bits asked for beyond those given: not this rule. */
		fix[n_fix++] = n;
		p[n++] = insn(BPF_JMP | BPF_JSET | BPF_K, 3, 0, 0, 7 & ~access);
	} else if (access != 7) {
		/* One of the bits denied is enough. */
		p[n++] = insn(BPF_JMP | BPF_JSET | BPF_K, 3, 0, 1, access);
		fix[n_fix++] = n;
		p[n++] = insn(BPF_JMP | BPF_JA, 0, 0, 0, 0);
	}
	if (d->type != 'a' && d->major >= 0) {
		fix[n_fix++] = n;
		p[n++] = insn(BPF_JMP | BPF_JNE | BPF_K, 4, 0, 0, (int)d->major);
	}
	if (d->type != 'a' && d->minor >= 0) {
		fix[n_fix++] = n;
		p[n++] = insn(BPF_JMP | BPF_JNE | BPF_K, 5, 0, 0, (int)d->minor);
	}
	p[n++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, r->allow);
	p[n++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (size_t i = 0; i < n_fix; i++)
		p[fix[i]].off = (int16_t)(n - fix[i] - 1);
	return n;
}

static int load(const struct cgroup_rule *list, size_t n)
{
	struct bpf_insn *p = xcalloc(8 + INSNS_PER_RULE * (n + 1), sizeof(*p));
	size_t len = 0;
	p[len++] = insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0);
	p[len++] = insn(BPF_ALU64 | BPF_MOV | BPF_X, 3, 2, 0, 0);
	p[len++] = insn(BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
	p[len++] = insn(BPF_ALU64 | BPF_RSH | BPF_K, 3, 0, 0, 16);
	p[len++] = insn(BPF_LDX | BPF_MEM | BPF_W, 4, 1, 4, 0);
	p[len++] = insn(BPF_LDX | BPF_MEM | BPF_W, 5, 1, 8, 0);
	/* The last rule that matches decides. What follows one for everything would be dead code, which is refused. */
	bool complete = false;
	for (size_t i = n; i-- > 0 && !complete;) {
		bool all = list[i].device.type == 'a' && access_bits(list[i].device.permissions) == 7;
		if (!all)
			len += rule(p + len, &list[i]);
		else
			p[len++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, list[i].allow);
		complete = all;
	}
	if (!complete)
		p[len++] = insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	p[len++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE};
	attr.insns = (uintptr_t)p;
	attr.insn_cnt = (uint32_t)len;
	attr.license = (uintptr_t) "Apache-2.0";
	int prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	int r = prog < 0 ? -errno : prog;
	free(p);
	return r;
}

/* Every attached program must allow an access, so those of before go. */
static int detach(int target, const uint32_t *ids, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		union bpf_attr get = {.prog_id = ids[i]}, attr = {.attach_type = BPF_CGROUP_DEVICE};
		_cleanup_close_ int old = (int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &get, sizeof(get));
		if (old < 0)
			return -errno;
		attr.target_fd = (uint32_t)target;
		attr.attach_bpf_fd = (uint32_t)old;
		if (syscall(SYS_bpf, BPF_PROG_DETACH, &attr, sizeof(attr)) < 0)
			return -errno;
	}
	return 0;
}

static int rules(int dir, const struct cgroup_rule *list, size_t n)
{
	uint32_t ids[PROGRAMS_MAX];
	_cleanup_close_ int prog = load(list, n);
	if (prog < 0)
		return prog;
	_cleanup_close_ int target = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return -errno;
	union bpf_attr query = {.query = {.attach_type = BPF_CGROUP_DEVICE, .prog_cnt = PROGRAMS_MAX}};
	query.query.target_fd = (uint32_t)target;
	query.query.prog_ids = (uintptr_t)ids;
	if (syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof(query)) < 0)
		query.query.prog_cnt = 0;
	union bpf_attr attach = {.attach_type = BPF_CGROUP_DEVICE};
	attach.target_fd = (uint32_t)target;
	attach.attach_bpf_fd = (uint32_t)prog;
	attach.attach_flags = BPF_F_ALLOW_MULTI;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)) < 0)
		return -errno;
	return detach(target, ids, query.query.prog_cnt);
}

static int64_t oom_kills(const struct cgroup_hierarchy *h, int dir)
{
	char text[CGROUP_FILE_MAX];
	(void)h;
	return cgroup_read(dir, "memory.events", text) ? 0 : cgroup_key(text, "oom_kill", 0);
}

static void stats(const struct cgroup_hierarchy *h, int dir, struct runtime_stats *s)
{
	char text[CGROUP_FILE_MAX];
	/* cpu.stat's usage is there without the controller, too; v1's cpuacct, where mounted, says the same. */
	if (!s->cpu_usage_ns && cgroup_read(dir, "cpu.stat", text) == 0)
		s->cpu_usage_ns = cgroup_key(text, "usage_usec", 0) * 1000;
	if (h->controllers & CGROUP_PIDS)
		s->pids = cgroup_read_int(dir, "pids.current");
	if (!(h->controllers & CGROUP_MEMORY))
		return;
	s->memory_usage = cgroup_read_int(dir, "memory.current");
	if (cgroup_read(dir, "memory.stat", text))
		return;
	int64_t inactive = cgroup_key(text, "inactive_file", 0);
	s->memory_working_set = s->memory_usage > inactive ? s->memory_usage - inactive : 0;
	s->memory_rss = cgroup_key(text, "anon", 0);
	s->page_faults = cgroup_key(text, "pgfault", 0);
	s->major_page_faults = cgroup_key(text, "pgmajfault", 0);
}

const struct cgroup_ops cgroup_v2_ops = {plain, prepare, apply, rules, "cgroup.procs", oom_kills, stats};
