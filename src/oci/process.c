/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/pass.h"
#include "runtime/caps.h"
#include "runtime/passwd.h"
#include "runtime/rootfs.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void process_reset_signals(void)
{
	sigset_t none;
	for (int i = 1; i < NSIG; i++)
		if (i != SIGKILL && i != SIGSTOP)
			signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void process_become_root(bool keep_groups)
{
	/* Where id 0 isn't mapped we stay who we are. Groups may be denied, and are set later in any case. */
	if (setresgid(0, 0, 0) == 0 && !keep_groups)
		(void)!setgroups(0, NULL);
	(void)!setresuid(0, 0, 0);
}

/* ---- working directory, environment, executable ---- */

static int enter_cwd(const struct process *p, int root)
{
	const char *cwd = json_path_str(p->spec, "cwd");
	char at[PATH_MAX];
	if (str_empty(cwd) || cwd[0] != '/')
		return oci_fail(0, "process.cwd \"%s\" must be an absolute path", str_or(cwd, ""));
	_cleanup_close_ int dir = root_mkdir_p(root, cwd, 0755);
	if (dir < 0)
		return oci_fail(dir, "chdir to process.cwd %s", cwd);
	if (fchdir(dir) < 0)
		return oci_fail(-errno, "chdir to process.cwd %s", cwd);
	/* CVE-2024-21626: a directory outside of the root shows as a path that is not absolute. */
	if (syscall(SYS_getcwd, at, sizeof(at)) < 0 || at[0] != '/')
		return oci_fail(0, "process.cwd %s is outside of the container", cwd);
	return 0;
}

static const char *env_value(const char *const *env, const char *name)
{
	size_t n = strlen(name);
	const char *value = NULL;
	for (; *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=')
			value = *env + n + 1;
	return value;
}

/* env[0]'s name, further on. */
static bool named_again(const char *const *env)
{
	const char *equals = strchr(env[0], '=');
	size_t n = equals ? (size_t)(equals - env[0]) + 1 : 0;
	for (const char *const *later = env + 1; n && *later; later++)
		if (!strncmp(env[0], *later, n))
			return true;
	return false;
}

static const char *home_of(struct arena *a, int root, uid_t uid)
{
	static struct user u;
	char *passwd = NULL;
	const char *home = uid ? "/" : "/root";
	if (root_read_file(root, "/etc/passwd", PASSWD_FILE_MAX, &passwd) == 0 && user_by_uid(uid, passwd, "", &u) &&
	    *u.home)
		home = arena_strdup(a, u.home);
	free(passwd);
	return home;
}

static int make_env(struct arena *a, struct process *p, int root)
{
	size_t all, n = 0;
	const char **given = config_strings(a, json_get(p->spec, "env"), &all);
	p->env = arena_zalloc(a, (all + 5) * sizeof(*p->env));
	/* Of a name that is there twice, the last is meant: exec appends to what the container has. */
	for (size_t i = 0; i < all; i++)
		if (!named_again(given + i) && strcmp(given[i], "HOME=") != 0)
			p->env[n++] = given[i];
	if (str_empty(env_value(p->env, "HOME")))
		p->env[n++] =
		    arena_printf(a, "HOME=%s", home_of(a, root, (uid_t)json_path_int(p->spec, "user.uid", 0)));
	/* Socket activation (sd_listen_fds): the process is the one that will be. */
	if (p->listen_fds) {
		p->env[n++] = arena_printf(a, "LISTEN_FDS=%d", p->listen_fds);
		p->env[n++] = arena_printf(a, "LISTEN_PID=%d", (int)getpid());
		if (getenv("LISTEN_FDNAMES"))
			p->env[n++] = arena_printf(a, "LISTEN_FDNAMES=%s", getenv("LISTEN_FDNAMES"));
	}
	return 0;
}

static int judge(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_mode & 0111 ? 0 : -EACCES;
}

static int look_up(struct arena *a, struct process *p)
{
	const char *name = p->args[0], *path = str_or(env_value(p->env, "PATH"), DEFAULT_PATH);
	int found = -ENOENT;
	if (strchr(name, '/')) {
		int r = judge(name);
		p->path = name;
		return r < 0 ? oci_fail(r, "exec: \"%s\"", name) : 0;
	}
	while (*name) {
		size_t n = strcspn(path, ":");
		const char *full = arena_printf(a, "%.*s/%s", (int)n, n ? path : ".", name);
		int r = judge(full);
		if (r == 0) {
			p->path = full;
			return 0;
		}
		if (r == -EACCES)
			found = r;
		if (!path[n])
			break;
		path += n + 1;
	}
	if (found == -EACCES)
		return oci_fail(found, "exec: \"%s\"", name);
	oci_fail(0, "exec: \"%s\": executable file not found in $PATH", name);
	return -ENOENT;
}

int process_prepare(struct arena *a, struct process *p, int root)
{
	size_t n;
	p->args = config_strings(a, json_get(p->spec, "args"), &n);
	if (!n || !*p->args[0])
		return oci_fail(0, "process.args must not be empty");
	int r = enter_cwd(p, root);
	if (r == 0)
		r = make_env(a, p, root);
	/* Not every kernel has keyrings; and who may not call keyctl has none to share with the container. */
	if (r == 0 && p->keyring && syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, p->keyring) < 0 &&
	    errno != ENOSYS && errno != EPERM)
		r = oci_fail(-errno, "making a session keyring");
	return r < 0 ? r : look_up(a, p);
}

/* ---- privileges ---- */

unsigned long long process_caps(const struct json *list)
{
	uint64_t mask = 0, known = caps_known();
	JSON_EACH(e, list) {
		int cap = caps_from_name(json_str(e));
		if (cap < 0 || !(known & 1ull << cap))
			oci_warn("capability %s is unknown and was left out", json_str(e));
		else
			mask |= 1ull << cap;
	}
	return mask;
}

struct sets {
	uint64_t bounding, permitted, effective, inheritable, ambient;
};

static int put_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {
	    {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
	    {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
	};
	return syscall(SYS_capset, &h, d) < 0 ? oci_fail(-errno, "setting capabilities") : 0;
}

/* Drivers that have stopped to give inheritable ones still list all as ambient: without any those mean nothing. */
static void tell_unraised(uint64_t caps, bool any_inheritable)
{
	static const char text[] = "can't raise ambient capability %s: not permitted and inheritable";
	_cleanup_buf_ struct buf names = BUF_INIT;
	for (int i = 0; i < 64; i++)
		if (caps & 1ull << i)
			buf_addf(&names, "%sCAP_%s", names.len ? ", " : "", str_or(caps_name(i), "?"));
	if (any_inheritable)
		oci_warn(text, buf_str(&names));
	else
		oci_debug(text, buf_str(&names));
}

static int read_sets(const struct json *spec, struct sets *ret, uint64_t *ret_have)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	if (syscall(SYS_capget, &h, d) < 0)
		return oci_fail(-errno, "reading capabilities");
	const struct json *c = json_get(spec, "capabilities");
	uint64_t have = d[0].permitted | (uint64_t)d[1].permitted << 32;
	struct sets s = {process_caps(json_get(c, "bounding")), process_caps(json_get(c, "permitted")),
			 process_caps(json_get(c, "effective")), process_caps(json_get(c, "inheritable")),
			 process_caps(json_get(c, "ambient"))};
	/* What we don't have ourselves nobody can give. */
	if (s.permitted & ~have)
		oci_warn("capabilities %llx cannot be given", (unsigned long long)(s.permitted & ~have));
	s.permitted &= have;
	s.effective &= s.permitted;
	s.inheritable &= (s.bounding | s.permitted) & have;
	uint64_t unraised = s.ambient & ~(s.permitted & s.inheritable);
	if (unraised)
		tell_unraised(unraised, s.inheritable);
	s.ambient &= ~unraised;
	*ret = s;
	*ret_have = have;
	return 0;
}

static int drop_bounding(uint64_t keep)
{
	for (int i = 0; i < 64; i++) {
		if (keep & 1ull << i)
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			return 0; /* beyond the last one this kernel knows */
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			return oci_fail(-errno, "dropping a capability from the bounding set");
	}
	return 0;
}

bool process_needs_proc(const struct json *spec)
{
	return options.groups_may_be_denied || !str_empty(json_path_str(spec, "apparmorProfile")) ||
	       !str_empty(json_path_str(spec, "selinuxLabel"));
}

static bool groups_denied(const struct process *p)
{
	char text[8] = "";
	if (p->proc < 0)
		return false;
	_cleanup_close_ int fd = root_open_on_mount(p->proc, "self/setgroups", O_RDONLY);
	/* "self" is a magic of procfs, not a magic link: it resolves by pid. */
	return fd >= 0 && read(fd, text, sizeof(text)) >= 4 && !strncmp(text, "deny", 4);
}

/*
 * A user who isn't root opens /dev/stderr and the like by their files, which belong to whoever made them. A terminal
 * keeps its group (tty); /dev/null is everybody's. Where it isn't permitted the descriptors themselves work all the
 * same.
 */
static void own_stdio(uid_t uid, gid_t gid)
{
	struct stat st;
	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) == 0 && st.st_uid != uid && !(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)))
			(void)!fchown(fd, uid, S_ISCHR(st.st_mode) ? st.st_gid : gid);
}

