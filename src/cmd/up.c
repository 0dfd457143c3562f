/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proa up: starts server and agent as children, waits until both are ready, writes the kubeconfig, and stays as their
 * supervisor: a child that dies is started again. It ends on SIGTERM or SIGINT by stopping pods, agent and server.
 *
 * With --detach a second process stays and the first returns when that one says so.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "cmd/cluster.h"
#include "cmd/command.h"
#include "cmd/credentials.h"
#include "cmd/process.h"
#include "cmd/server_options.h"
#include "cmd/teardown.h"
#include "cmd/usable.h"
#include "io/loop.h"
#include "server/pki.h"

extern char **environ;

#define RESTART_MS_MIN 200   /* a child that was killed is back at once */
#define RESTART_MS_MAX 30000 /* one that cannot start must not keep a core busy */
#define STEADY_MS 60000	     /* after this long a child counts as healthy again */
#define AGENT_STOP_MS 45000  /* pods get 30 s of grace */
#define SERVER_STOP_MS 10000

#define SERVER_OPTIONS_MAX 64 /* of server_option_names, some of which may be given again */

struct supervisor;

struct child {
	struct supervisor *owner;
	const char *name; /* the sub-command, and NAME.pid */
	pid_t pid;
	int pidfd, ready_pipe;
	struct loop_fd *exit_watch, *ready_watch;
	struct loop_timer *restart, *kill;
	int64_t started_ms, delay_ms;
	bool ready;
};

struct supervisor {
	struct cluster cluster;
	char *options[SERVER_OPTIONS_MAX]; /* "--name=value", for the server */
	size_t n_options;
	const char *exe; /* where this program was found; NULL: nobody knows */
	struct loop *loop;
	struct child server, agent;
	struct usable *usable;
	int renewals; /* inotify on the server's certificates */
	struct loop_fd *renewals_watch;
	struct loop_signal *terminate, *interrupt;
	int lock_fd, report_fd; /* report_fd: to the process that waits for us under --detach; -1: none */
	int64_t began_ms;
	bool stopping, was_ready;
	int exit_status;
};

static void start_child(struct child *c);
static void watch_renewals(struct supervisor *s);

/* ---- telling ---- */

static void say(struct supervisor *s, const char *line)
{
	FILE *out = stdout;

	if (s->report_fd >= 0) {
		fs_write_all(s->report_fd, line, strlen(line));
		fs_write_all(s->report_fd, "\n", 1);
		return;
	}
	fprintf(out, "%s\n", line);
	fflush(out);
}

static void report_ready(struct supervisor *s)
{
	struct cluster *c = &s->cluster;
	_cleanup_free_ char *line =
	    xasprintf("Cluster ready in %.1f s: node %s, API server %s.\n"
		      "  export KUBECONFIG=%s\n"
		      "  kubectl get nodes",
		      (double)(monotonic_ms() - s->began_ms) / 1000, c->node_name, cluster_url(c), c->kubeconfig);

	s->was_ready = true;
	watch_renewals(s);
	say(s, line);
	if (s->report_fd >= 0) {
		fs_write_all(s->report_fd, "\0", 1); /* success; see wait_for_report */
		close(TAKE_FD(s->report_fd));
	}
}

/* ---- children ---- */

static void drop_watch(struct loop_fd **watch, int *fd)
{
	if (*watch)
		loop_fd_free(TAKE_PTR(*watch));
	if (*fd >= 0)
		close(TAKE_FD(*fd));
}

static void finish(struct supervisor *s, int exit_status)
{
	s->exit_status = exit_status;
	loop_stop(s->loop);
}

static void on_kill(void *arg)
{
	struct child *c = arg;

	log_warn("a child does not stop, killing it name=%s", c->name);
	kill(c->pid, SIGKILL);
}

static void stop_child(struct child *c, int signum, int64_t ms)
{
	if (c->pid <= 0) {
		loop_timer_stop(c->restart);
		return;
	}
	kill(c->pid, signum);
	loop_timer_start(c->kill, ms);
}

