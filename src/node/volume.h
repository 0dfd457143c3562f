/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes of a pod: one const ops table for each kind, one file each. A kind says which API objects and tokens it needs
 * (needs), makes its directory from them (prepare, also called again after a change: update), and takes it away.
 *
 * Calls are made in the loop's thread and touch only small files and mounts. All strings of a volume_input live
 * as long as the call.
 */
#ifndef PROA_NODE_VOLUME_H
#define PROA_NODE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "node/downward.h"

struct arena;
struct json;
struct object;
struct payload;
struct status;

struct volume {
	char *name;
	char *path; /* what is mounted into containers; for a hostPath the host's path */
	const struct volume_ops *ops;
	bool ready;
	bool readonly; /* mounted read-only whatever the container says (configMap, secret, …) */
};

/* Where a volume's data comes from. */
struct volume_input {
	struct arena *arena;
	struct downward downward; /* with the pod's tree */
	int64_t fs_group;	  /* -1: none */
	/* "configmaps" or "secrets" in the pod's namespace, as it is now; NULL: there is none. */
	const struct object *(*object)(void *arg, const char *plural, const char *name);
	/* The token of that audience ("" for the API server's own) and lifetime; NULL: not there. */
	const char *(*token)(void *arg, const char *audience, int64_t expiration_s);
	void *arg;
};

/* What must be known before prepare. */
struct volume_needs {
	void (*object)(void *arg, const char *plural, const char *name);
	void (*token)(void *arg, const char *audience, int64_t expiration_s);
	void *arg;
};

struct volume_ops {
	const char *source; /* the member of a Volume that chooses this kind */
	void (*needs)(const struct json *source, const struct volume_needs *n); /* NULL: nothing */
	/* 0, or -errno with err set: 404 when a referenced object or key is not there (yet). Idempotent. */
	int (*prepare)(struct volume *v, const struct json *source, const struct volume_input *in, struct status *err);
	/* Brings the content up to date while containers run; NULL: it never changes. */
	int (*update)(struct volume *v, const struct json *source, const struct volume_input *in, struct status *err);
	void (*teardown)(struct volume *v); /* also of a volume that was never prepared */
};

extern const struct volume_ops volume_empty_dir, volume_host_path, volume_config_map, volume_secret, volume_downward,
    volume_projected;

/* The kind of a Volume, and its source; NULL: one that this node doesn't have. */
const struct volume_ops *volume_kind(const struct json *volume, const struct json **ret_source);
void volume_release(struct volume *v);

#define TOKEN_EXPIRATION_S_DEFAULT 3600 /* the API's default */

/* ---- shared by the kinds that are made of small files ---- */
#define VOLUME_MODE_DEFAULT 0644
mode_t volume_mode(const struct json *source, const char *key, mode_t fallback);
/* A directory on memory for what must not reach the disk: tmpfs, mode 0755, mounted once. */
int volume_tmpfs(const char *path, int64_t size, mode_t mode, struct status *err);
bool volume_is_mounted(const char *path);
void volume_remove_dir(struct volume *v);
/* Unmounts everything mounted at or below a path: what an agent that was killed left behind. */
void volumes_unmount_below(const char *path);
/* Each adds its files; source as in the ConfigMap/Secret/DownwardAPI volume or projection; name_key "name" or
 * "secretName". */
int config_map_payload(const struct json *source, mode_t mode, const struct volume_input *in, struct payload *p,
		       struct status *err);
int secret_payload(const struct json *source, const char *name_key, mode_t mode, const struct volume_input *in,
		   struct payload *p, struct status *err);
int downward_payload(const struct json *source, mode_t mode, const struct volume_input *in, struct payload *p,
		     struct status *err);
/* Writes them into v->path, with the pod's fsGroup. */
int volume_write(struct volume *v, struct payload *p, const struct volume_input *in, struct status *err);
/* Which member of data becomes which file: items, or all of them. decode: values are base64. */
int keys_payload(const struct json *source, const struct json *data, bool decode, mode_t mode, const char *what,
		 const struct volume_input *in, struct payload *p, struct status *err);
/* setgid directory of that group, as fsGroup asks. */
int volume_set_group(const char *path, int64_t gid, struct status *err);

#endif
