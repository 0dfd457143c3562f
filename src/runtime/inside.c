/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child between fork and exec. Order matters, and is this:
 *   cgroups, cgroup namespace | mounts prepared by descriptor while the host is visible | rootfs, mounts in it |
 *   pivot_root | user, cwd, stdio | limits | filter and capabilities | descriptors closed | exec.
 * Single-threaded, a copy of the shim: memory is not freed, every failure ends in fail().
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/caps.h"
#include "runtime/fail.h"
#include "runtime/inside_mounts.h"
#include "runtime/launch.h"
#include "runtime/passwd.h"
#include "runtime/rootfs.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int sync_fd;

void fail(int code, int exit_code, int error, const char *fmt, ...)
{
	struct sync_message m = {.kind = SYNC_FAILED, .error = error, .code = code, .exit_code = exit_code};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	size_t n = strlen(m.text);
	if (error && n + 2 < sizeof(m.text))
		snprintf(m.text + n, sizeof(m.text) - n, ": %s", strerror(-error));
	(void)!send(sync_fd, &m, sizeof(m), MSG_NOSIGNAL);
	_exit(exit_code);
}

static void tell(int kind, int fd)
{
	struct sync_message m = {.kind = kind};
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {&m, sizeof(m)};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		h.msg_control = control.space;
		h.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(sync_fd, &h, MSG_NOSIGNAL) < 0)
		_exit(1); /* nobody is there any more */
}

/* ---- user ---- */

static void find_user(const struct container_spec *p, const struct container_spec *c, int root, struct user *u)
{
	char *passwd, *group;
	const char *what = "";
	const char *form = p->user ? p->user : p != c && !p->has_run_as_user ? c->user : NULL;
	const struct container_spec *ids = p->user || p->has_run_as_user || p->has_run_as_group ? p : c;
	int r = root_read_file(root, "/etc/passwd", PASSWD_FILE_MAX, &passwd);
	if (r == 0)
		r = root_read_file(root, "/etc/group", PASSWD_FILE_MAX, &group);
	if (r < 0)
		fail(400, 128, r, "reading users from the image");
	if (ids->has_run_as_user) {
		if (ids->run_as_user < 0 || ids->run_as_user > PASSWD_ID_MAX)
			fail(400, 128, 0, "runAsUser %lld is out of range", (long long)ids->run_as_user);
		*u = (struct user){.uid = (uid_t)ids->run_as_user};
		user_by_uid(u->uid, passwd, group, u);
	} else {
		r = user_resolve(str_or(form, ""), passwd, group, u, &what);
		if (r == -ENOENT)
			fail(400, 128, 0, "unable to find user or group %s: no matching entry in the image", what);
		if (r < 0)
			fail(400, 128, 0, "user \"%s\" is not valid", str_or(form, ""));
	}
	if (ids->has_run_as_group) {
		if (ids->run_as_group < 0 || ids->run_as_group > PASSWD_ID_MAX)
			fail(400, 128, 0, "runAsGroup %lld is out of range", (long long)ids->run_as_group);
		u->gid = (gid_t)ids->run_as_group;
	}
	if (c->run_as_non_root && u->uid == 0)
		fail(400, 128, 0, "container has runAsNonRoot and image will run as root");
	if (c->strict_groups)
		u->n_groups = 0;
	for (size_t i = 0; i < c->n_groups && u->n_groups < PASSWD_GROUPS_MAX; i++) {
		if (c->groups[i] < 0 || c->groups[i] > PASSWD_ID_MAX)
			fail(400, 128, 0, "supplementary group %lld is out of range", (long long)c->groups[i]);
		u->groups[u->n_groups++] = (gid_t)c->groups[i];
	}
}

/* ---- environment ---- */

static size_t env_name_len(const char *e)
{
	return strcspn(e, "=");
}

static void env_put(const char **env, size_t *n, const char *entry, bool replace)
{
	size_t len = env_name_len(entry);
	for (size_t i = 0; i < *n; i++)
		if (env_name_len(env[i]) == len && !memcmp(env[i], entry, len)) {
			if (replace)
				env[i] = entry;
			return;
		}
	env[(*n)++] = entry;
}

static size_t list_len(const char *const *v)
{
	size_t n = 0;
	while (v && v[n])
		n++;
	return n;
}

