/* SPDX-License-Identifier: Apache-2.0 */
#include "network/masquerade.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/macros.h"

/* Runs nft with the script as its standard input. */
static int run_nft(const struct buf *script)
{
	static char *const argv[] = {"nft", "-f", "-", NULL};
	static char *const envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
	_cleanup_close_ int fd = memfd_create("nft", MFD_CLOEXEC);
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status;

	if (fd < 0)
		return -errno;
	int r = fs_write_all(fd, script->data, script->len);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	r = -posix_spawnp(&pid, "/usr/sbin/nft", &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	if (r < 0)
		return r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int masquerade_install(const char *table, const char *pod_cidr, const char *cluster_cidr)
{
	_cleanup_buf_ struct buf script = BUF_INIT;

	/* Declaring the table first makes the deletion succeed also when it was not there. */
	buf_addf(&script, "table ip %s\ndelete table ip %s\ntable ip %s {\n", table, table, table);
	buf_adds(&script, "\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat;\n");
	buf_addf(&script,
		 "\t\tip saddr %s ip daddr != %s fib daddr type != { local, multicast, broadcast } masquerade\n",
		 pod_cidr, cluster_cidr);
	buf_adds(&script, "\t}\n}\n");
	return run_nft(&script);
}

void masquerade_remove(const char *table)
{
	_cleanup_buf_ struct buf script = BUF_INIT;

	buf_addf(&script, "table ip %s\ndelete table ip %s\n", table, table); /* so that a missing table is no error */
	run_nft(&script);
}