static int become_user(const struct process *p)
{
	const struct json *user = json_get(p->spec, "user");
	uid_t uid = (uid_t)json_path_int(user, "uid", 0);
	gid_t gid = (gid_t)json_path_int(user, "gid", 0);
	static gid_t groups[65536]; /* the kernel's NGROUPS_MAX */
	size_t n = 0;
	JSON_EACH(g, json_get(user, "additionalGids")) {
		if (n == ARRAY_SIZE(groups))
			return oci_fail(0, "process.user.additionalGids: more than %zu", ARRAY_SIZE(groups));
		groups[n++] = (gid_t)json_int(g, 0);
	}
	umask((mode_t)(config_u64(json_get(user, "umask"), 022) & 0777));
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return oci_fail(-errno, "keeping capabilities");
	if (!p->keep_groups && (n || !groups_denied(p)) && setgroups(n, groups) < 0)
		return oci_fail(-errno, "process.user.additionalGids");
	own_stdio(uid, gid);
	if (setresgid(gid, gid, gid) < 0)
		return oci_fail(-errno, "process.user.gid %u", gid);
	if (setresuid(uid, uid, uid) < 0)
		return oci_fail(-errno, "process.user.uid %u", uid);
	return 0;
}

static int raise_ambient(uint64_t mask)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && mask)
		return oci_fail(-errno, "process.capabilities.ambient");
	for (int i = 0; i < 64; i++)
		if (mask & 1ull << i && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return oci_fail(-errno, "process.capabilities.ambient");
	return 0;
}

