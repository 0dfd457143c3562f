/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The syntax of Dockerfiles, as Docker's reference documents it: parser directives, comments, continued lines, flags,
 * the JSON form of commands, here-documents. Pure: text in, instructions out. Nothing is expanded here (expand.h),
 * since what variables hold depends on the instructions before.
 */
#ifndef PROA_BUILD_DOCKERFILE_H
#define PROA_BUILD_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

#define DOCKERFILE_BYTES_MAX (4u << 20)	  /* generated ones reach some 100 kB */
#define DOCKERFILE_INSTRUCTIONS_MAX 10000 /* an image has at most IMAGE_LAYERS_MAX layers, a file some stages */
#define DOCKERFILE_FLAGS_MAX 64		  /* of one instruction: --mount and --exclude repeat */
#define DOCKERFILE_HEREDOCS_MAX 64	  /* of one instruction */

enum dockerfile_op {
	DOCKER_ADD,
	DOCKER_ARG,
	DOCKER_CMD,
	DOCKER_COPY,
	DOCKER_ENTRYPOINT,
	DOCKER_ENV,
	DOCKER_EXPOSE,
	DOCKER_FROM,
	DOCKER_HEALTHCHECK,
	DOCKER_LABEL,
	DOCKER_MAINTAINER,
	DOCKER_ONBUILD,
	DOCKER_RUN,
	DOCKER_SHELL,
	DOCKER_STOPSIGNAL,
	DOCKER_USER,
	DOCKER_VOLUME,
	DOCKER_WORKDIR,
	DOCKER_OPS,
};

struct dockerfile_flag {
	const char *name;  /* without the dashes */
	const char *value; /* NULL: none was given */
};

struct dockerfile_heredoc {
	const char *name;    /* the word that ends it */
	const char *content; /* with the last newline */
	bool expand;	     /* the word was not quoted */
};

struct dockerfile_instruction {
	enum dockerfile_op op;
	int line;	  /* of its first line, from 1 */
	const char *text; /* the whole of it on one line, for people and for the history */
	const char *rest; /* what follows the flags, continued lines joined */
	struct dockerfile_flag *flags;
	size_t n_flags;
	/* The JSON form: an array of strings. NULL: it is not. */
	const char *const *words;
	size_t n_words;
	struct dockerfile_heredoc *heredocs;
	size_t n_heredocs;
};

struct dockerfile {
	struct arena arena;
	char escape; /* '\\', or '`' by the directive */
	struct dockerfile_instruction *at;
	size_t n;
};

/* 0; -EINVAL with "line N: …" in err. The result is released in either case. */
int dockerfile_parse(const char *text, size_t len, struct dockerfile *ret, char *err, size_t err_len);
void dockerfile_release(struct dockerfile *d);
/* One instruction from text, as ONBUILD keeps them. It lives in a. */
int dockerfile_parse_one(struct arena *a, char escape, const char *text, struct dockerfile_instruction *ret, char *err,
			 size_t err_len);

const char *dockerfile_op_name(enum dockerfile_op op); /* "RUN" */
/* The first flag of that name, or NULL; value "" when it has none. */
const char *dockerfile_flag(const struct dockerfile_instruction *i, const char *name);

#endif