/* The agent first, since stopping pods needs no server but orderly status does; then the server. */
static void stop_next(struct supervisor *s)
{
	if (s->agent.pid > 0)
		stop_child(&s->agent, s->agent.ready ? SIGUSR1 : SIGTERM, AGENT_STOP_MS);
	else if (s->server.pid > 0)
		stop_child(&s->server, SIGTERM, SERVER_STOP_MS);
	else
		finish(s, s->exit_status);
}

static void begin_stop(struct supervisor *s, int exit_status)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->exit_status = exit_status;
	loop_timer_stop(s->agent.restart);
	loop_timer_stop(s->server.restart);
	stop_next(s);
}

static void on_exit_of(void *arg, int events)
{
	struct child *c = arg;
	struct supervisor *s = c->owner;
	int status = 0;

	(void)events;
	waitpid(c->pid, &status, 0);
	c->pid = 0;
	loop_timer_stop(c->kill);
	drop_watch(&c->exit_watch, &c->pidfd);
	drop_watch(&c->ready_watch, &c->ready_pipe);
	if (s->stopping) {
		stop_next(s);
		return;
	}
	if (!s->was_ready) { /* it said why on standard error; trying again would say it again */
		begin_stop(s, 1);
		return;
	}
	c->delay_ms = monotonic_ms() - c->started_ms > STEADY_MS
			  ? RESTART_MS_MIN
			  : MIN_OF(MAX_OF(c->delay_ms * 2, RESTART_MS_MIN), RESTART_MS_MAX);
	log_warn("a child ended, starting it again name=%s status=%d delay_ms=%lld", c->name,
		 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), (long long)c->delay_ms);
	loop_timer_start(c->restart, c->delay_ms);
}

static void on_usable(void *arg, const char *why)
{
	struct supervisor *s = arg;

	s->usable = NULL;
	if (!why) {
		report_ready(s);
		return;
	}
	_cleanup_free_ char *line = xasprintf("error: the cluster does not become usable: %s", why);
	say(s, line);
	begin_stop(s, 1);
}

static void on_child_ready(void *arg, int events)
{
	struct child *c = arg;
	struct supervisor *s = c->owner;
	char line[128];

	(void)events;
	ssize_t n = read(c->ready_pipe, line, sizeof(line));
	drop_watch(&c->ready_watch, &c->ready_pipe);
	if (n <= 0)
		return; /* it ended; on_exit_of follows */
	c->ready = true;
	if (s->was_ready)
		return;
	if (c == &s->server) {
		say(s, "  control plane ready, starting the node …");
		start_child(&s->agent);
	} else {
		say(s, "  node ready, waiting for the default namespace …");
		s->usable = usable_wait(s->loop, &s->cluster, on_usable, s);
	}
}

static int spawn_child(struct child *c, int ready_fd, pid_t *ret)
{
	struct cluster *k = &c->owner->cluster;
	bool agent = strcmp(c->name, "agent") == 0;
	_cleanup_free_ char *data_dir = xasprintf("--data-dir=%s", k->data_dir),
			    *fd = xasprintf("--ready-fd=%d", ready_fd);
	_cleanup_free_ char *node_ip = xasprintf("--node-ip=%s", k->node_ip);
	char *argv[5 + SERVER_OPTIONS_MAX + 1] = {agent ? "proa-agent" : "proa-server", (char *)(uintptr_t)c->name,
						  data_dir, fd, node_ip};
	for (size_t i = 0; !agent && i < c->owner->n_options; i++)
		argv[5 + i] = c->owner->options[i];
	posix_spawnattr_t attr;
	sigset_t none;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP); /* Ctrl-C is for us alone */
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	/* By name, so that a child that ends after an upgrade comes back as what was installed since. */
	int r = c->owner->exe ? -posix_spawn(ret, c->owner->exe, NULL, &attr, argv, environ) : -ENOENT;
	if (r < 0)
		r = -posix_spawn(ret, "/proc/self/exe", NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	return r;
}

