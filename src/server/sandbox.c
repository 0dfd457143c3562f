/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/macros.h"
#include "base/status.h"

void sandbox_account(uid_t *ret_uid, gid_t *ret_gid)
{
	FILE *f = fopen("/etc/passwd", "re"); /* not getpwnam: a static executable has no name service modules */

	*ret_uid = *ret_gid = SANDBOX_UID_DEFAULT;
	for (struct passwd *p; f && (p = fgetpwent(f));)
		if (strcmp(p->pw_name, "proa") == 0 && p->pw_uid != 0) {
			*ret_uid = p->pw_uid;
			*ret_gid = p->pw_gid;
		}
	if (f)
		fclose(f);
}

static int own_at(int parent, const char *name, uid_t uid, gid_t gid)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) {
		int r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
	DIR *d = fdopendir(fd);
	int r = 0;
	for (struct dirent *e; d && r == 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = own_at(fd, e->d_name, uid, gid);
	if (d)
		closedir(d);
	return r;
}

int sandbox_own_tree(const char *path, uid_t uid, gid_t gid)
{
	return own_at(AT_FDCWD, path, uid, gid);
}

/* ---- files ---- */

/* By the kernel's ABI version: what a right is called, older kernels must not be asked for. */
static uint64_t file_rights(int abi)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; /* version 1: all bits up to MAKE_SYM */

	if (abi >= 2)
		rights |= 1ull << 13; /* REFER */
	if (abi >= 3)
		rights |= 1ull << 14; /* TRUNCATE */
	return rights;
}

static int allow_path(int ruleset, const char *path, uint64_t rights)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

static int confine_files(const char *data_dir, const char *log_dir)
{
	static const char *const readable[] = {"/etc/localtime",   "/usr/share/zoneinfo", "/dev/urandom",
					       "/proc/meminfo",	   "/proc/self/statm",	  "/etc/hosts",
					       "/etc/resolv.conf", "/etc/nsswitch.conf"};
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 0) {
		log_warn(
		    "the kernel has no Landlock, files outside the data directory are protected by ownership only");
		return 0;
	}
	struct landlock_ruleset_attr attr = {.handled_access_fs = file_rights(abi)};
	_cleanup_close_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return -errno;
	int r = allow_path(ruleset, data_dir, file_rights(abi) & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE);
	if (r == 0 && log_dir)
		r = allow_path(ruleset, log_dir, file_rights(abi) & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(readable); i++) {
		struct stat st;
		uint64_t rights = LANDLOCK_ACCESS_FS_READ_FILE;
		if (stat(readable[i], &st) == 0 && S_ISDIR(st.st_mode))
			rights |= LANDLOCK_ACCESS_FS_READ_DIR;
		r = allow_path(ruleset, readable[i], rights);
	}
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	return r;
}

/* ---- system calls ---- */

static const int allowed[] = {
    /* memory and threads */
    SCMP_SYS(brk),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(clone),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(membarrier),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(prctl),
    /* signals */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(tgkill),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(signalfd4),
    SCMP_SYS(rt_sigtimedwait),
    /* files below the data directory */
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(close),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(lseek),
    SCMP_SYS(stat),
    SCMP_SYS(fstat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rmdir),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(umask),
    SCMP_SYS(flock),
    SCMP_SYS(fcntl),
    SCMP_SYS(utimensat),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(sendfile),
    /* descriptors and waiting */
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_add_watch),
    SCMP_SYS(inotify_rm_watch),
    SCMP_SYS(ioctl),
    SCMP_SYS(memfd_create),
    /* sockets */
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    /* time, randomness, identity, limits */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
    SCMP_SYS(getcpu),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrlimit),
};

static int confine_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(allowed); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (r == 0) /* its flags are behind a pointer: libc falls back to clone */
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0) {
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
		r = seccomp_load(ctx);
	}
	if (ctx)
		seccomp_release(ctx);
	return r;
}

/* ---- all of it ---- */

static int drop_user(uid_t uid, gid_t gid)
{
	if (geteuid() != 0)
		return 0;
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	/* Leaving uid 0 for good clears every other capability set. */
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return setuid(0) == 0 ? -EPERM : 0;
}

int sandbox_enter(const char *data_dir, const char *log_dir, uid_t uid, gid_t gid, struct status *err)
{
	int r = drop_user(uid, gid);
	if (r < 0)
		return status_set(err, 500, "sandbox: cannot become user %u: %s", uid, strerror(-r));
	prctl(PR_SET_DUMPABLE, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return status_set(err, 500, "sandbox: cannot set no_new_privs: %s", strerror(errno));
	r = confine_files(data_dir, log_dir);
	if (r < 0)
		return status_set(err, 500, "sandbox: Landlock refused: %s", strerror(-r));
	r = confine_calls();
	if (r < 0)
		return status_set(err, 500, "sandbox: seccomp refused: %s", strerror(-r));
	return 0;
}