/* ---- labels ---- */

static int write_attr(const struct process *p, const char *path, const char *text)
{
	_cleanup_close_ int fd = root_open_on_mount(p->proc, path, O_WRONLY);
	if (fd < 0)
		return fd;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int set_labels(const struct process *p)
{
	const char *apparmor = json_path_str(p->spec, "apparmorProfile"),
		   *selinux = json_path_str(p->spec, "selinuxLabel");
	if (!str_empty(apparmor)) {
		char text[300];
		snprintf(text, sizeof(text), "exec %s", apparmor);
		int r = write_attr(p, "self/attr/apparmor/exec", text);
		if (r < 0)
			return oci_fail(r, "process.apparmorProfile %s: AppArmor is not enabled or doesn't know it",
					apparmor);
	}
	if (!str_empty(selinux)) {
		int r = write_attr(p, "self/attr/exec", selinux);
		if (r < 0)
			return oci_fail(r, "process.selinuxLabel %s: SELinux is not enabled or doesn't know it",
					selinux);
	}
	return 0;
}

/* ---- the listener of user notification ---- */

static int install_filter(const struct process *p)
{
	int listener;
	int r = filter_install(&p->filter, &listener);
	if (r < 0 || listener < 0)
		return r;
	r = pass_send(p->notify_socket, p->notify_state, listener);
	return r < 0 ? oci_fail(r, "handing seccomp's listener over") : 0;
}

/* ---- the end ---- */

/*
 * Closed, not only close-on-exec: the path that is executed may be an image's choice, and /proc/self/fd/N/../.. through
 * an open directory of the host's would be a file of the host (CVE-2024-21626). Before the filter, which may not know
 * close_range. Left are sockets. Of the preserved range, holes that the caller left have been filled by what is ours:
 * that closes on exec, what the caller gave does not.
 */
static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int close_but(const struct process *p, int *keep, size_t n)
{
	int first = 3 + p->preserve_fds;
	qsort(keep, n, sizeof(*keep), by_number);
	for (int fd = 3; fd < first; fd++) {
		int flags = bsearch(&fd, keep, n, sizeof(*keep), by_number) ? 0 : fcntl(fd, F_GETFD);
		if (flags > 0 && flags & FD_CLOEXEC)
			close(fd);
	}
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < first)
			continue;
		if (keep[i] > first && syscall(SYS_close_range, first, keep[i] - 1, 0) < 0)
			return oci_fail(-errno, "close_range");
		first = keep[i] + 1;
	}
	return syscall(SYS_close_range, first, ~0u, 0) < 0 ? oci_fail(-errno, "close_range") : 0;
}

