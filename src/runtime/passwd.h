/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user of a container, from the image's form ("uid", "name", "uid:gid", "name:group") and the rootfs's own
 * /etc/passwd and /etc/group, which are hostile: read by descriptor inside the root, bounded, parsed strictly.
 * Sources: passwd(5), group(5), the OCI image specification on `User`.
 */
#ifndef PROA_RUNTIME_PASSWD_H
#define PROA_RUNTIME_PASSWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PASSWD_FILE_MAX (1u << 20) /* 20,000 users; no image has more than some hundreds */
#define PASSWD_GROUPS_MAX 1024	   /* groups of one user; the kernel's own limit is 65536 */
#define PASSWD_ID_MAX 4294967294ll /* (uid_t)-1 means "unchanged" */

struct user {
	uid_t uid;
	gid_t gid;
	char home[256]; /* "" when unknown */
	gid_t groups[PASSWD_GROUPS_MAX];
	size_t n_groups; /* those of /etc/group that name the user */
};

/*
 * spec "" is root. 0; -ENOENT: no such user or group (*ret_what names it); -EINVAL: not a valid form. Pure: passwd and
 * group are the files' text ("" when missing). A numeric uid need not be in passwd; its gid is then 0.
 */
int user_resolve(const char *spec, const char *passwd, const char *group, struct user *ret, const char **ret_what);
/* The user line of a numeric uid: home, gid and groups; false when there is none. */
bool user_by_uid(uid_t uid, const char *passwd, const char *group, struct user *ret);

#endif
