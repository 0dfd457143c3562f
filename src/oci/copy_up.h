/* SPDX-License-Identifier: Apache-2.0 */
/* tmpcopyup: what a directory of the rootfs holds, copied into the tmpfs that covers it. No symlink is followed. */
#ifndef PROA_OCI_COPY_UP_H
#define PROA_OCI_COPY_UP_H

int copy_up(int from, int to); /* O_PATH or directory descriptors. 0 or negative errno */

#endif
