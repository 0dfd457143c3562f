/* SPDX-License-Identifier: Apache-2.0 */
/* Between run.c, which knows RUN, and runner.c, which knows the runtime. */
#ifndef PROA_BUILD_RUN_INTERNAL_H
#define PROA_BUILD_RUN_INTERNAL_H

#include "build/build_internal.h"

#define RUN_MOUNTS_MAX 32
#define RUN_FIELDS_MAX 16
#define RUN_SCRIPT_PATH "/dev/run-script" /* where a here-document with a #! is */

struct run_mount {
	struct build_pair fields[RUN_FIELDS_MAX];
	size_t n;
	const char *type, *target;
	const char *source; /* a path of the host; NULL: tmpfs */
	const char *tmpfs;  /* its options */
	const char *view, *digest;
	const char *over; /* an overlay that takes what is written: rw */
	int fd, lock;
	bool readonly, secret, skip;
};

struct run {
	const char *const *args, *const *env, *const *lower;
	const char *shown, *user, *cwd, *upper, *workdir;
	const char *script; /* to be at RUN_SCRIPT_PATH; NULL: none */
	bool no_network;
	struct run_mount mounts[RUN_MOUNTS_MAX];
	size_t n_mounts;
};

/* 0 with the exit code of the program; negative errno when it could not be run. Its output goes to the build's. */
int runner_run(struct build *b, const struct run *run, int *ret_code, char *err, size_t err_len);
/* Of what a bind mount shows: 65 bytes. */
int mount_digest(struct build *b, const struct run_mount *m, const char *source, char ret[65], char *err,
		 size_t err_len);

#endif
