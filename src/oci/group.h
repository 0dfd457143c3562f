/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control group of one container and who manages it: we ourselves on the cgroup file system (cgroupfs), systemd
 * over its bus, or nobody (disabled: the container stays where its maker is).
 */
#ifndef PROA_OCI_GROUP_H
#define PROA_OCI_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/cgroup.h"

struct arena;
struct json;

enum group_manager { GROUP_CGROUPFS, GROUP_SYSTEMD, GROUP_DISABLED };

struct cgroup {
	enum group_manager manager;
	struct cgroup_layout layout;
	bool detected;				   /* layout is filled in */
	char path[CGROUP_PATH_MAX];		   /* relative to each hierarchy */
	char unit[256];				   /* systemd: the scope */
	char slice[256];			   /* systemd: where it is to be made */
	bool placed;				   /* systemd: it has been, and whoever comes joins by themselves */
	const char *below[CGROUP_HIERARCHIES_MAX]; /* exec: a group below path to join instead; NULL: path itself */
	size_t made_from; /* path[0..made_from) existed before; the rest is ours. On failure all of it goes */
};

/* Where the container's group is to be: linux.cgroupsPath, else /ID. Needs options. */
int group_plan(struct cgroup *g, const struct json *config, const char *id);
/*
 * Makes it, with the limits of linux.resources. Without the permission to, and when the configuration demands no limit,
 * a rootless container does without.
 */
int group_create(struct cgroup *g, const struct json *config, const char *id);
/* systemd moves pid in itself; else the processes join on their own (group_join), except for a foreign user namespace.
 */
int group_adopt(struct cgroup *g, const struct json *config, const char *id, pid_t pid);
/* After an update of them: for who would else write the old ones again. */
int group_tell_limits(const struct cgroup *g, const struct json *resources);
/* exec --cgroup: "PATH" for the hierarchies that have it, or "CONTROLLER[,CONTROLLER…]:PATH". The layout is filled in.
 */
int group_choose_below(struct cgroup *g, struct arena *a, const char *const *words, size_t n);
/* The calling process. v2_done: cloned into it. */
int group_join(const struct cgroup *g, bool v2_done);
/* For CLONE_INTO_CGROUP, or -1 when there is nothing to clone into. */
int group_clone_target(const struct cgroup *g);
/* Kills what is in it, waits, removes. Parents that we made: only with parents_too. */
int group_destroy(struct cgroup *g, bool parents_too);

bool group_usable(const struct cgroup *g); /* there is one */
int group_pids(const struct cgroup *g, pid_t **ret, size_t *ret_n);
int group_kill(const struct cgroup *g, int signal); /* every process in it */
int group_freeze(const struct cgroup *g, bool frozen);
bool group_frozen(const struct cgroup *g);
void group_let_end(const struct cgroup *g); /* after SIGKILL: see cgroup_let_end */
void group_thaw_process(pid_t pid);	    /* v1: wherever somebody moved it; SIGKILL would wait for that */

struct json *group_to_json(struct arena *a, const struct cgroup *g);
int group_from_json(const struct json *o, struct cgroup *ret);
int group_detect(struct cgroup *g); /* fills in layout, once */

#endif
