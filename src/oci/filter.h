/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.seccomp as a program for the kernel. libseccomp compiles it once; the result is kept below the runtime's root,
 * found by a hash of the profile and used only when the profile stored with it is the same, byte by byte.
 *
 * Names that libseccomp is too old for are decided by number in front of its program; names that nobody knows are left
 * out, as other runtimes do, because profiles list calls of every architecture.
 */
#ifndef PROA_OCI_FILTER_H
#define PROA_OCI_FILTER_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct json;

struct filter {
	const void *insns; /* struct sock_filter */
	unsigned short n;  /* 0: no filter */
	unsigned flags;	   /* SECCOMP_FILTER_FLAG_* */
	bool notify;
};

/* seccomp NULL: none. */
int filter_prepare(struct arena *a, const struct json *seccomp, struct filter *ret);
/* For the calling process. ret_listener: with notify the descriptor that reports, else -1. */
int filter_install(const struct filter *f, int *ret_listener);
const char *filter_library(void); /* libseccomp's version */
/* What `features` reports. */
extern const char *const filter_actions[], *const filter_operators[], *const filter_archs[], *const filter_flags[];

#endif
