/* SPDX-License-Identifier: Apache-2.0 */
/* proa run: a container of an image, without a cluster. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/image_internal.h"
#include "cmd/local_internal.h"
#include "cmd/run_options.h"
#include "image/image.h"
#include "image/pull.h"

/* ---- the image ---- */

static int pull(const struct args *a, struct local *l, const char *ref)
{
	const char *policy = args_value(a, "pull");
	struct image *image;
	struct image_session session;
	struct image_transfer t;
	char why[IMAGE_WHY_MAX] = "";
	if (!str_in(policy, (const char *const[]){"missing", "always", "never", NULL}))
		return command_fail("--pull is missing, always or never, not \"%s\"", policy);
	if (!str_eq(policy, "always")) {
		int r = image_resolve_platform(l->images, ref, args_value(a, "platform"), &image, why, sizeof(why));
		if (r == 0)
			image_free(image);
		if (r != -ENOENT || str_eq(policy, "never"))
			return r < 0 ? command_fail("%s", why) : 0;
	}
	int r = image_session_open(a, ref, args_switch(a, "quiet"), &session, &t);
	t.platform = args_value(a, "platform");
	if (r == 0 && image_pull(l->images, ref, &t, NULL, why, sizeof(why)) < 0)
		r = command_fail("%s", why);
	image_session_close(&session);
	return r;
}

/* ---- in the foreground ---- */

static int foreground(struct local_container *c, const struct local_options *o)
{
	char why[LOCAL_ERR_MAX] = "";
	struct local_ports *ports = NULL;
	int r = local_ports_open(c, &ports, why, sizeof(why));
	bool started = r == 0;
	if (r == 0)
		r = local_attach(c, o->interactive, true, why, sizeof(why));
	local_ports_close(ports);
	if (r < 0) {
		command_fail("%s", why);
		r = local_exit_status(r, why);
		local_remove(c, true, why, sizeof(why)); /* it never ran */
	} else if (started && o->remove) {
		local_remove(c, true, why, sizeof(why));
	}
	return r;
}

/* ---- in the background ---- */

static void say(int to, const char *text)
{
	(void)fs_write_all(to, text, strlen(text));
}

/* Starts it and tells `to` its id, or "error: …". Stays while there are ports to serve or something to remove. */
static int keep(struct local *l, const struct local_options *o, int to)
{
	char why[LOCAL_ERR_MAX] = "";
	struct local_container *c = NULL;
	struct local_ports *ports = NULL;
	int r = local_create(l, o, &c, why, sizeof(why));
	if (r == 0)
		r = local_ports_open(c, &ports, why, sizeof(why));
	if (r == 0)
		r = local_start(c, why, sizeof(why));
	if (r < 0) {
		_cleanup_free_ char *line = xasprintf("error: %d %s", local_exit_status(r, why), why);
		say(to, line);
	} else {
		say(to, c->record->id);
	}
	close(to);
	if (r == 0 && (o->remove || o->n_ports))
		local_wait(c);
	if (c && (r < 0 || o->remove))
		local_remove(c, true, why, sizeof(why));
	local_ports_close(ports);
	local_container_free(c);
	return 0;
}

static int listen_to(int from)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char chunk[512];
	for (ssize_t n; (n = read(from, chunk, sizeof(chunk))) > 0;)
		buf_add(&text, chunk, (size_t)n);
	const char *why = str_after(buf_str(&text), "error: ");
	if (!why && text.len) {
		puts(buf_str(&text));
		return 0;
	}
	int status = why ? atoi(why) : EXIT_OURS;
	command_fail("%s", why ? why + strcspn(why, " ") + 1 : "the container could not be started");
	return status;
}

/*
 * Somebody must stay for ports and for --rm: a process of its own, apart from this terminal. It is forked before loops
 * and threads exist.
 */
static int background(const struct args *a, const struct local_options *o)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct local l;
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0)
		return command_fail("no pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		return command_fail("no process: %s", strerror(errno));
	if (pid > 0) {
		close(p[1]);
		int status = listen_to(p[0]);
		close(p[0]);
		return status;
	}
	close(p[0]);
	setsid();
	if (local_command_open(a, &arena, &l) != 0)
		_exit(EXIT_OURS);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	keep(&l, o, p[1]);
	local_command_close(&l);
	_exit(0);
}

