/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/error.h"
#include "runtime/seccomp_compact.h"

#define INSNS_MAX 4096	     /* BPF_MAXINSNS: the kernel takes no longer program */
#define CACHE_MAX (4u << 20) /* a profile's text and its program */
#define CACHE_VERSION 2	     /* part of the file's name: a compiler that changed compiles anew */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5)
#endif

#define ERRNO_DEFAULT EPERM
static const struct {
	const char *name;
	uint32_t action, ret; /* libseccomp's, the kernel's */
} actions[] = {
    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, SECCOMP_RET_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, SECCOMP_RET_KILL_PROCESS},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, SECCOMP_RET_KILL_THREAD},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP, SECCOMP_RET_TRAP},
    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), SECCOMP_RET_ERRNO},
    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), SECCOMP_RET_TRACE},
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, SECCOMP_RET_ALLOW},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG, SECCOMP_RET_LOG},
    {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, SECCOMP_RET_USER_NOTIF},
};
static const struct {
	const char *name;
	enum scmp_compare op;
} operators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};
static const struct {
	const char *name;
	uint32_t token;
} archs[] = {
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
};
static const struct {
	const char *name;
	unsigned flag;
} flags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", 0}, /* one thread: nothing to synchronise */
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};
const char *const filter_actions[] = {
    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO",	 "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",   "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",	    NULL};
const char *const filter_operators[] = {"SCMP_CMP_EQ", "SCMP_CMP_GE",	     "SCMP_CMP_GT", "SCMP_CMP_LE",
					"SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE", NULL};
const char *const filter_archs[] = {
    "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",      "SCMP_ARCH_MIPS",	"SCMP_ARCH_MIPS64",  "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",	 "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC",  "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",	 "SCMP_ARCH_PPC64",    "SCMP_ARCH_PPC64LE",	"SCMP_ARCH_RISCV64", "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",	 "SCMP_ARCH_X32",      "SCMP_ARCH_X86",		"SCMP_ARCH_X86_64",  NULL};
const char *const filter_flags[] = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
				    "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL};

/* System calls newer than Debian's libseccomp; from 424 on the numbers are the same on every architecture. */
static const struct {
	const char *name;
	int nr;
} newer[] = {
    {"set_mempolicy_home_node", 450},
    {"cachestat", 451},
    {"fchmodat2", 452},
    {"map_shadow_stack", 453},
    {"futex_wake", 454},
    {"futex_wait", 455},
    {"futex_requeue", 456},
    {"statmount", 457},
    {"listmount", 458},
    {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461},
    {"mseal", 462},
    {"setxattrat", 463},
    {"getxattrat", 464},
    {"listxattrat", 465},
    {"removexattrat", 466},
    {"open_tree_attr", 467},
};
#define NEWEST 467
#define X32_BIT 0x40000000

struct decided { /* by number, in front of libseccomp's program */
	int nr;
	uint32_t ret;
};

struct compile {
	scmp_filter_ctx ctx;
	uint32_t default_action;
	uint32_t archs[ARRAY_SIZE(archs) + 1]; /* the native one first */
	size_t n_archs;
	struct decided decided[ARRAY_SIZE(newer)];
	size_t n_decided;
};

static int find_action(const char *name, const struct json *errno_ret, uint32_t *ret_action, uint32_t *ret_kernel)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!str_eq(name, actions[i].name))
			continue;
		uint64_t data = config_u64(errno_ret, 0);
		bool takes = !strcmp(name, "SCMP_ACT_ERRNO") || !strcmp(name, "SCMP_ACT_TRACE");
		if (errno_ret && !takes)
			return oci_fail(
			    0, "linux.seccomp: errnoRet goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE, not with %s",
			    name);
		if (data > 0xffff)
			return oci_fail(0, "linux.seccomp: errnoRet %llu is out of range", (unsigned long long)data);
		if (takes && !errno_ret)
			data = ERRNO_DEFAULT;
		*ret_action = actions[i].action | (takes ? (uint32_t)data : 0);
		*ret_kernel = actions[i].ret | (takes ? (uint32_t)data : 0);
		return 0;
	}
	return oci_fail(0, "linux.seccomp: unknown action \"%s\"", str_or(name, ""));
}