static void start_child(struct child *c)
{
	struct supervisor *s = c->owner;
	int p[2];

	c->started_ms = monotonic_ms();
	c->ready = false;
	if (pipe2(p, 0) < 0) {
		loop_timer_start(c->restart, RESTART_MS_MAX);
		return;
	}
	fcntl(p[0], F_SETFD, FD_CLOEXEC);
	int r = spawn_child(c, p[1], &c->pid);
	close(p[1]);
	if (r < 0) {
		log_error("a child cannot be started name=%s error=%s", c->name, strerror(-r));
		close(p[0]);
		c->pid = 0;
		loop_timer_start(c->restart, RESTART_MS_MAX);
		return;
	}
	c->ready_pipe = p[0];
	c->ready_watch = loop_fd_new(s->loop, p[0], LOOP_READABLE, on_child_ready, c);
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	c->exit_watch = loop_fd_new(s->loop, c->pidfd, LOOP_READABLE, on_exit_of, c);
	_cleanup_free_ char *pid_file = xasprintf("%s/%s.pid", s->cluster.run_dir, c->name);
	process_remember(pid_file, c->pid);
}

static void on_restart(void *arg)
{
	start_child(arg);
}

static void init_child(struct supervisor *s, struct child *c, const char *name)
{
	*c = (struct child){.owner = s, .name = name, .pidfd = -1, .ready_pipe = -1};
	c->restart = loop_timer_new(s->loop, on_restart, c);
	c->kill = loop_timer_new(s->loop, on_kill, c);
}

/* The server renews certificates but cannot write outside its directory: the kubeconfig follows from here. */
static void on_renewed(void *arg, int events)
{
	struct supervisor *s = arg;
	const char *dir = cluster_path(&s->cluster, s->cluster.data_dir, "server/pki");
	_cleanup_status_ struct status err = STATUS_INIT;
	_Alignas(struct inotify_event) char data[4096];
	struct pki *p = NULL;

	(void)events;
	while (read(s->renewals, data, sizeof(data)) > 0)
		;
	if (pki_open(dir, &p, &err) < 0 || credentials_write_kubeconfig(p, &s->cluster, &err) < 0)
		log_warn("the kubeconfig cannot follow renewed certificates error=\"%s\"", err.message);
	pki_free(p);
}

static void watch_renewals(struct supervisor *s)
{
	const char *dir = cluster_path(&s->cluster, s->cluster.data_dir, "server/pki");

	s->renewals = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->renewals >= 0 && inotify_add_watch(s->renewals, dir, IN_MOVED_TO) >= 0)
		s->renewals_watch = loop_fd_new(s->loop, s->renewals, LOOP_READABLE, on_renewed, s);
}

static void on_terminate(void *arg)
{
	struct supervisor *s = arg;

	if (s->was_ready && !s->stopping)
		say(s, "Stopping the cluster …");
	begin_stop(s, s->was_ready ? 0 : 1);
}

/* ---- before anything starts ---- */

static bool has_word_line(const char *path, const char *word)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (fs_read(path, 1 << 20, &b) < 0)
		return false;
	const char *at = strstr(buf_str(&b), word);
	return at && (at[strlen(word)] == '\n' || at[strlen(word)] == ' ');
}

/* What a kernel must have; each with what to do about it. NULL: everything is there. */
static const char *missing_feature(void)
{
	static const char *const namespaces[] = {"net", "pid", "mnt", "uts", "ipc", "cgroup"};

	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		_cleanup_free_ char *path = xasprintf("/proc/self/ns/%s", namespaces[i]);
		if (access(path, F_OK) < 0)
			return "the kernel lacks a namespace that containers need (CONFIG_NAMESPACES, CONFIG_NET_NS, "
			       "CONFIG_PID_NS)";
	}
	if (!has_word_line("/proc/filesystems", "overlay") && system("modprobe overlay 2>/dev/null") != 0)
		return "the kernel has no overlayfs: load it with 'modprobe overlay' (CONFIG_OVERLAY_FS)";
	if (!has_word_line("/proc/mounts", "cgroup2") && !has_word_line("/proc/mounts", "cgroup"))
		return "no cgroup file system is mounted at /sys/fs/cgroup";
	return NULL;
}

