/* SPDX-License-Identifier: Apache-2.0 */
/* What --chmod says: "755", or symbols as chmod(1) has them, "u=rwX,go=rX" (Dockerfile 1.14). */
#ifndef PROA_BUILD_MODE_H
#define PROA_BUILD_MODE_H

#include <stdbool.h>
#include <sys/stat.h>

/* The mode of a file, or directory, that had `mode`. -EINVAL: text is neither. Pure. */
int mode_apply(const char *text, mode_t mode, bool dir, mode_t *ret);

#endif