static int add_args(const struct json *args, struct scmp_arg_cmp *out, unsigned *ret_n, bool *ret_same_index)
{
	unsigned n = 0, seen = 0;
	*ret_same_index = false;
	JSON_EACH(a, args) {
		uint64_t index = config_u64(json_get(a, "index"), 0);
		const char *op = json_path_str(a, "op");
		size_t i = 0;
		while (i < ARRAY_SIZE(operators) && strcmp(op, operators[i].name))
			i++;
		if (i == ARRAY_SIZE(operators))
			return oci_fail(0, "linux.seccomp: unknown operator \"%s\"", op);
		if (index > 5 || n == 6)
			return oci_fail(0, "linux.seccomp: a system call has six arguments");
		*ret_same_index |= seen & 1u << index;
		seen |= 1u << index;
		out[n++] = (struct scmp_arg_cmp){(unsigned)index, operators[i].op, config_u64(json_get(a, "value"), 0),
						 config_u64(json_get(a, "valueTwo"), 0)};
	}
	*ret_n = n;
	return 0;
}

/* A call that libseccomp doesn't know. */
static int decide(struct compile *c, const char *name, uint32_t action, uint32_t kernel, bool with_args)
{
	size_t i = 0;
	while (i < ARRAY_SIZE(newer) && strcmp(name, newer[i].name))
		i++;
	if (i == ARRAY_SIZE(newer)) {
		bool open = c->default_action == SCMP_ACT_ALLOW || c->default_action == SCMP_ACT_LOG;
		/* Of other kernels or machines. What isn't allowed by name isn't; what isn't forbidden would be. */
		return open && action != SCMP_ACT_ALLOW && action != SCMP_ACT_LOG
			   ? oci_fail(0, "linux.seccomp: system call \"%s\" is unknown and cannot be forbidden", name)
			   : 0;
	}
	if (with_args)
		return oci_fail(0, "linux.seccomp: conditions on system call \"%s\" are not supported", name);
	for (size_t k = 0; k < c->n_decided; k++)
		if (c->decided[k].nr == newer[i].nr)
			return c->decided[k].ret == kernel
				   ? 0
				   : oci_fail(0, "linux.seccomp: two actions for system call \"%s\"", name);
	c->decided[c->n_decided++] = (struct decided){newer[i].nr, kernel};
	return 0;
}

static int add_rule(struct compile *c, const struct json *rule)
{
	uint32_t action, kernel;
	struct scmp_arg_cmp args[6];
	unsigned n_args = 0;
	bool same_index = false;
	int r = find_action(json_path_str(rule, "action"), json_get(rule, "errnoRet"), &action, &kernel);
	if (r == 0)
		r = add_args(json_get(rule, "args"), args, &n_args, &same_index);
	if (r < 0)
		return r;
	JSON_EACH(name, json_get(rule, "names")) {
		if (!json_len(json_get(rule, "names")))
			break;
		int nr = seccomp_syscall_resolve_name(json_str(name));
		if (nr == __NR_SCMP_ERROR) {
			r = decide(c, json_str(name), action, kernel, n_args);
			if (r < 0)
				return r;
			continue;
		}
		if (action == c->default_action)
			continue;
		/* Conditions on one argument are alternatives: libseccomp wants a rule each. */
		for (unsigned i = 0; i < (same_index ? n_args : 1) && r == 0; i++)
			r = seccomp_rule_add_array(c->ctx, action, nr, same_index ? 1 : n_args,
						   same_index ? args + i : args);
		if (r < 0 && r != -EDOM)
			return oci_fail(r, "linux.seccomp: adding a rule for %s", json_str(name));
		r = 0;
	}
	return 0;
}

