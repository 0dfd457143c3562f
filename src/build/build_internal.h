/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a build share. */
#ifndef PROA_BUILD_INTERNAL_H
#define PROA_BUILD_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"
#include "build/build.h"
#include "build/dockerfile.h"
#include "build/expand.h"
#include "build/pattern.h"
#include "image/manifest.h"
#include "image/platform.h"

#define BUILD_ERR_MAX 1024
#define BUILD_KEY_MAX 80 /* hex of SHA-256, or what a stage from scratch begins with */

struct json;
struct runner;

struct stage {
	const char *name;   /* AS name, or "" */
	size_t first, last; /* instructions after FROM: first to before last */
	const struct dockerfile_instruction *from;
	const char *base; /* expanded: "scratch", an earlier stage, or an image */
	const char *platform;
	struct stage *base_stage;
	bool needed, done;
	struct json *config;	   /* the whole configuration of the image so far */
	struct descriptor *layers; /* lowest first */
	size_t n_layers;
	const char *const *dirs; /* the layers' directories, uppermost first, as overlayfs wants them; never empty */
	char key[BUILD_KEY_MAX];
	VEC(struct build_pair) args; /* declared, with their values; value NULL: none */
	const char *const *shell;    /* NULL-terminated */
	bool cmd_given;		     /* by this stage: ENTRYPOINT does not take it away */
};

struct build {
	const struct build_options *o;
	struct arena arena;
	struct dockerfile file;
	VEC(struct build_pair) globals; /* ARGs before the first FROM */
	VEC(struct stage *) stages;
	struct platform platform;
	int context;	/* descriptor */
	bool importing; /* the collector lets be what the build looks at */
	struct patterns ignore;
	char *work; /* of this build alone; removed at its end */
	int work_lock;
	unsigned n_steps; /* numbers work directories */
	struct runner *runner;
	int64_t now_ns;
	char *err;
	size_t err_len;
};

/* Sets the build's error, with the instruction's line (NULL: none), and returns r. */
int build_fail(struct build *b, const struct dockerfile_instruction *i, int r, const char *fmt, ...) PRINTF_LIKE(4, 5);
void build_tell(struct build *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- stage.c ---- */
const char *stage_env_get(void *arg, const char *name); /* of struct stage_scope: for expand.h */
struct stage_scope {
	struct build *build;
	struct stage *stage;
};
struct expand_env stage_expander(struct stage_scope *scope);
struct json *stage_config(struct build *b, struct stage *s); /* its "config" */
const char *stage_config_str(const struct stage *s, const char *field);
void stage_env_set(struct build *b, struct stage *s, const char *name, const char *value);
/* From a base image: a fresh stage's configuration and layers. */
int stage_from_image(struct build *b, struct stage *s, const char *id);
void stage_from_scratch(struct build *b, struct stage *s);
void stage_from_stage(struct build *b, struct stage *s, const struct stage *base);
void stage_history(struct build *b, struct stage *s, const char *text, bool empty);
/* Writes configuration and manifest and records them, under names or none. *ret_id in the build's arena. */
int stage_record(struct build *b, struct stage *s, const char *const *names, const char **ret_id);
struct stage *stage_find(struct build *b, const char *name, size_t before); /* by name or number; NULL */

/* ---- step.c: what touches files ---- */
struct step {
	const struct dockerfile_instruction *ins;
	const char *text; /* for the history */
	char key[BUILD_KEY_MAX];
	/* root: of the image, writable. 0 or negative errno with the build's error set. */
	int (*work)(struct build *b, struct stage *s, struct step *step, int root);
	/* Instead: the step makes its own use of the overlay's directories (RUN). */
	int (*run)(struct build *b, struct stage *s, struct step *step, const char *upper, const char *workdir);
	void *arg;
};
/* From the cache, or by doing it. */
int step_do(struct build *b, struct stage *s, struct step *step);
/* key = SHA-256 of the stage's key and the parts; NULL-terminated list. */
void step_key(const struct stage *s, char ret[BUILD_KEY_MAX], const char *const *parts, size_t n);
/* A read-only view of layers in a directory of the build; detached by view_close. A descriptor of it, or negative
 * errno. */
int view_open(struct build *b, const char *const *dirs, const char **ret_path);
void view_close(struct build *b, int fd, const char *path);
/* A directory as it is, and what is written to it thrown away by view_close_writable (NULL-safe). */
int view_open_writable(struct build *b, const char *dir, const char **ret_path);
void view_close_writable(struct build *b, const char *path);
/* The files that --from names: of a stage (built by now), an image, or the context ("" or NULL). */
int build_source_open(struct build *b, const struct dockerfile_instruction *i, const char *from, int *ret_fd,
		      const char **ret_view, bool *ret_context);
void build_source_close(struct build *b, int fd, const char *view);
const char *step_dir(struct build *b, const char *name); /* a new directory below work */

/* ---- instructions.c, copy.c, run.c ---- */
int instruction_do(struct build *b, struct stage *s, const struct dockerfile_instruction *i);
int copy_do(struct build *b, struct stage *s, const struct dockerfile_instruction *i);
int run_do(struct build *b, struct stage *s, const struct dockerfile_instruction *i);
void runner_free(struct runner *r); /* NULL-safe; removes what it made */
/* Those that a needed stage mentions by --from: they are needed too. */
void copy_needs(struct build *b, const struct dockerfile_instruction *i, void (*fn)(struct build *b, const char *from));

/* ---- work.c ---- */
int work_open(struct build *b); /* sets work and its lock */
void work_close(struct build *b);

/* ---- cache.c ---- */
/* The image that a step led to, malloc'd; NULL: not known, or gone. */
char *cache_get(struct build *b, const char *key);
void cache_put(struct build *b, const char *key, const char *image_id);

#endif
