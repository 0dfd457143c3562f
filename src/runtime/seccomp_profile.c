/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp_profile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/macros.h"
#include "base/mem.h"
#include "runtime/caps.h"
#include "runtime/launch.h"
#include "runtime/seccomp_compact.h"

#define PROFILE_VERSION 2 /* part of the file's name: a changed profile is compiled anew */

/* Allowed to every container. The set is that of the de-facto default profile; names unknown here are skipped. */
static const char always[] =
    "accept accept4 access adjtimex alarm arch_prctl bind brk capget capset chdir chmod chown chown32 "
    "clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 "
    "clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 "
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old "
    "eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate "
    "fanotify_mark fchdir fchmod fchmodat fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr "
    "flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 "
    "futex futex_time64 futex_waitv futimesat getcpu getcwd getdents getdents64 getegid getegid32 geteuid "
    "geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid "
    "getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage "
    "getsid getsockname getsockopt get_thread_area gettid gettimeofday getuid getuid32 getxattr "
    "inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel ioctl io_destroy io_getevents "
    "io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set io_setup io_submit ipc kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr "
    "llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise membarrier memfd_create "
    "memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect "
    "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 "
    "mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep "
    "newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc "
    "pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease "
    "pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv "
    "recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat renameat2 "
    "restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn "
    "rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr "
    "sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval "
    "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler "
    "sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 "
    "sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 "
    "setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid "
    "setreuid32 setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address setuid setuid32 "
    "setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn "
    "socketcall socketpair splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range "
    "syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 "
    "timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime "
    "timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat utime utimensat "
    "utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev";

static const struct {
	int cap;
	const char *names;
} with_cap[] = {
    {CAP_DAC_READ_SEARCH, "open_by_handle_at"},
    {CAP_SYS_ADMIN,
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount "
     "open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare"},
    {CAP_SYS_BOOT, "reboot"},
    {CAP_SYS_CHROOT, "chroot"},
    {CAP_SYS_MODULE, "delete_module init_module finit_module"},
    {CAP_SYS_PACCT, "acct"},
    {CAP_SYS_PTRACE, "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev"},
    {CAP_SYS_RAWIO, "iopl ioperm"},
    {CAP_SYS_TIME, "settimeofday stime clock_settime clock_settime64"},
    {CAP_SYS_TTY_CONFIG, "vhangup"},
    {CAP_SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {CAP_SYSLOG, "syslog"},
    {CAP_BPF, "bpf"},
    {CAP_PERFMON, "perf_event_open"},
};

/*
 * Numbers beyond what libseccomp knows by name; since 424 they are the same on every architecture.
 * 451 cachestat, 452 fchmodat2, 453 map_shadow_stack, 454..456 futex_wake/wait/requeue, 462 mseal, 463..466 *xattrat
 * are harmless; 457..461 (statmount, listmount, lsm_*) belong to CAP_SYS_ADMIN.
 */
#define NEW_FIRST 451
#define NEW_ADMIN_FIRST 457
#define NEW_ADMIN_LAST 461
#define NEW_LAST 466
#define X32_BIT 0x40000000

/* Namespaces that clone may not make: mount, cgroup, uts, ipc, user, pid, net. */
#define CLONE_NAMESPACES 0x7e020000
#define AF_VSOCK_NUMBER 40

static int allow_names(scmp_filter_ctx ctx, const char *names)
{
	char name[64];
	for (const char *at = names; *at;) {
		size_t n = strcspn(at, " ");
		snprintf(name, sizeof(name), "%.*s", (int)n, at);
		int nr = seccomp_syscall_resolve_name(name);
		if (nr != __NR_SCMP_ERROR) {
			int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
			if (r < 0 && r != -EDOM && r != -EACCES)
				return r;
		}
		at += n + (at[n] == ' ');
	}
	return 0;
}

static int add_rules(scmp_filter_ctx ctx, uint64_t caps)
{
	static const uint32_t personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
	int r = allow_names(ctx, always);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(with_cap); i++)
		if (caps & 1ull << with_cap[i].cap)
			r = allow_names(ctx, with_cap[i].names);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(personalities); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1,
				     (struct scmp_arg_cmp){0, SCMP_CMP_EQ, personalities[i], 0});
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     (struct scmp_arg_cmp){0, SCMP_CMP_NE, AF_VSOCK_NUMBER, 0});
	if (r == 0 && !(caps & 1ull << CAP_SYS_ADMIN)) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     (struct scmp_arg_cmp){0, SCMP_CMP_MASKED_EQ, CLONE_NAMESPACES, 0});
		/* Its flags are in memory that a filter cannot read: libraries fall back to clone on ENOSYS. */
		if (r == 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	}
	return r;
}