int process_close_others(const struct process *p, int sync, int listener)
{
	int keep[] = {sync, listener, p->notify_socket, p->proc, oci_log_fd(), p->hook_output[0], p->hook_output[1]};
	return close_but(p, keep, ARRAY_SIZE(keep));
}

int process_drop(struct process *p, int sync)
{
	struct sets s = {0};
	uint64_t have = 0;
	bool nnp = json_path_bool(p->spec, "noNewPrivileges", false);
	int r = set_labels(p);
	if (r == 0)
		r = read_sets(p->spec, &s, &have);
	if (r == 0)
		r = drop_bounding(s.bounding);
	if (r == 0)
		r = become_user(p);
	if (r == 0)
		r = close_but(p, (int[]){sync, p->notify_socket, p->hook_output[0], p->hook_output[1]}, 4);
	if (r < 0)
		return r;
	/* Without no_new_privs installing a filter needs CAP_SYS_ADMIN: the one capability that is dropped after it. */
	uint64_t admin = p->filter.n && !nnp ? have & 1ull << CAP_SYS_ADMIN : 0;
	uint64_t setpcap = have & 1ull << CAP_SETPCAP;
	r = put_caps(s.effective | admin | setpcap, s.permitted | admin | setpcap, s.inheritable);
	if (r == 0)
		r = raise_ambient(s.ambient);
	if (r == 0 && !admin)
		r = put_caps(s.effective, s.permitted, s.inheritable);
	if (r == 0 && nnp && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = oci_fail(-errno, "process.noNewPrivileges");
	if (r == 0)
		r = install_filter(p);
	if (r == 0 && admin)
		r = put_caps(s.effective, s.permitted, s.inheritable);
	return r;
}

int process_exec(const struct process *p)
{
	execve(p->path, (char *const *)(uintptr_t)p->args, (char *const *)(uintptr_t)p->env);
	return oci_fail(-errno, "exec %s", p->path);
}