static char **make_env(const struct launch *l, const struct user *u)
{
	const char *const *own = l->spec->env, *const *base = l->container->env;
	size_t max = list_len(own) + list_len(base) + 8, n = 0;
	const char **env = xcalloc(max, sizeof(*env));
	char host[HOST_NAME_MAX + 1] = "";
	for (; l->spec != l->container && base && *base; base++)
		env_put(env, &n, *base, true);
	for (; own && *own; own++)
		env_put(env, &n, *own, true);
	env_put(env, &n, "PATH=" DEFAULT_PATH, false);
	gethostname(host, sizeof(host) - 1);
	env_put(env, &n, xasprintf("HOSTNAME=%s", host), false);
	if (l->spec->tty)
		env_put(env, &n, "TERM=xterm", false);
	env_put(env, &n, xasprintf("HOME=%s", *u->home ? u->home : u->uid ? "/" : "/root"), false);
	return (char **)env;
}

/* ---- terminal and stdio ---- */

static int open_tty(const struct user *u)
{
	struct statfs fs;
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* The container may have put anything there: it must be a devpts, before and after it is opened. */
	int look = root_open(root, "/dev/pts/ptmx", O_PATH);
	if (look < 0 || fstatfs(look, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		fail(500, 128, look < 0 ? look : 0, "opening a terminal");
	int master = root_open(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
	if (master < 0 || fstatfs(master, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		fail(500, 128, master < 0 ? master : 0, "opening a terminal");
	close(look);
	int unlock = 0;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		fail(500, 128, -errno, "unlocking the terminal");
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		fail(500, 128, -errno, "opening the terminal's other side");
	if (fchown(slave, u->uid, (gid_t)-1) < 0 && errno != EROFS)
		fail(500, 128, -errno, "giving the terminal to its user");
	tell(SYNC_TTY, master);
	close(master);
	return slave;
}

/* The container's /dev/console is its terminal: the node bound over an empty file, by descriptor. */
static void bind_console(int slave)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int dev = root_open_nosymlinks(root, "/dev", O_PATH | O_DIRECTORY);
	int file = dev < 0 ? dev : openat(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int tree = mount_clone(slave, "", false);
	int r = file < 0 ? -errno : tree < 0 ? tree : mount_attach(tree, file);
	if (r < 0 && r != -EEXIST)
		fail(500, 128, r, "binding /dev/console");
	close(file);
	close(tree);
	close(dev);
	close(root);
}

static void set_stdio(const struct launch *l, const struct user *u)
{
	int fds[3];
	if (l->spec->tty) {
		int slave = open_tty(u);
		if (l->target < 0)
			bind_console(slave);
		if (setsid() < 0 && getsid(0) != getpid())
			fail(500, 128, -errno, "setsid");
		if (ioctl(slave, TIOCSCTTY, 0) < 0)
			fail(500, 128, -errno, "taking the controlling terminal");
		fds[0] = fds[1] = fds[2] = slave;
	} else {
		for (int i = 0; i < 3; i++) {
			fds[i] = l->stdio[i];
			struct stat st;
			/* So that /dev/stdout can be opened again by the user it runs as. */
			if (fds[i] >= 0 && u->uid && fstat(fds[i], &st) == 0 && S_ISFIFO(st.st_mode))
				(void)!fchown(fds[i], u->uid, (gid_t)-1);
		}
	}
	/* First above 2, so that none overwrites another. */
	for (int i = 0; i < 3; i++) {
		if (fds[i] < 0)
			fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			fail(500, 128, -errno, "standard streams");
	}
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			fail(500, 128, -errno, "standard streams");
}

/* ---- limits ---- */

static void set_rlimits(const struct container_spec *s)
{
	static const struct {
		const char *name;
		int resource;
	} known[] = {
	    {"AS", RLIMIT_AS},		 {"CORE", RLIMIT_CORE},		{"CPU", RLIMIT_CPU},
	    {"DATA", RLIMIT_DATA},	 {"FSIZE", RLIMIT_FSIZE},	{"LOCKS", RLIMIT_LOCKS},
	    {"MEMLOCK", RLIMIT_MEMLOCK}, {"MSGQUEUE", RLIMIT_MSGQUEUE}, {"NICE", RLIMIT_NICE},
	    {"NOFILE", RLIMIT_NOFILE},	 {"NPROC", RLIMIT_NPROC},	{"RSS", RLIMIT_RSS},
	    {"RTPRIO", RLIMIT_RTPRIO},	 {"RTTIME", RLIMIT_RTTIME},	{"SIGPENDING", RLIMIT_SIGPENDING},
	    {"STACK", RLIMIT_STACK},
	};
	for (size_t i = 0; i < s->n_rlimits; i++) {
		const char *name = str_after(str_or(s->rlimits[i].name, ""), "RLIMIT_");
		int resource = -1;
		for (size_t k = 0; name && k < ARRAY_SIZE(known); k++)
			if (!strcmp(name, known[k].name))
				resource = known[k].resource;
		if (resource < 0)
			fail(400, 128, 0, "rlimit \"%s\" is not known", str_or(s->rlimits[i].name, ""));
		struct rlimit limit = {s->rlimits[i].soft < 0 ? RLIM_INFINITY : (rlim_t)s->rlimits[i].soft,
				       s->rlimits[i].hard < 0 ? RLIM_INFINITY : (rlim_t)s->rlimits[i].hard};
		if (setrlimit((__rlimit_resource_t)resource, &limit) < 0)
			fail(500, 128, -errno, "setting %s", s->rlimits[i].name);
	}
}

/* Before the rootfs: the host's own /proc. Lowering needs a capability that the node may not have: best effort then. */
static void set_oom_score(const struct container_spec *s)
{
	char text[16];
	if (!s->has_oom_score_adj)
		return;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int n = snprintf(text, sizeof(text), "%d", (int)s->oom_score_adj);
	if (fd < 0 || (write(fd, text, (size_t)n) < 0 && errno != EACCES && errno != EPERM))
		fail(500, 128, -errno, "setting oom_score_adj");
	close(fd);
}

/* ---- privileges ---- */

static struct sock_fprog load_filter(int fd)
{
	struct stat st;
	struct sock_fprog p = {0};
	if (fstat(fd, &st) < 0 || st.st_size % (off_t)sizeof(struct sock_filter) || st.st_size <= 0 ||
	    st.st_size > (off_t)(SECCOMP_INSNS_MAX * sizeof(struct sock_filter)))
		fail(500, 128, 0, "the compiled seccomp filter is damaged");
	p.filter = xmalloc((size_t)st.st_size);
	if (pread(fd, p.filter, (size_t)st.st_size, 0) != st.st_size)
		fail(500, 128, -errno, "reading the compiled seccomp filter");
	p.len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
	return p;
}

static void apply_filter(const struct sock_fprog *p)
{
	if (p->len && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, p) < 0)
		fail(500, 128, -errno, "installing the seccomp filter");
}

static void set_caps(uint64_t effective, uint64_t permitted)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {
	    {(uint32_t)effective, (uint32_t)permitted, 0},
	    {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), 0},
	};
	if (syscall(SYS_capset, &h, d) < 0)
		fail(500, 128, -errno, "setting capabilities");
}

static void drop_privileges(const struct container_spec *s, const struct user *u, const struct sock_fprog *filter)
{
	struct caps c;
	const char *unknown = "";
	if (caps_of_spec(s, &c, &unknown) < 0)
		fail(400, 128, 0, "unknown capability \"%s\"", unknown);
	/* What we don't have ourselves nobody can give. */
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	if (syscall(SYS_capget, &h, d) < 0)
		fail(500, 128, -errno, "reading capabilities");
	uint64_t have = d[0].permitted | (uint64_t)d[1].permitted << 32;
	c.permitted &= have;
	c.effective &= c.permitted;
	c.ambient &= c.permitted;
	/* Without no_new_privs installing a filter needs CAP_SYS_ADMIN, so it must come first; the filter allows the
	 * rest. */
	if (!s->no_new_privileges)
		apply_filter(filter);
	for (int i = 0; i < 64; i++) {
		if (c.bounding & 1ull << i)
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break; /* beyond the last one this kernel knows */
			fail(500, 128, -errno, "dropping a capability from the bounding set");
		}
	}
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(u->n_groups, u->groups) < 0 ||
	    setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
		fail(500, 128, -errno, "becoming user %u", u->uid);
	set_caps(c.effective | (have & (1ull << CAP_SETPCAP) & c.permitted), c.permitted);
	set_caps(c.effective, c.permitted); /* exec clears KEEPCAPS */
	if (s->no_new_privileges) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			fail(500, 128, -errno, "no_new_privs");
		apply_filter(filter);
	}
}

