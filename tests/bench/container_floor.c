/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a container costs on this machine: what every runtime has to ask the kernel for, and nothing else (no
 * configuration, no state, no checks). Not safe to use; a measure for tools/bench.
 *
 *   container_floor run ROOTFS new|pod COMMAND…   new: all six namespaces, a cgroup in each hierarchy, the usual
 * mounts, masks and filter, pivot_root, exec, wait, removed. pod: the same in the caller's network, IPC and UTS
 * namespaces, as in a pod container_floor exec PID COMMAND…             exec in the namespaces and cgroups of PID, and
 * wait
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define GROUPS_MAX 16
#define FILTER_RULES 120 /* of a default profile, compiled */

static char groups[GROUPS_MAX][128]; /* of v1 hierarchies */
static int n_groups;
static char unified[128];

static void die(const char *what)
{
	fprintf(stderr, "container_floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void copy(const char *from, const char *to, const char *name)
{
	char path[256], text[256];
	snprintf(path, sizeof(path), "%s/%s", from, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		die(path);
	text[n] = 0;
	close(fd);
	put(to, name, text);
}

static void make_groups(void)
{
	static const char *const v1[] = {"cpu",	    "cpuacct", "cpuset", "memory", "devices",
					 "freezer", "blkio",   "pids",	 "systemd"};
	char path[64];
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
		snprintf(unified, sizeof(unified), "/sys/fs/cgroup/floor-%d", getpid());
	else if (access("/sys/fs/cgroup/unified", F_OK) == 0)
		snprintf(unified, sizeof(unified), "/sys/fs/cgroup/unified/floor-%d", getpid());
	if (*unified && mkdir(unified, 0755) < 0)
		die(unified);
	for (size_t i = 0; i < sizeof(v1) / sizeof(*v1); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", v1[i]);
		snprintf(groups[n_groups], sizeof(groups[0]), "%s/floor-%d", path, getpid());
		if (mkdir(groups[n_groups], 0755) < 0)
			continue;
		if (!strcmp(v1[i], "cpuset")) {
			copy(path, groups[n_groups], "cpuset.cpus");
			copy(path, groups[n_groups], "cpuset.mems");
		}
		n_groups++;
	}
}

static void mount_at(const char *type, const char *at, unsigned long flags, const char *data)
{
	if (mount(type, at, type, flags, data) < 0)
		die(at);
}

static void mounts(const char *rootfs)
{
	static const char *const masked[] = {"proc/kcore", "proc/keys", "proc/timer_list", "proc/interrupts"};
	static const char *const fixed[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},	  {"dev/full", 1, 7},
		     {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(rootfs) < 0)
		die(rootfs);
	mount_at("proc", "proc", SAFE, NULL);
	mount_at("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	mkdir("dev/pts", 0755);
	mkdir("dev/shm", 0755);
	mkdir("dev/mqueue", 0755);
	mount_at("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
	mount_at("tmpfs", "dev/shm", SAFE, "mode=1777,size=65536k");
	mount_at("mqueue", "dev/mqueue", SAFE, NULL);
	mount_at("sysfs", "sys", SAFE | MS_RDONLY, NULL);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		if (mknod(nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
			die(nodes[i].name);
	if (symlink("/proc/self/fd", "dev/fd") < 0 || symlink("pts/ptmx", "dev/ptmx") < 0)
		die("links in /dev");
	for (size_t i = 0; i < sizeof(masked) / sizeof(*masked); i++)
		if (mount("dev/null", masked[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			die(masked[i]);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		if (mount(fixed[i], fixed[i], NULL, MS_BIND | MS_REC, NULL) < 0 && errno == ENOENT)
			continue;
		if (mount(NULL, fixed[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | SAFE, NULL) < 0)
			die(fixed[i]);
	}
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die("pivot_root");
}

static void filter(void)
{
	static struct sock_filter f[2 * FILTER_RULES + 2];
	unsigned short n = 0;
	f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	for (unsigned i = 0; i < FILTER_RULES; i++) {
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 600 + i, 0, 1);
		f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	}
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {n, f};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		die("seccomp");
}

/* By the process itself: a parent that moves its child waits for the kernel's other CPUs. */
static void join_groups(void)
{
	for (int i = 0; i < n_groups; i++)
		put(groups[i], "tasks", "0");
}

static int wait_for(pid_t pid)
{
	int status;
	if (waitpid(pid, &status, 0) < 0)
		die("wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const char *rootfs, bool in_pod, char **command)
{
	struct clone_args args = {.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP, .exit_signal = SIGCHLD};
	if (!in_pod)
		args.flags |= CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	make_groups();
	if (*unified) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)open(unified, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		die("clone3");
	if (pid == 0) {
		join_groups();
		mounts(rootfs);
		filter();
		execv(command[0], command);
		die(command[0]);
	}
	int code = wait_for(pid);
	for (int i = 0; i < n_groups; i++)
		rmdir(groups[i]);
	if (*unified)
		rmdir(unified);
	return code;
}

/* Where a process is, hierarchy by hierarchy. */
static void find_groups(const char *pid)
{
	char path[64], line[512];
	snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *name = strchr(line, ':') + 1, *at = strchr(name, ':');
		*at++ = 0;
		at[strcspn(at, "\n")] = 0;
		if (*name && n_groups < GROUPS_MAX) {
			snprintf(groups[n_groups], sizeof(groups[0]), "/sys/fs/cgroup/%s%s",
				 !strncmp(name, "name=", 5) ? name + 5 : name, at);
			n_groups += access(groups[n_groups], F_OK) == 0; /* a hierarchy that isn't mounted here */
		} else if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
			snprintf(unified, sizeof(unified), "/sys/fs/cgroup%s", at);
		} else if (access("/sys/fs/cgroup/unified", F_OK) == 0) {
			snprintf(unified, sizeof(unified), "/sys/fs/cgroup/unified%s", at);
		}
	}
	if (f)
		fclose(f);
}

static int enter(const char *pid, char **command)
{
	int target = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
	find_groups(pid);
	if (target < 0 || setns(target, CLONE_NEWPID) < 0)
		die("setns");
	struct clone_args args = {.exit_signal = SIGCHLD};
	if (*unified) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)open(unified, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (child < 0)
		die("clone3");
	if (child == 0) {
		join_groups();
		if (setns(target, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) < 0)
			die("setns");
		execv(command[0], command);
		die(command[0]);
	}
	return wait_for(child);
}

int main(int argc, char **argv)
{
	if (argc >= 5 && !strcmp(argv[1], "run"))
		return run(argv[2], !strcmp(argv[3], "pod"), argv + 4);
	if (argc >= 4 && !strcmp(argv[1], "exec"))
		return enter(argv[2], argv + 3);
	fprintf(stderr, "usage: container_floor run ROOTFS new|pod COMMAND… | exec PID COMMAND…\n");
	return 2;
}
