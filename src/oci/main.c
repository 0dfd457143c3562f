/* SPDX-License-Identifier: Apache-2.0 */
/* The program: global flags, the table of commands, the protection of its own executable. */
#include "oci/main.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/config.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/self.h"

static const struct command *const commands[] = {
    &command_create, &command_run,    &command_start,	 &command_state,      &command_kill,	&command_delete,
    &command_exec,   &command_list,   &command_ps,	 &command_pause,      &command_resume,	&command_update,
    &command_spec,   &command_events, &command_features, &command_checkpoint, &command_restore,
};

static struct {
	const char *root, *log, *log_format, *rootless, *manager;
	bool debug, systemd, help, version;
} given;

static const struct flag flags[] = {
    {"root", 0, FLAG_STRING, &given.root, "where containers are remembered (/run/proa-oci, $XDG_RUNTIME_DIR/proa-oci)"},
    {"log", 0, FLAG_STRING, &given.log, "file that errors and warnings are appended to"},
    {"log-format", 0, FLAG_STRING, &given.log_format, "text or json"},
    {"debug", 0, FLAG_BOOL, &given.debug, "say more in the log"},
    {"systemd-cgroup", 0, FLAG_BOOL, &given.systemd, "cgroups made by systemd: cgroupsPath is slice:prefix:name"},
    {"cgroup-manager", 0, FLAG_STRING, &given.manager, "cgroupfs, systemd or disabled"},
    {"rootless", 0, FLAG_STRING, &given.rootless, "true, false or auto: whether privileges are missing"},
    {"help", 'h', FLAG_BOOL, &given.help, "this text"},
    {"version", 'v', FLAG_BOOL, &given.version, "version and specification"},
    {0}};

static int print_version(void)
{
	printf("proa-oci version %s\nspec: %s\n+SYSTEMD +SECCOMP +CAP +CGROUP_V1 +CGROUP_V2 +IDMAP\n", PROA_VERSION,
	       OCI_VERSION);
	return 0;
}

static int help(void)
{
	printf("usage: proa-oci [FLAG…] COMMAND [FLAG…] [WORD…]\n\nA runtime for OCI containers (runtime-spec %s).\n\n",
	       OCI_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nFlags:\n");
	flags_help(flags);
	return 0;
}

static int help_command(const struct command *c)
{
	printf("usage: proa-oci %s [FLAG…] %s\n\n%s\n", c->name, c->words, c->summary);
	if (c->flags) {
		printf("\nFlags:\n");
		flags_help(c->flags);
	}
	return 0;
}

/* Privileged is who may do everything on this machine: root of the initial user namespace. */
static bool in_user_namespace(void)
{
	char text[64] = "";
	_cleanup_close_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	unsigned long first, host, size;
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return false;
	return sscanf(text, "%lu %lu %lu", &first, &host, &size) != 3 || first || host || size != 4294967295ul;
}

static int set_options(void)
{
	const char *run = getenv("XDG_RUNTIME_DIR"), *way = str_or(given.rootless, "auto");
	options.groups_may_be_denied = geteuid() || in_user_namespace();
	if (!strcmp(way, "auto"))
		options.rootless = options.groups_may_be_denied;
	else if (!strcmp(way, "true") || !strcmp(way, "false"))
		options.rootless = !strcmp(way, "true");
	else
		return oci_fail(0, "--rootless is true, false or auto, not \"%s\"", way);
	if (given.root && given.root[0] == '/')
		options.root = given.root;
	else if (given.root) {
		_cleanup_free_ char *cwd = getcwd(NULL, 0);
		options.root = xasprintf("%s/%s", str_or(cwd, ""), given.root);
	} else if (options.rootless && !str_empty(run))
		options.root = xasprintf("%s/proa-oci", run);
	else
		options.root = geteuid() ? xasprintf("/tmp/proa-oci-%u", geteuid()) : "/run/proa-oci";
	options.systemd_cgroup = given.systemd;
	options.cgroup_manager = given.manager;
	bool json = given.log_format && !strcmp(given.log_format, "json");
	if (given.log_format && !json && strcmp(given.log_format, "text"))
		return oci_fail(0, "--log-format is text or json, not \"%s\"", given.log_format);
	return oci_log_open(given.log, json, given.debug);
}

static int run_command(int argc, char **argv)
{
	static bool wants_help;
	static struct flag all[40];
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = commands[i];
		if (strcmp(argv[0], c->name))
			continue;
		size_t n = 0;
		for (const struct flag *f = c->flags; f && f->name; f++)
			all[n++] = *f;
		all[n] = (struct flag){"help", 'h', FLAG_BOOL, &wants_help, "this text"};
		int words = c->min < 0 ? argc - 1 : 0;
		int r = c->min < 0 ? 0 : flags_parse(all, c->in_order, argv + 1, argc - 1, &words);
		if (r < 0)
			return r;
		if (wants_help)
			return help_command(c);
		if (words < c->min || (c->max >= 0 && words > c->max))
			return oci_fail(0, "%s wants: %s", c->name, *c->words ? c->words : "no words");
		r = set_options();
		return r < 0 ? r : c->run(words, argv + 1);
	}
	return oci_fail(0, "unknown command \"%s\"", argv[0]);
}

static bool enters(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i]->name))
			return commands[i]->enters;
	return false;
}

int oci_main(int argc, char **argv)
{
	int words = 0, r = 0;
	/* Descriptors 0, 1 and 2 are taken, so that nothing of ours becomes a standard stream. */
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", O_RDWR);
	char **copy = xmemdup(argv, ((size_t)argc + 1) * sizeof(*argv));
	r = flags_parse(flags, true, argv + 1, argc - 1, &words);
	argv[1 + words] = NULL;
	if (r == 0 && given.version)
		return print_version();
	if (r == 0 && (given.help || !words))
		return help();
	if (r == 0 && enters(argv[1]))
		r = self_protect(copy);
	if (r == 0)
		r = run_command(words, argv + 1);
	if (r < 0)
		oci_report();
	fflush(stdout);
	/* As runc does: what failed before the command ran is not to be taken for the command's own status. */
	return r >= 0 ? r : words && !strcmp(argv[1], "exec") ? 255 : 1;
}
