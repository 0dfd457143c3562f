/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container as the runtime remembers it: ROOT/ID/, mode 0700, with
 *
 *	state.json    what follows from making it; written to a temporary file and renamed
 *	creating.json the same before there is a process, for as long as there is no state.json
 *	config.json   the configuration it was made from
 *	start.sock    there while the container is created and not started: its first process listens on it
 *
 * An flock on the directory serialises create, start, update and delete; the kernel drops it with its holder. A
 * directory with neither file is what a killed create left: `delete --force` clears it.
 */
#ifndef PROA_OCI_CONTAINER_H
#define PROA_OCI_CONTAINER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/arena.h"
#include "oci/group.h"

#define CONTAINER_ID_MAX 255 /* a directory's name */

struct json;
struct buf;

enum container_phase { PHASE_CREATING, PHASE_CREATED, PHASE_RUNNING, PHASE_PAUSED, PHASE_STOPPED };

struct container {
	struct arena arena;
	const char *id;
	const char *dir;    /* ROOT/ID */
	const char *bundle; /* absolute */
	const char *rootfs; /* absolute */
	const char *created;
	struct json *config;
	struct json *process; /* config's, or exec's */
	struct cgroup group;
	int dir_fd; /* holds the lock */
	pid_t pid;  /* 0: none yet */
	int64_t start_time;
	uid_t owner;
	bool creating, no_pivot;
};

/* What global flags say. */
struct runtime_options {
	const char *root;
	bool rootless;		   /* not privileged: what needs privileges and isn't demanded is left out */
	bool groups_may_be_denied; /* some user namespaces let nobody set groups */
	bool systemd_cgroup;
	const char *cgroup_manager; /* crun's flag: cgroupfs, systemd, disabled; NULL: see systemd_cgroup */
};
extern struct runtime_options options;

bool container_id_valid(const char *id);
/* Makes the directory and locks it; -EEXIST. */
int container_reserve(struct container *c, const char *id);
/* Reads what is known of it; -ENOENT: "container does not exist". lock: waits for others to finish with it. */
int container_load(struct container *c, const char *id, bool lock);
int container_load_config(struct container *c);
int container_save(struct container *c);
int container_announce(struct container *c); /* that there will be one: its group is made next */
int container_save_config(struct container *c);
/* Of a new container, which nobody reads yet: its configuration; its state as it will be, and then is. put: holds the
 * lock. */
int container_put_config(struct container *c);
int container_put(struct container *c);
int container_publish(struct container *c);
/* Removes the directory. */
int container_forget(struct container *c);
/* Others may do things with it from now on. */
void container_unlock(struct container *c);
void container_release(struct container *c);
#define _cleanup_container_ _cleanup_(container_release)
#define CONTAINER_INIT                                                                                                 \
	{                                                                                                              \
		.dir_fd = -1                                                                                           \
	}

enum container_phase container_phase_of(const struct container *c);
const char *phase_name(enum container_phase p);
bool container_alive(const struct container *c);
/* The specification's state, for hooks and `state`. phase_override NULL: as it is. */
struct json *container_state(struct arena *a, const struct container *c, const char *phase_override);
/* A pidfd of its first process, or -ESRCH when that has ended. */
int container_pidfd(const struct container *c);
/* The path of its start socket through dir_fd, for sun_path. */
void container_socket_path(const struct container *c, char out[64]);
/* Every container's id below the root, sorted. */
const char **container_list(struct arena *a, size_t *ret_n);

#endif