static int run(const struct args *a)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct local_options o = {0};
	struct local_container *c;
	struct local l;
	char why[LOCAL_ERR_MAX] = "";
	if (run_options_parse(a, &arena, &o) != 0 || local_command_open(a, &arena, &l) != 0)
		return EXIT_OURS;
	int r = pull(a, &l, o.image) == 0 ? 0 : EXIT_OURS;
	if (r != 0 || args_switch(a, "detach")) {
		local_command_close(&l);
		return r != 0 ? r : background(a, &o);
	}
	r = local_create(&l, &o, &c, why, sizeof(why));
	if (r < 0) {
		command_fail("%s", why);
		r = local_exit_status(r, why);
	} else {
		r = foreground(c, &o);
		local_container_free(c);
	}
	local_command_close(&l);
	return r;
}

static const struct flag flags[] = {
    {"detach", NULL, NULL, "Run it in the background and print its id."},
    {"interactive", NULL, NULL, "Pass this command's input on."},
    {"tty", NULL, NULL, "Give it a terminal."},
    {"rm", NULL, NULL, "Remove it when it has exited."},
    {"name", "NAME", NULL, "What to call it; made up if not given."},
    {"env", "NAME=VALUE", NULL, "A variable; without =VALUE, that of the environment. May be given again."},
    {"env-file", "FILE", NULL, "Variables, one a line. May be given again."},
    {"volume", "SOURCE:TARGET[:ro]", NULL, "A directory of the host, or a named volume, in it. May be given again."},
    {"mount", "type=TYPE,KEY=VALUE...", NULL,
     "The same in other words: type=bind|volume|tmpfs, source, target, readonly, tmpfs-size. May be given again."},
    {"tmpfs", "TARGET[:OPTIONS]", NULL, "Memory in place of a directory. May be given again."},
    {"publish", "[IP:]HOST:CONTAINER", NULL,
     "A TCP port of the host, or a range, that leads to one of its. May be given again."},
    {"add-host", "NAME:IP", NULL, "A line more in its /etc/hosts. May be given again."},
    {"network", "bridge|host|none", "bridge", "Its network."},
    {"memory", "BYTES", NULL, "The most memory it may use: 512m, 2g."},
    {"cpus", "NUMBER", NULL, "The most CPUs it may use: 0.5."},
    {"pids-limit", "NUMBER", NULL, "The most processes it may have."},
    {"shm-size", "BYTES", NULL, "The size of its /dev/shm; 64m if not given."},
    {"ulimit", "NAME=SOFT[:HARD]", NULL, "A limit of its processes: nofile=1024:4096. May be given again."},
    {"sysctl", "NAME=VALUE", NULL, "A parameter of the kernel in its namespaces. May be given again."},
    {"label", "KEY=VALUE", NULL, "For 'proa ps --filter label=KEY'. May be given again."},
    {"stop-signal", "SIGNAL", NULL, "What 'proa stop' sends; the image's if not given."},
    {"user", "USER[:GROUP]", NULL, "Who runs the command; the image's user if not given."},
    {"workdir", "DIR", NULL, "Where the command begins; the image's directory if not given."},
    {"entrypoint", "PROGRAM", NULL, "Instead of the image's entry point and command."},
    {"hostname", "NAME", NULL, "Its host name; the beginning of its id if not given."},
    {"read-only", NULL, NULL, "Its files cannot be changed."},
    {"privileged", NULL, NULL, "All capabilities and devices, nothing hidden."},
    {"cap-add", "CAPABILITY", NULL, "A capability more. May be given again."},
    {"cap-drop", "CAPABILITY", NULL, "A capability less; ALL. May be given again."},
    {"pull", "missing|always|never", "missing", "When to pull the image."},
    {"platform", "OS/ARCH", NULL, "Which image of a multi-platform one."},
    {"quiet", NULL, NULL, "No progress of pulling."},
    LOCAL_DATA_DIR_FLAG,
    IMAGE_REGISTRIES_FLAG,
    {0},
};

const struct command command_run = {
    .name = "run",
    .summary = "Run a container of an image, without a cluster",
    .about =
	"Run a container of an image, with the same runtime and images as the cluster's, but without one.\n\nThe exit "
	"status is the command's; 125, 126 and 127 say that it could not be run.",
    .example = "  proa run --rm -it busybox sh\n\n"
	       "  # In the background, with a port and a volume\n"
	       "  proa run -d --name web -p 8080:80 -v /srv/www:/usr/share/nginx/html:ro nginx",
    .operands = "IMAGE [COMMAND [ARG...]]",
    .operands_min = 1,
    .operands_max = OPERANDS_MAX,
    .flags_first = true,
    .flags = flags,
    .letters =
	"d=detach i=interactive t=tty e=env v=volume p=publish m=memory u=user w=workdir h=hostname l=label q=quiet",
    .run = run,
};
