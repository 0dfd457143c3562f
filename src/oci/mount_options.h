/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of one entry of `mounts`, sorted into what the new mount calls take: attributes (of this mount, or with
 * an "r" in front of it and all below), propagation, flags and parameters of the file system. A word that is none of
 * the known ones is a parameter of the file system, which judges it.
 */
#ifndef PROA_OCI_MOUNT_OPTIONS_H
#define PROA_OCI_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct json;

struct mount_plan {
	const char *type, *source, *target;
	const char *data; /* parameters, "size=64k,mode=755"; "" */
	bool bind, recursive, copy_up, no_symlinks;
	uint64_t set, clear; /* MOUNT_ATTR_* */
	uint64_t rec_set, rec_clear;
	uint64_t propagation, rec_propagation; /* MS_*; 0: as the root's */
	int idmap;			       /* 0, 1, 2: recursively */
	const struct json *uid_maps, *gid_maps;
	const char *inside; /* of a bind: its source's path in the container's root; NULL: it is outside */
	int ids;	    /* a user namespace whose maps it gets; -1 */
	int tree;	    /* a detached mount prepared already; -1 */
	bool in_turn;	    /* its propagation is set when it is attached */
};

int mount_options_read(struct arena *a, const struct json *mount, struct mount_plan *ret);
/* MS_* of "private", "rslave"…; 0: not one. */
uint64_t mount_propagation(const char *word, bool *ret_recursive);
/* Every word that is known, for `features`. */
const char *mount_option_name(int i); /* NULL at the end */

#endif
