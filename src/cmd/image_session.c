/* SPDX-License-Identifier: Apache-2.0 */
/* How the commands reach registries: the registries file, and the credentials of whoever runs them. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/image_internal.h"
#include "image/keyring.h"
#include "image/pull.h"
#include "image/registries.h"
#include "node/image_pulls.h"

#define CONFIG_BYTES_MAX (1u << 20)
#define HELPER_BYTES_MAX (64u << 10) /* of a helper's answer: a token has a few kB */

extern char **environ;

/* ---- docker's credential helpers: a program that is asked on its standard input ---- */

static int spawn_helper(const char *program, int in, int out, pid_t *ret)
{
	char *argv[] = {(char *)(uintptr_t)program, "get", NULL};
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	int r = posix_spawnp(ret, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int run_helper(const char *name, const char *server, struct buf *out)
{
	_cleanup_free_ char *program = xasprintf("docker-credential-%s", name);
	_cleanup_close_ int from = -1, to = -1, in = -1, back = -1;
	int a[2], b[2], status;
	pid_t pid;

	if (!*name || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(name))
		return -EINVAL;
	if (pipe2(a, O_CLOEXEC) < 0)
		return -errno;
	in = a[0], to = a[1];
	if (pipe2(b, O_CLOEXEC) < 0)
		return -errno;
	from = b[0], back = b[1];
	int r = spawn_helper(program, in, back, &pid);
	if (r < 0)
		return r;
	close(TAKE_FD(in));
	close(TAKE_FD(back));
	fs_write_all(to, server, strlen(server));
	close(TAKE_FD(to));
	buf_init(out, HELPER_BYTES_MAX);
	for (ssize_t n = 1; n > 0 && !buf_failed(out);) {
		char chunk[4096];
		n = read(from, chunk, sizeof(chunk));
		if (n > 0)
			buf_add(out, chunk, (size_t)n);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 && !buf_failed(out) ? 0 : -ENOKEY; /* it knows none */
}

static void add_from_helper(struct keyring *k, const char *helper, const char *server, const char *key)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json_error je;
	struct json *v;
	int r = run_helper(helper, server, &b);

	if (r < 0 && r != -ENOKEY)
		fprintf(stderr, "warning: docker-credential-%s: %s\n", helper, strerror(-r));
	if (r < 0 || json_parse(&a, buf_str(&b), b.len, &v, &je) < 0)
		return;
	char *user = (char *)(uintptr_t)json_str(json_get(v, "Username"));
	char *secret = (char *)(uintptr_t)json_str(json_get(v, "Secret"));
	bool token = str_eq(user, "<token>");
	if (user && secret)
		keyring_add(k, key,
			    &(struct credential){.username = token ? NULL : user,
						 .password = token ? NULL : secret,
						 .identity_token = token ? secret : NULL});
}

/* ---- docker's config.json, podman's auth.json ---- */

static void add_config(struct keyring *k, const char *path, const char *registry)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct json_error je;
	struct json *v;

	if (fs_read(path, CONFIG_BYTES_MAX, &b) < 0)
		return;
	if (json_parse(&a, buf_str(&b), b.len, &v, &je) < 0) {
		fprintf(stderr, "warning: %s is not JSON: %s\n", path, je.message);
		return;
	}
	bool hub = str_eq(registry, "docker.io");
	const char *server = hub ? "https://index.docker.io/v1/" : registry;
	const char *helper = json_str(json_get(json_get(v, "credHelpers"), registry));
	if (!helper && hub)
		helper = json_str(json_get(json_get(v, "credHelpers"), server));
	if (!helper)
		helper = json_str(json_get(v, "credsStore"));
	if (helper)
		add_from_helper(k, helper, server, registry);
	keyring_add_docker(k, v, false);
}

void image_docker_credentials(struct keyring *k, const char *ref)
{
	_cleanup_buf_ struct buf name = BUF_INIT;
	const char *config = getenv("DOCKER_CONFIG"), *home = getenv("HOME"), *podman = getenv("REGISTRY_AUTH_FILE");

	if (image_ref_normalize(ref, &name) < 0 || !strchr(buf_str(&name), '/'))
		return;
	*strchr(name.data, '/') = 0;
	if (podman)
		add_config(k, podman, buf_str(&name));
	_cleanup_free_ char *path = config ? xasprintf("%s/config.json", config)
				    : home ? xasprintf("%s/.docker/config.json", home)
					   : NULL;
	if (path)
		add_config(k, path, buf_str(&name));
}

/* ---- the session ---- */

int image_session_open(const struct args *a, const char *ref, bool quiet, struct image_session *s,
		       struct image_transfer *ret)
{
	char why[IMAGE_WHY_MAX];

	*s = (struct image_session){0};
	if (registries_file_read(args_value(a, "registries"), args_given(a, "registries"), &s->registries, why,
				 sizeof(why)) < 0)
		return command_fail("%s", why);
	s->keyring = keyring_new();
	image_docker_credentials(s->keyring, ref);
	*ret = (struct image_transfer){.registries = s->registries, .keyring = s->keyring};
	if (!quiet) {
		s->progress = image_progress_new();
		image_progress_hook(s->progress, ret);
	}
	return 0;
}

void image_session_close(struct image_session *s)
{
	image_progress_free(TAKE_PTR(s->progress));
	keyring_free(TAKE_PTR(s->keyring));
	registries_free(TAKE_PTR(s->registries));
}