static int export(uint64_t caps, struct buf *out)
{
	_cleanup_close_ int fd = memfd_create("proa-seccomp", MFD_CLOEXEC);
	scmp_filter_ctx ctx = fd < 0 ? NULL : seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return fd < 0 ? -errno : -ENOMEM;
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
#ifdef __x86_64__
	if (r == 0)
		r = seccomp_arch_add(ctx, SCMP_ARCH_X86);
#elif defined(__aarch64__)
	if (r == 0)
		r = seccomp_arch_add(ctx, SCMP_ARCH_ARM);
#endif
	if (r == 0)
		r = add_rules(ctx, caps);
	if (r == 0)
		r = seccomp_export_bpf(ctx, fd);
	seccomp_release(ctx);
	off_t size = r < 0 ? 0 : lseek(fd, 0, SEEK_END);
	char *at = r < 0 ? NULL : buf_reserve(out, (size_t)size);
	if (r == 0 && pread(fd, at, (size_t)size, 0) != size)
		r = -EIO;
	if (r == 0)
		out->len += (size_t)size;
	return r;
}

/* In front of libseccomp's program: decides the numbers it doesn't know, falls through to it for all others. */
static void prefix(uint64_t caps, struct buf *out)
{
	bool admin = caps & 1ull << CAP_SYS_ADMIN;
	const struct sock_filter p[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0, 8),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 6, 0),
	    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEW_LAST, 4, 0),
	    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, NEW_FIRST, 0, 4),
	    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEW_ADMIN_LAST, 1, 0),
	    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, admin ? X32_BIT : NEW_ADMIN_FIRST, 2, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	buf_add(out, p, sizeof(p));
}

int seccomp_default(const char *run_dir, const struct container_spec *s, char **ret_path)
{
	struct caps caps;
	const char *unknown;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *dir = xasprintf("%s/seccomp", run_dir);
	uint64_t matter = 0;
	struct stat st;
	if (caps_of_spec(s, &caps, &unknown) < 0)
		caps.bounding = 0; /* the shim says what is wrong with it */
	for (size_t i = 0; i < ARRAY_SIZE(with_cap); i++)
		matter |= 1ull << with_cap[i].cap;
	_cleanup_free_ char *path =
	    xasprintf("%s/default-%d-%llx.bpf", dir, PROFILE_VERSION, (unsigned long long)(caps.bounding & matter));
	if (stat(path, &st) == 0 && st.st_size > 0) {
		*ret_path = TAKE_PTR(path);
		return 0;
	}
	int r = fs_mkdir_p(dir, 0700);
	prefix(caps.bounding, &b);
	if (r == 0)
		r = export(caps.bounding, &b);
	if (r == 0)
		b.len =
		    seccomp_compact((void *)b.data, b.len / sizeof(struct sock_filter)) * sizeof(struct sock_filter);
	if (r == 0 && (buf_failed(&b) || b.len > SECCOMP_INSNS_MAX * sizeof(struct sock_filter)))
		r = -E2BIG;
	if (r == 0)
		r = fs_write_replace(path, b.data, b.len, 0600);
	if (r == 0)
		*ret_path = TAKE_PTR(path);
	return r;
}
