/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp program made small. Loading one costs what it is long: the kernel translates it, and follows it once for
 * every call number. Compilers of profiles write a comparison for each call and architecture; yet most neighbours share
 * their fate. Here the program is followed for every range of numbers between two that it compares with, equal
 * neighbours are joined, and a search over what is left is written. Where an argument decides, the original's own
 * instructions go on. The decisions are the same for all architectures, numbers and arguments.
 */
#ifndef PROA_RUNTIME_SECCOMP_COMPACT_H
#define PROA_RUNTIME_SECCOMP_COMPACT_H

#include <linux/filter.h>
#include <stddef.h>

/* In place; returns the new length. A program that computes with what it compares, or gains nothing, stays as it is. */
size_t seccomp_compact(struct sock_filter *p, size_t n);

#endif
