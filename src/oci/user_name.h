/* SPDX-License-Identifier: Apache-2.0 */
/* A user's name from /etc/passwd, for people; a static program has no name service. */
#ifndef PROA_OCI_USER_NAME_H
#define PROA_OCI_USER_NAME_H

#include <sys/types.h>

struct arena;

const char *user_name(struct arena *a, uid_t uid); /* "" when unknown */

#endif
