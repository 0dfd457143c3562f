/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/delete.h"

#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/macros.h"
#include "oci/command.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/hooks.h"

#define END_WAIT_MS 10000 /* after SIGKILL; only a process in an uninterruptible sleep takes longer */

static struct {
	bool force, regex;
} given;

static const struct flag flags[] = {
    {"force", 'f', FLAG_BOOL, &given.force, "kill it first; no error when it doesn't exist"},
    {"regex", 'r', FLAG_BOOL, &given.regex,
     "every container whose id matches the word, an extended regular expression"},
    {0}};

int delete_ended(struct container *c)
{
	int r = group_destroy(&c->group, false);
	if (r < 0)
		return r;
	if (c->pid)
		hooks_run_all(c, "poststop", "stopped");
	return container_forget(c);
}

int delete_stopped(struct container *c)
{
	if (container_load_config(c) < 0)
		oci_warn("%s", oci_error()); /* damaged: its poststop hooks are lost, the rest can go */
	return delete_ended(c);
}

static int kill_first(const struct container *c)
{
	_cleanup_close_ int fd = container_pidfd(c);
	if (fd < 0)
		return 0;
	if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return oci_fail(-errno, "killing container %s", c->id);
	group_let_end(&c->group);
	group_thaw_process(c->pid);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;
	do
		r = poll(&p, 1, END_WAIT_MS);
	while (r < 0 && errno == EINTR);
	return r == 0 ? oci_fail(-ETIMEDOUT, "container %s does not end", c->id) : 0;
}

int delete_killed(struct container *c)
{
	int r = kill_first(c);
	return r < 0 ? r : delete_stopped(c);
}

static int delete_one(const char *id)
{
	_cleanup_container_ struct container c = CONTAINER_INIT;
	int r = container_load(&c, id, true);
	if (r == -ENOENT && given.force) {
		/* What a killed create left has no state yet; nobody holds its lock. */
		return c.dir_fd >= 0 ? container_forget(&c) : 0;
	}
	if (r < 0)
		return r;
	enum container_phase phase = container_phase_of(&c);
	/* One that is creating and whose lock we hold has no maker any more. */
	if ((phase == PHASE_RUNNING || phase == PHASE_PAUSED) && !given.force)
		return oci_fail(0, "cannot delete container %s that is not stopped: %s", id, phase_name(phase));
	return phase == PHASE_STOPPED ? delete_stopped(&c) : delete_killed(&c);
}

static int delete_matching(const char *pattern)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	regex_t re;
	size_t n;
	int result = 0;
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB))
		return oci_fail(0, "\"%s\" is not a regular expression", pattern);
	const char **all = container_list(&a, &n);
	for (size_t i = 0; i < n; i++) {
		int r = regexec(&re, all[i], 0, NULL, 0) == 0 ? delete_one(all[i]) : 0;
		if (r < 0)
			result = r;
	}
	regfree(&re);
	return result;
}

static int delete (int argc, char **argv)
{
	int result = 0;
	if (given.regex && argc != 1)
		return oci_fail(0, "--regex goes with one word, the expression");
	if (given.regex)
		return delete_matching(argv[0]);
	for (int i = 0; i < argc; i++) {
		int r = delete_one(argv[i]);
		if (r < 0)
			result = r;
		if (r < 0 && i + 1 < argc)
			oci_report();
	}
	return result;
}

const struct command command_delete = {"delete", "ID…", "remove a container that has stopped", flags, 1, -1, false,
				       false,	 delete};
