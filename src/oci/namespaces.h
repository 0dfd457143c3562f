/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.namespaces: which are made, which are joined and by what path, and the id maps of a new user namespace.
 *
 * A new user namespace is made together with all other new ones by one clone, so that it owns them. What is joined by
 * path belongs to somebody else's user namespace and is joined before, by a stage between the runtime and the
 * container's first process; a pid namespace concerns children only and is joined by whoever clones.
 */
#ifndef PROA_OCI_NAMESPACES_H
#define PROA_OCI_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NAMESPACE_KINDS 8

struct arena;
struct json;

struct namespaces {
	unsigned create;	  /* CLONE_NEW* */
	unsigned join;		  /* CLONE_NEW* */
	int fds[NAMESPACE_KINDS]; /* of those that are joined, in the table's order; -1 */
};
extern const struct namespace_kind {
	const char *name; /* the specification's */
	const char *file; /* in /proc/PID/ns */
	int flag;
} namespace_kinds[NAMESPACE_KINDS];

/* Opens paths; checks that each is of its type, and that what needs a namespace has one. */
int namespaces_read(const struct json *config, struct namespaces *ret);
/* For exec: every kind that config lists is in join; nothing is opened. */
int namespaces_read_kinds(const struct json *config, struct namespaces *ret);
static inline bool namespaces_has(const struct namespaces *n, unsigned flag)
{
	return (n->create | n->join) & flag;
}
/* Joins all of which (CLONE_NEW*), the user namespace first. */
int namespaces_join(const struct namespaces *n, unsigned which);
/* One of /proc/self/ns, to come back to. */
int namespace_open_own(int flag);

/* Writes the maps of pid's new user namespace; helpers newuidmap and newgidmap where we have no right to. */
int id_maps_write(pid_t pid, const struct json *linux_config);
/* What a container's id is outside; -ERANGE: not mapped. */
int id_map_to_host(const struct json *maps, uint32_t id, uint32_t *ret);
/* A user namespace with these maps, for an idmapped mount. Needs the right to. */
int id_maps_namespace(const struct json *uid_maps, const struct json *gid_maps);
/* Offsets and membership of a new time namespace, for the calling process. */
int time_namespace_enter(int offsets_file, const struct json *offsets);
/* Its file, opened while the caller's own /proc is still the caller's: an undumpable process's is root's. */
int time_namespace_open(void);

#endif