/* ---- exec ---- */

static void enter_cwd(const char *cwd, bool create)
{
	char at[PATH_MAX];
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int dir = create ? root_mkdir_p(root, cwd, 0755) : root_open(root, cwd, O_PATH | O_DIRECTORY);
	if (dir < 0 || fchdir(dir) < 0)
		fail(400, 128, dir < 0 ? dir : -errno, "chdir to cwd \"%s\"", cwd);
	/* CVE-2024-21626: a cwd outside the root shows as a path that is not absolute. */
	if (syscall(SYS_getcwd, at, sizeof(at)) < 0 || at[0] != '/')
		fail(400, 128, 0, "the working directory is outside of the container");
	close(dir);
	close(root);
}

static void run(char *const *args, char *const *env)
{
	const char *path = DEFAULT_PATH;
	int found = ENOENT;
	if (strchr(args[0], '/')) {
		execve(args[0], args, env);
		found = errno;
		fail(400, found == ENOENT ? 127 : 126, -found, "exec: \"%s\"", args[0]);
	}
	for (char *const *e = env; *e; e++)
		if (!strncmp(*e, "PATH=", 5))
			path = *e + 5;
	while (*args[0]) {
		char full[PATH_MAX];
		size_t n = strcspn(path, ":");
		if ((size_t)snprintf(full, sizeof(full), "%.*s/%s", (int)n, n ? path : ".", args[0]) < sizeof(full)) {
			execve(full, args, env);
			if (errno == EACCES || errno == ENOEXEC)
				found = errno;
			else if (errno != ENOENT && errno != ENOTDIR)
				fail(400, 126, -errno, "exec: \"%s\"", full);
		}
		if (!path[n])
			break;
		path += n + 1;
	}
	if (found == ENOENT)
		fail(400, 127, 0, "exec: \"%s\": executable file not found in $PATH", args[0]);
	fail(400, 126, -found, "exec: \"%s\"", args[0]);
}

