/* SPDX-License-Identifier: Apache-2.0 */
/* Small language helpers that every room uses: scope-bound cleanup, ownership transfer, array sizes. */
#ifndef PROA_BASE_MACROS_H
#define PROA_BASE_MACROS_H

#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

/* The structure that embeds `member` at `ptr`. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_USE __attribute__((warn_unused_result))

/* `_cleanup_(f) T x` calls f(&x) when x leaves its scope. TAKE_PTR(x) hands x over and leaves NULL. */
#define _cleanup_(f) __attribute__((cleanup(f)))
#define TAKE_PTR(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) taken_ = (p);                                                                            \
		(p) = NULL;                                                                                            \
		taken_;                                                                                                \
	})
#define TAKE_FD(fd)                                                                                                    \
	({                                                                                                             \
		int taken_ = (fd);                                                                                     \
		(fd) = -1;                                                                                             \
		taken_;                                                                                                \
	})

void cleanup_free(void *p);  /* p: address of a malloc'd pointer */
void cleanup_close(int *fd); /* closes *fd if >= 0 */

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)

#endif
