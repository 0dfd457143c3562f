/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one dynamic array. `struct { T *at; size_t n, cap; } v = { 0 };` declared by VEC(T);
 * grown by VEC_PUSH, freed by VEC_RELEASE. Elements are moved by realloc: keep no pointers into it across pushes.
 */
#ifndef PROA_BASE_VEC_H
#define PROA_BASE_VEC_H

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define VEC(T)                                                                                                         \
	struct {                                                                                                       \
		T *at;                                                                                                 \
		size_t n, cap;                                                                                         \
	}
#define VEC_PUSH(v, x)                                                                                                 \
	do {                                                                                                           \
		if ((v)->n == (v)->cap) {                                                                              \
			(v)->cap = (v)->cap ? (v)->cap * 2 : 8;                                                        \
			(v)->at = xrealloc((v)->at, (v)->cap * sizeof(*(v)->at));                                      \
		}                                                                                                      \
		(v)->at[(v)->n++] = (x);                                                                               \
	} while (0)
#define VEC_LAST(v) ((v)->at[(v)->n - 1])
#define VEC_POP(v) ((v)->at[--(v)->n])
/* Removes element i, keeping the order. */
#define VEC_REMOVE(v, i)                                                                                               \
	do {                                                                                                           \
		memmove(&(v)->at[i], &(v)->at[(i) + 1], ((v)->n - (size_t)(i)-1) * sizeof(*(v)->at));                  \
		(v)->n--;                                                                                              \
	} while (0)
#define VEC_RELEASE(v)                                                                                                 \
	do {                                                                                                           \
		free((v)->at);                                                                                         \
		(v)->at = NULL;                                                                                        \
		(v)->n = (v)->cap = 0;                                                                                 \
	} while (0)
#define VEC_EACH(p, v) for (__typeof__((v)->at) p = (v)->at; p && p < (v)->at + (v)->n; p++)

#endif
