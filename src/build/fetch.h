/* SPDX-License-Identifier: Apache-2.0 */
/* Files that ADD names by URL. */
#ifndef PROA_BUILD_FETCH_H
#define PROA_BUILD_FETCH_H

#include <stddef.h>

struct buf;
struct image_transfer;

#define FETCH_BYTES_MAX (1u << 30) /* kept in memory until it is written */

/* GET, redirects followed. 0; negative errno with a reason, also for codes other than 2xx. */
int fetch_url(const struct image_transfer *t, const char *url, struct buf *out, char *err, size_t err_len);

#endif
