/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "oci/error.h"
#include "oci/notify.h"
#include "oci/pass.h"
#include "runtime/rootfs.h"

#define MASTER_NAME "/dev/pts/ptmx" /* what the receiver is told it got */

/* Newlines are for our own terminal, where there is one, to translate: a pipe gets what the container wrote. */
static void plain_newlines(int master)
{
	struct termios t;
	if (tcgetattr(master, &t) < 0)
		return;
	t.c_oflag &= ~(tcflag_t)ONLCR;
	tcsetattr(master, TCSANOW, &t);
}

int terminal_receive(int socket)
{
	char name[64];
	int fd = -1;
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {name, sizeof(name)};
	struct msghdr h = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
	ssize_t n;
	do
		n = recvmsg(socket, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&h) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return oci_fail(n < 0 ? -errno : 0, "no terminal came");
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	plain_newlines(fd);
	return fd;
}

/* The container's /dev/console is its terminal: the node bound over a file, by descriptor (CVE-2025-52565). */
static int bind_console(int root, int slave)
{
	_cleanup_close_ int dev = root_open_nosymlinks(root, "/dev", O_PATH | O_DIRECTORY);
	if (dev < 0)
		return oci_fail(dev, "/dev in the container");
	_cleanup_close_ int made = openat(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (made < 0 && errno != EEXIST)
		return oci_fail(-errno, "making /dev/console");
	_cleanup_close_ int at = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (at < 0 || fstat(at, &st) < 0 || S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return oci_fail(0, "/dev/console in the container is not a file");
	_cleanup_close_ int tree = mount_clone(slave, "", false);
	int r = tree < 0 ? tree : mount_attach(tree, at);
	return r < 0 ? oci_fail(r, "binding /dev/console") : 0;
}

int terminal_take(int root, const struct json *process, int socket, bool first)
{
	struct statfs fs;
	_cleanup_close_ int master = root_open(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
	if (master < 0)
		return oci_fail(master, "process.terminal: opening /dev/pts/ptmx in the container");
	/* The image may have put anything there. */
	if (fstatfs(master, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return oci_fail(0, "process.terminal: /dev/pts in the container is not a devpts");
	int unlock = 0;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return oci_fail(-errno, "unlocking the terminal");
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return oci_fail(-errno, "opening the terminal's other side");
	struct winsize size = {.ws_row = (unsigned short)json_path_int(process, "consoleSize.height", 0),
			       .ws_col = (unsigned short)json_path_int(process, "consoleSize.width", 0)};
	if ((size.ws_row || size.ws_col) && ioctl(slave, TIOCSWINSZ, &size) < 0)
		return oci_fail(-errno, "process.consoleSize");
	if (fchown(slave, (uid_t)json_path_int(process, "user.uid", 0), (gid_t)-1) < 0 && errno != EPERM &&
	    errno != EROFS && errno != EINVAL)
		return oci_fail(-errno, "giving the terminal to its user");
	int r = pass_send(socket, MASTER_NAME, master);
	if (r < 0)
		oci_fail(r, "handing the terminal over");
	else if (first)
		r = bind_console(root, slave);
	if (r < 0)
		return r;
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return oci_fail(-errno, "taking the controlling terminal");
	for (int i = 0; i < 3; i++)
		if (dup2(slave, i) < 0)
			return oci_fail(-errno, "standard streams");
	close(slave);
	return 0;
}

/* ---- foreground ---- */

static sigset_t held;

void terminal_hold_signals(void)
{
	sigfillset(&held);
	/* These are about ourselves. */
	static const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTTIN, SIGTTOU, SIGTSTP, SIGURG};
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		sigdelset(&held, own[i]);
	sigprocmask(SIG_BLOCK, &held, NULL);
}

static void copy_size(int master)
{
	struct winsize w;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0)
		(void)ioctl(master, TIOCSWINSZ, &w);
}

static void on_signal(int signals, int master, int pidfd)
{
	struct signalfd_siginfo i;
	if (read(signals, &i, sizeof(i)) != sizeof(i))
		return;
	if (i.ssi_signo == SIGWINCH && master >= 0)
		copy_size(master);
	else if (i.ssi_signo != SIGCHLD && i.ssi_signo != SIGPIPE)
		(void)syscall(SYS_pidfd_send_signal, pidfd, (int)i.ssi_signo, NULL, 0);
}

/* One read and its write. False at the end. */
static bool copy(int from, int to)
{
	char data[8192];
	ssize_t n = read(from, data, sizeof(data));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	return n > 0 && fs_write_all(to, data, (size_t)n) == 0;
}

int terminal_attend(int master, int pidfd, int notify)
{
	struct termios saved, raw;
	bool is_tty = master >= 0 && tcgetattr(STDIN_FILENO, &saved) == 0;
	_cleanup_close_ int signals = signalfd(-1, &held, SFD_CLOEXEC);
	if (signals < 0)
		return oci_fail(-errno, "signalfd");
	if (is_tty) {
		raw = saved;
		cfmakeraw(&raw);
		raw.c_oflag |= OPOST; /* see plain_newlines */
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
		copy_size(master);
	}
	struct pollfd p[5] = {{signals, POLLIN, 0},
			      {pidfd, POLLIN, 0},
			      {master, POLLIN, 0},
			      {master < 0 ? -1 : 0, POLLIN, 0},
			      {notify, POLLIN, 0}};
	for (;;) {
		if (poll(p, 5, -1) < 0 && errno != EINTR)
			break;
		if (p[4].revents)
			notify_forward(notify);
		if (p[0].revents)
			on_signal(signals, master, pidfd);
		if (p[2].revents && !copy(master, STDOUT_FILENO))
			p[2].fd = -1;
		if (p[3].revents && !copy(STDIN_FILENO, master))
			p[3].fd = -1;
		/* What it wrote last is still to be read. */
		if (p[1].revents && (p[2].fd < 0 || !(p[2].revents & POLLIN)))
			break;
	}
	if (is_tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	return 0;
}
