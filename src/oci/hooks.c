/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/process.h"

#define OUTPUT_SHOWN 300 /* bytes of a failed hook's last words in our message */

const char *const hook_points[] = {
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop", NULL};

static const struct json *hooks_of(const struct container *c, const char *point)
{
	return json_get(json_get(c->config, "hooks"), point);
}

bool hooks_any(const struct container *c, const char *point)
{
	return json_len(hooks_of(c, point)) > 0;
}

/* ---- output ---- */

static int output[2] = {-1, -1};

int hooks_open_output(const struct container *c)
{
	static const char *const names[] = {"run.oci.hooks.stdout", "run.oci.hooks.stderr"};
	for (int i = 0; i < 2; i++) {
		const char *path = json_str(json_get(json_get(c->config, "annotations"), names[i]));
		if (output[i] >= 0 || str_empty(path))
			continue;
		output[i] = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
		if (output[i] < 0)
			return oci_fail(-errno, "annotation %s: opening %s", names[i], path);
	}
	return 0;
}

void hooks_output(int ret[2])
{
	memcpy(ret, output, sizeof(output));
}

/* ---- one hook ---- */

/* process: whose environment a hook in the container has without one of its own. NULL: the runtime's, which is nothing
 * to tell to programs of the image. */
static _Noreturn void be_hook(const struct json *hook, struct arena *a, int in, int out, const struct json *process)
{
	const struct json *own = json_get(hook, "env");
	const char **args = config_strings(a, json_get(hook, "args"), NULL),
		   **env = config_strings(a, own ? own : json_get(process, "env"), NULL);
	const char *path = json_path_str(hook, "path"), *alone[] = {path, NULL};
	if (!own && !process)
		env = (const char **)environ;
	setpgid(0, 0);
	process_reset_signals();
	int to[2] = {output[0] < 0 ? out : output[0], output[1] < 0 ? out : output[1]};
	if (dup2(in, 0) < 0 || dup2(to[0], 1) < 0 || dup2(to[1], 2) < 0)
		_exit(127);
	execve(path, (char *const *)(args[0] ? args : alone), (char *const *)env);
	dprintf(2, "%s", strerror(errno));
	_exit(127);
}

/* Its exit status; -ETIMEDOUT: killed. */
static int wait_for(pid_t pid, int64_t timeout_s)
{
	int status;
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int timeout = timeout_s > 0 ? (int)MIN_OF(timeout_s, 1000000) * 1000 : -1, r;
	do
		r = fd < 0 ? 1 : poll(&p, 1, timeout);
	while (r < 0 && errno == EINTR);
	if (r == 0 && kill(-pid, SIGKILL) < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return r == 0 ? -ETIMEDOUT : status;
}

static int run_one(const struct container *c, const struct json *hook, const char *point, int index, const char *state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *path = json_path_str(hook, "path");
	if (path[0] != '/')
		return oci_fail(0, "%s hook #%d: path \"%s\" is not absolute", point, index, path);
	_cleanup_close_ int in = memfd_create("state", MFD_CLOEXEC), out = memfd_create("output", MFD_CLOEXEC);
	if (in < 0 || out < 0)
		return oci_fail(-errno, "%s hook #%d: memfd_create", point, index);
	int r = fs_write_all(in, state, strlen(state));
	if (r < 0 || lseek(in, 0, SEEK_SET) < 0)
		return oci_fail(r, "%s hook #%d: its input", point, index);
	pid_t pid = fork();
	if (pid == 0)
		be_hook(hook, &a, in, out, strcmp(point, "startContainer") ? NULL : c->process);
	if (pid < 0)
		return oci_fail(-errno, "%s hook #%d: fork", point, index);
	int64_t timeout = json_path_int(hook, "timeout", 0);
	int status = wait_for(pid, timeout);
	if (status == -ETIMEDOUT)
		return oci_fail(0, "error running %s hook #%d: %s: not done after %lld s", point, index, path,
				(long long)timeout);
	if (status < 0)
		return oci_fail(status, "error running %s hook #%d", point, index);
	if (status == 0)
		return 0;
	char said[OUTPUT_SHOWN + 1];
	off_t end = lseek(out, 0, SEEK_END);
	ssize_t n = pread(out, said, OUTPUT_SHOWN, end > OUTPUT_SHOWN ? end - OUTPUT_SHOWN : 0);
	said[n > 0 ? n : 0] = 0;
	return oci_fail(0, "error running %s hook #%d: %s: %s %d, stdout/stderr: %s", point, index, path,
			WIFSIGNALED(status) ? "signal" : "exit status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), said);
}

static int run_list(const struct container *c, const char *point, const char *phase, bool all)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	int i = 0;
	if (!hooks_any(c, point))
		return 0;
	int opened = hooks_open_output(c);
	if (opened < 0 && !all)
		return opened;
	if (opened < 0)
		oci_warn("%s", oci_error());
	const char *state = json_to_string(&a, container_state(&a, c, phase));
	JSON_EACH(h, hooks_of(c, point)) {
		int r = run_one(c, h, point, i++, state);
		if (r < 0 && !all)
			return r;
		if (r < 0)
			oci_warn("%s", oci_error());
	}
	return 0;
}

int hooks_run(const struct container *c, const char *point, const char *phase)
{
	return run_list(c, point, phase, false);
}

void hooks_run_all(const struct container *c, const char *point, const char *phase)
{
	(void)run_list(c, point, phase, true);
}