static int add_archs(struct compile *c, const struct json *list)
{
	c->archs[c->n_archs++] = seccomp_arch_native();
	JSON_EACH(e, list) {
		const char *name = json_str(e);
		size_t i = 0;
		while (i < ARRAY_SIZE(archs) && strcmp(name, archs[i].name))
			i++;
		if (i == ARRAY_SIZE(archs))
			return oci_fail(0, "linux.seccomp: unknown architecture \"%s\"", name);
		int r = seccomp_arch_add(c->ctx, archs[i].token);
		if (r < 0 && r != -EEXIST)
			return oci_fail(r, "linux.seccomp: architecture %s", name);
		if (r == 0)
			c->archs[c->n_archs++] = archs[i].token;
	}
	return 0;
}

/*
 * Decides the newer calls, whose numbers are the same for all architectures, and ENOSYS for those beyond them where
 * EPERM would keep libraries from falling back.
 */
static void prefix(const struct compile *c, struct buf *out)
{
	bool enosys = c->default_action == SCMP_ACT_ERRNO(EPERM);
	size_t n = c->n_decided, len = 0;
	if (!n && !enosys)
		return;
	struct sock_filter p[ARRAY_SIZE(c->archs) + 3 + 2 * ARRAY_SIZE(newer) + 3];
	p[len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	for (size_t i = 0; i < c->n_archs; i++)
		p[len++] =
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, c->archs[i], (uint8_t)(c->n_archs - i), 0);
	p[len++] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(1 + 2 * n + (enosys ? 3 : 0)));
	p[len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < n; i++) {
		p[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->decided[i].nr, 0, 1);
		p[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, c->decided[i].ret);
	}
	if (enosys) {
		p[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0);
		p[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST, 0, 1);
		p[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	}
	buf_add(out, p, len * sizeof(*p));
}

