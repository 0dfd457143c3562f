/* SPDX-License-Identifier: Apache-2.0 */
/* Where exported files go: into a tar or a directory, behind one interface. */
#ifndef PROA_IMAGE_EXPORT_OUT_H
#define PROA_IMAGE_EXPORT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

struct export_out {
	int fd; /* of the tar, or of the directory */
	bool tar;
	struct map written; /* names: what images share is written once */
};

/* Both return 0 or negative errno. A name that was written before is skipped. */
int export_put(struct export_out *o, const char *name, const void *p, size_t len);
int export_put_fd(struct export_out *o, const char *name, int fd, uint64_t size);
int export_end(struct export_out *o); /* the tar's end */
static inline bool export_has(const struct export_out *o, const char *name)
{
	return map_has(&o->written, name);
}

#endif