/*
 * Closed, not only close-on-exec: an image chooses the path that is executed, and /proc/self/fd/N/../.. through a
 * directory of the host's that is still open would be a file of the host (CVE-2024-21626). The last one is the socket.
 */
static void close_all_but_sync(void)
{
	if ((sync_fd > 3 && syscall(SYS_close_range, 3, sync_fd - 1, 0) < 0) ||
	    syscall(SYS_close_range, sync_fd + 1, ~0u, 0) < 0)
		fail(500, 128, -errno, "close_range");
}

/* Handlers end with exec; what is ignored (here: by the shim, see shim.c) and blocked would stay so. */
static void reset_signals(void)
{
	static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2};
	sigset_t none;
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int enter_namespaces(const struct launch *l)
{
	if (setns(l->target, CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
		fail(409, 128, -errno, "entering the container");
	return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void inside(const struct launch *l, int sync, bool v2_joined)
{
	const struct container_spec *p = l->spec, *c = l->container;
	static struct user user;
	struct sock_fprog filter = {0};
	sync_fd = sync;
	/* Until exec nobody in the container may look into this process, whose file is the host's. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		fail(500, 128, -errno, "making the process undumpable");
	reset_signals();
	setsid();
	umask(022);
	int r = cgroup_join(l->layout, l->cgroup, v2_joined);
	if (r < 0)
		fail(500, 128, r, "joining cgroup %s", l->cgroup);
	set_oom_score(c);
	if (l->seccomp >= 0)
		filter = load_filter(l->seccomp);
	int root;
	if (l->target >= 0) {
		root = enter_namespaces(l);
	} else {
		if (unshare(CLONE_NEWCGROUP) < 0)
			fail(500, 128, -errno, "a cgroup namespace");
		root = inside_mounts(l);
	}
	umask(022);
	find_user(p, c, root, &user);
	close(root);
	enter_cwd(str_empty(p->cwd) ? (p != c && !str_empty(c->cwd) ? c->cwd : "/") : p->cwd, p == c);
	set_stdio(l, &user);
	set_rlimits(c);
	/* Unknown to the kernel, or forbidden by an outer filter that forbids it to the container, too: no keyrings
	 * then.
	 */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, c->id) < 0 && errno != ENOSYS && errno != EPERM)
		fail(500, 128, -errno, "making a session keyring");
	char **env = make_env(l, &user);
	if (l->gate) {
		char go;
		tell(SYNC_READY, -1);
		if (read(sync_fd, &go, 1) != 1)
			_exit(1);
	}
	drop_privileges(c, &user, &filter);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		fail(500, 128, -errno, "binding the process to its shim");
	close_all_but_sync();
	run((char *const *)p->args, env);
	_exit(128);
}