static int export(scmp_filter_ctx ctx, struct buf *out)
{
	_cleanup_close_ int fd = memfd_create("proa-seccomp", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = seccomp_export_bpf(ctx, fd);
	off_t size = r < 0 ? 0 : lseek(fd, 0, SEEK_END);
	if (r < 0 || size < 0)
		return r < 0 ? r : -errno;
	char *at = buf_reserve(out, (size_t)size);
	if (!at || pread(fd, at, (size_t)size, 0) != size)
		return -EIO;
	out->len += (size_t)size;
	return 0;
}

static int compile(const struct json *seccomp, struct buf *out)
{
	struct compile c = {0};
	uint32_t kernel;
	int r = find_action(json_path_str(seccomp, "defaultAction"), json_get(seccomp, "defaultErrnoRet"),
			    &c.default_action, &kernel);
	if (r < 0)
		return r;
	c.ctx = seccomp_init(c.default_action);
	if (!c.ctx)
		return oci_fail(-EINVAL, "linux.seccomp: default action %s", json_path_str(seccomp, "defaultAction"));
	(void)seccomp_attr_set(c.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = add_archs(&c, json_get(seccomp, "architectures"));
	JSON_EACH(rule, json_get(seccomp, "syscalls"))
		if (r == 0)
			r = add_rule(&c, rule);
	prefix(&c, out);
	if (r == 0) {
		r = export(c.ctx, out);
		if (r < 0)
			oci_fail(r, "linux.seccomp: compiling the filter");
		else
			out->len = sizeof(struct sock_filter) *
				   seccomp_compact((void *)out->data, out->len / sizeof(struct sock_filter));
	}
	seccomp_release(c.ctx);
	return r;
}

/* ---- the cache: "length of the profile\n", the profile, the program ---- */

static bool from_cache(struct arena *a, const char *path, const struct buf *profile, struct filter *ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	if (fs_read(path, CACHE_MAX, &b) < 0)
		return false;
	char *end;
	size_t len = strtoull(buf_str(&b), &end, 10), head = (size_t)(end - buf_str(&b)) + 1;
	if (*end != '\n' || len != profile->len || head + len > b.len || memcmp(b.data + head, profile->data, len))
		return false;
	size_t rest = b.len - head - len;
	if (!rest || rest % sizeof(struct sock_filter) || rest / sizeof(struct sock_filter) > INSNS_MAX)
		return false;
	void *insns = arena_alloc(a, rest);
	memcpy(insns, b.data + head + len, rest);
	ret->insns = insns;
	ret->n = (unsigned short)(rest / sizeof(struct sock_filter));
	return true;
}

static void into_cache(const char *dir, const char *path, const struct buf *profile, const struct buf *program)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	buf_addf(&b, "%zu\n", profile->len);
	buf_add(&b, profile->data, profile->len);
	buf_add(&b, program->data, program->len);
	/* Without it the next container compiles again. */
	if (fs_mkdir_p(dir, 0700) == 0)
		(void)fs_write_replace(path, b.data, b.len, 0600);
}

static bool uses_notify(const struct json *seccomp, bool *ret_for_sendmsg)
{
	bool any = str_eq(json_path_str(seccomp, "defaultAction"), "SCMP_ACT_NOTIFY");
	*ret_for_sendmsg = any;
	JSON_EACH(rule, json_get(seccomp, "syscalls")) {
		bool notify = str_eq(json_path_str(rule, "action"), "SCMP_ACT_NOTIFY");
		any |= notify;
		if (config_list_has(json_get(rule, "names"), "sendmsg"))
			*ret_for_sendmsg = notify;
	}
	return any;
}

int filter_prepare(struct arena *a, const struct json *seccomp, struct filter *ret)
{
	_cleanup_buf_ struct buf profile = BUF_INIT, program = BUF_INIT;
	struct filter f = {0};
	bool for_sendmsg;
	if (!seccomp)
		return 0;
	JSON_EACH(e, json_get(seccomp, "flags")) {
		size_t i = 0;
		while (i < ARRAY_SIZE(flags) && strcmp(json_str(e), flags[i].name))
			i++;
		if (i == ARRAY_SIZE(flags))
			return oci_fail(0, "linux.seccomp: unknown flag \"%s\"", json_str(e));
		f.flags |= flags[i].flag;
	}
	f.notify = uses_notify(seccomp, &for_sendmsg) || !str_empty(json_path_str(seccomp, "listenerPath"));
	if (f.notify && str_empty(json_path_str(seccomp, "listenerPath")))
		return oci_fail(0, "linux.seccomp: SCMP_ACT_NOTIFY needs listenerPath");
	if (f.notify && for_sendmsg)
		return oci_fail(
		    0, "linux.seccomp: SCMP_ACT_NOTIFY cannot be used for sendmsg, which hands the listener over");
	json_write(&profile, seccomp);
	const char *dir = arena_printf(a, "%s/.seccomp", options.root);
	const char *path =
	    arena_printf(a, "%s/%d-%016llx", dir, CACHE_VERSION, (unsigned long long)fnv64a(profile.data, profile.len));
	if (!from_cache(a, path, &profile, &f)) {
		int r = compile(seccomp, &program);
		if (r < 0)
			return r;
		if (program.len > INSNS_MAX * sizeof(struct sock_filter))
			return oci_fail(-E2BIG, "linux.seccomp: the filter has more than %d instructions", INSNS_MAX);
		into_cache(dir, path, &profile, &program);
		void *insns = arena_alloc(a, program.len);
		memcpy(insns, program.data, program.len);
		f.insns = insns;
		f.n = (unsigned short)(program.len / sizeof(struct sock_filter));
	}
	*ret = f;
	return 0;
}

const char *filter_library(void)
{
	static char text[40];
	const struct scmp_version *v = seccomp_version();
	snprintf(text, sizeof(text), "%u.%u.%u", v->major, v->minor, v->micro);
	return text;
}

int filter_install(const struct filter *f, int *ret_listener)
{
	struct sock_fprog p = {f->n, (struct sock_filter *)(uintptr_t)f->insns};
	*ret_listener = -1;
	if (!f->n)
		return 0;
	unsigned fl = f->flags | (f->notify ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
	int r = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, fl, &p);
	if (r < 0)
		return oci_fail(-errno, "installing the seccomp filter");
	if (f->notify)
		*ret_listener = r;
	return 0;
}