static int check_port(struct cluster *c, struct status *err)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)cluster_port(c))};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	inet_pton(AF_INET, cluster_host(c), &a.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)(void *)&a, sizeof(a)) == 0)
		return 0;
	if (errno == EADDRINUSE)
		return status_set(err, 409, "%s is in use: choose another with --listen=ADDRESS:PORT", c->listen);
	return status_set(err, 400, "cannot listen on %s: %s", c->listen, strerror(errno));
}

/* Directories, the lock that keeps a second 'proa up' out, and what was decided, written down. */
static int claim(struct supervisor *s, struct status *err)
{
	struct cluster *c = &s->cluster;
	int r = fs_mkdir_p(c->data_dir, 0755);

	if (r < 0)
		return status_set(err, 500, "cannot create %s: %s", c->data_dir, strerror(-r));
	r = fs_mkdir_p(c->run_dir, 0711);
	if (r < 0)
		return status_set(err, 500, "cannot create %s: %s", c->run_dir, strerror(-r));
	const char *lock = cluster_path(c, c->run_dir, "up.lock");
	s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return status_set(err, 500, "cannot open %s: %s", lock, strerror(errno));
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return status_set(err, 409, "the cluster in %s is already running; 'proa down%s%s' stops it",
				  c->data_dir, strcmp(c->data_dir, CLUSTER_DATA_DIR) ? " --data-dir=" : "",
				  strcmp(c->data_dir, CLUSTER_DATA_DIR) ? c->data_dir : "");
	if (check_port(c, err) < 0)
		return -1;
	return cluster_save(c, err);
}

/* ---- detaching ---- */

/* What this start has written into the log, or the end of it. */
static void print_log_end(const char *path, off_t begin)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[2048];
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof(text), MAX_OF(begin, size - (off_t)sizeof(text)));

	if (n > 0)
		fwrite(text, 1, (size_t)n, stderr);
}

/*
 * In the first process: copies what the other one reports until it is ready (a NUL byte) or has ended. That one's log
 * goes to DATA_DIR/proa.log.
 */
static int wait_for_report(int fd, const char *log_path, off_t log_begin)
{
	char data[512];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		const char *end = memchr(data, 0, (size_t)n);
		fwrite(data, 1, end ? (size_t)(end - data) : (size_t)n, stdout);
		fflush(stdout);
		if (end)
			return 0;
	}
	print_log_end(log_path, log_begin);
	return command_fail("the cluster did not start; its log is in %s", log_path);
}

/* Returns in the process that stays; the first one exits. */
static int detach(struct supervisor *s)
{
	const char *log_path = cluster_path(&s->cluster, s->cluster.data_dir, "proa.log");
	int p[2], log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600),
		  null_fd = open("/dev/null", O_RDONLY);

	if (log_fd < 0 || null_fd < 0 || pipe2(p, O_CLOEXEC) < 0)
		return command_fail("cannot detach: %s", strerror(errno));
	off_t log_begin = lseek(log_fd, 0, SEEK_END);
	pid_t pid = fork();
	if (pid < 0)
		return command_fail("cannot detach: %s", strerror(errno));
	if (pid > 0) {
		close(p[1]);
		_exit(wait_for_report(p[0], log_path, log_begin));
	}
	close(p[0]);
	setsid();
	dup2(null_fd, 0);
	dup2(log_fd, 1);
	dup2(log_fd, 2);
	close(null_fd);
	close(log_fd);
	s->report_fd = p[1];
	return 0;
}

/* ---- the command ---- */

static void supervise(struct supervisor *s)
{
	process_remember(cluster_path(&s->cluster, s->cluster.run_dir, "up.pid"), getpid());
	init_child(s, &s->server, "server");
	init_child(s, &s->agent, "agent");
	s->terminate = loop_signal_new(s->loop, SIGTERM, on_terminate, s);
	s->interrupt = loop_signal_new(s->loop, SIGINT, on_terminate, s);
	start_child(&s->server);
	loop_run(s->loop);
	usable_cancel(s->usable);
	drop_watch(&s->renewals_watch, &s->renewals);
	loop_signal_free(s->terminate);
	loop_signal_free(s->interrupt);
	struct child *const children[] = {&s->server, &s->agent};
	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		drop_watch(&children[i]->exit_watch, &children[i]->pidfd);
		drop_watch(&children[i]->ready_watch, &children[i]->ready_pipe);
		loop_timer_free(children[i]->restart);
		loop_timer_free(children[i]->kill);
	}
}

static void collect_options(struct supervisor *s, const struct args *a)
{
	for (const char *const *name = server_option_names; *name; name++) {
		const char *value = args_value(a, *name); /* also one that was not given but has a default */
		for (int i = 0; value && s->n_options < SERVER_OPTIONS_MAX; value = args_each(a, *name, ++i))
			s->options[s->n_options++] = xasprintf("--%s=%s", *name, str_or(args_each(a, *name, i), value));
	}
}

static int run(const struct args *a)
{
	struct supervisor s = {.renewals = -1, .lock_fd = -1, .report_fd = -1, .began_ms = monotonic_ms()};
	_cleanup_status_ struct status err = STATUS_INIT;
	struct cluster_flags f = {.data_dir = args_value(a, "data-dir"),
				  .run_dir = args_value(a, "run-dir"),
				  .kubeconfig = args_value(a, "kubeconfig"),
				  .listen = args_value(a, "listen"),
				  .node_name = args_value(a, "node-name"),
				  .node_ip = args_value(a, "node-ip"),
				  .pods_max = args_value(a, "max-pods")};

	if (geteuid() != 0)
		return command_fail("a cluster needs root for namespaces, mounts and cgroups: try 'sudo proa up'");
	const char *missing = missing_feature();
	if (missing)
		return command_fail("%s", missing);
	if (cluster_load(&f, &s.cluster, &err) < 0 || claim(&s, &err) < 0)
		return command_fail("%s", err.message);
	collect_options(&s, a);
	s.exe = process_self(&s.cluster.arena);
	printf("Starting the cluster in %s …\n", s.cluster.data_dir);
	fflush(stdout);
	if (args_switch(a, "detach") && detach(&s) != 0)
		return 1;
	if (loop_new(&s.loop) < 0)
		return command_fail("the event loop cannot be created");
	supervise(&s);
	loop_free(s.loop);
	if (teardown(&s.cluster, &err) < 0)
		s.exit_status = command_fail("%s", err.message);
	close(s.lock_fd);
	for (size_t i = 0; i < s.n_options; i++)
		free(s.options[i]);
	cluster_release(&s.cluster);
	return s.exit_status;
}

static const struct flag flags[] = {
    {"data-dir", "DIR", CLUSTER_DATA_DIR, "Directory that holds the cluster's state."},
    {"run-dir", "DIR", NULL, "Directory for what does not survive a reboot; below /run/proa if never given."},
    {"kubeconfig", "FILE", NULL, "Where to write the admin kubeconfig; DATA-DIR/admin.kubeconfig if never given."},
    {"listen", "ADDR:PORT", NULL, "Address to serve the API on; " CLUSTER_LISTEN " if never given."},
    {"node-name", "NAME", NULL, "Name of this node; the host name if never given."},
    {"node-ip", "ADDR", NULL, "Address of this machine; found by itself if not given."},
    {"max-pods", "N", NULL,
     "How many pods this node runs at most; 110 if never given. A node that is there keeps its range."},
    SERVER_OPTION_FLAGS,
    {"detach", NULL, "false", "Return when the cluster is ready and leave it running in the background."},
    {0},
};

const struct command command_up = {
    .name = "up",
    .summary = "Start a cluster on this machine",
    .about =
	"Start a cluster on this machine: control plane and node in one command.\n\n"
	" It returns to the shell only with --detach; otherwise Ctrl-C stops the cluster. What was decided at the\n"
	" first start (addresses, names) is kept with the cluster's state.",
    .example = "  # Start in the background, then use it\n  proa up --detach\n"
	       "  kubectl --kubeconfig=" CLUSTER_DATA_DIR "/admin.kubeconfig get nodes\n\n"
	       "  # A second cluster beside it\n  proa up --detach --data-dir=/srv/two --listen=127.0.0.1:7443",
    .operands = "",
    .flags = flags,
    .run = run,
};
