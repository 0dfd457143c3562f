/* SPDX-License-Identifier: Apache-2.0 */
/* The compacted program decides as the original does: random programs and calls, and one made as compilers make them.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/seccomp_compact.h"

#define LOAD(what)                                                                                                     \
	{                                                                                                              \
		BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, what)                                    \
	}
#define JUMP(op, value, yes, no)                                                                                       \
	{                                                                                                              \
		BPF_JMP | (op) | BPF_K, yes, no, value                                                                 \
	}
#define RETURN(value)                                                                                                  \
	{                                                                                                              \
		BPF_RET | BPF_K, 0, 0, value                                                                           \
	}

/* As the kernel does it; -1: it runs out of the program. */
static int64_t decide(const struct sock_filter *p, size_t n, const struct seccomp_data *d)
{
	uint32_t a = 0;
	for (size_t at = 0; at < n; at++) {
		const struct sock_filter *i = &p[at];
		bool yes = BPF_OP(i->code) == BPF_JEQ ? a == i->k : BPF_OP(i->code) == BPF_JGT ? a > i->k : a >= i->k;
		if (BPF_CLASS(i->code) == BPF_RET)
			return i->k;
		if (BPF_CLASS(i->code) == BPF_LD)
			memcpy(&a, (const char *)d + i->k, sizeof(a));
		else if (BPF_CLASS(i->code) == BPF_ALU)
			a &= i->k;
		else
			at += BPF_OP(i->code) == BPF_JA ? i->k : yes ? i->jt : i->jf;
	}
	return -1;
}

static void same(const struct sock_filter *p, size_t n, const struct sock_filter *q, size_t m, uint32_t arch,
		 uint32_t nr, uint32_t arg)
{
	struct seccomp_data d = {.arch = arch, .nr = (int)nr, .args = {arg, arg / 2, 3}};
	assert_int_equal(decide(p, n, &d), decide(q, m, &d));
}

static const uint32_t archs[] = {0xc000003e, 0x40000003, 0};

static void test_a_profile(void **state)
{
	(void)state;
	enum { CALLS = 300 };
	static struct sock_filter p[8 * CALLS], q[8 * CALLS];
	size_t n = 0;
	p[n++] = (struct sock_filter)LOAD(arch);
	p[n++] = (struct sock_filter)JUMP(BPF_JEQ, archs[0], 1, 0);
	p[n++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
	for (uint32_t nr = 0; nr < CALLS; nr++) {
		if (nr % 50 == 49) /* forbidden */
			continue;
		p[n++] = (struct sock_filter)LOAD(nr);
		if (nr % 100 == 7) { /* depends */
			p[n++] = (struct sock_filter)JUMP(BPF_JEQ, nr, 0, 5);
			p[n++] = (struct sock_filter)LOAD(args[0]);
			p[n++] = (struct sock_filter){BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xf0};
			p[n++] = (struct sock_filter)JUMP(BPF_JEQ, 0x10, 0, 1);
			p[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | 38);
			p[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
			continue;
		}
		p[n++] = (struct sock_filter)JUMP(BPF_JEQ, nr, 0, 1);
		p[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	}
	p[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | 1);
	memcpy(q, p, sizeof(p));
	size_t m = seccomp_compact(q, n);
	assert_true(m < n);
	for (size_t i = 0; i < 3; i++)
		for (uint32_t nr = 0; nr < CALLS + 10; nr++)
			for (uint32_t arg = 0; arg < 0x30; arg += 8)
				same(p, n, q, m, archs[i], nr, arg);
	same(p, n, q, m, archs[0], UINT32_MAX, 0);
}

static void test_random_programs(void **state)
{
	(void)state;
	enum { MAX = 60, NRS = 20 };
	int smaller = 0;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		struct sock_filter p[MAX], q[MAX];
		size_t n = 4 + (size_t)rand() % (MAX - 4);
		for (size_t i = 0; i < n; i++) {
			static const uint16_t ops[] = {BPF_JEQ, BPF_JEQ, BPF_JGT, BPF_JGE};
			size_t left = n - i - 1;
			uint32_t nr = (uint32_t)rand() % NRS;
			if (left < 3 || rand() % 5 == 0)
				p[i] = (struct sock_filter)RETURN((uint32_t)rand() % 3);
			else if (i == 0 || rand() % 6 == 0)
				p[i] = rand() % 8   ? (struct sock_filter)LOAD(nr)
				       : rand() % 3 ? (struct sock_filter)LOAD(args[0])
						    : (struct sock_filter)LOAD(arch);
			else if (rand() % 10 == 0)
				p[i] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, (uint32_t)(rand() % (int)left)};
			else
				p[i] = (struct sock_filter)JUMP(ops[rand() % 4], nr, (uint8_t)(rand() % (int)left),
								(uint8_t)(rand() % (int)left));
			/* Most compare the architecture first. */
			if (i == 1 && rand() % 2 && left > 2)
				p[0] = (struct sock_filter)LOAD(arch),
				p[1] = (struct sock_filter)JUMP(BPF_JEQ, archs[rand() % 2], 1, 0);
		}
		memcpy(q, p, sizeof(p));
		size_t m = seccomp_compact(q, n);
		smaller += m < n;
		for (size_t i = 0; i < 3; i++)
			for (uint32_t nr = 0; nr < NRS + 1; nr++)
				same(p, n, q, m, archs[i], nr, (uint32_t)rand() % NRS);
	}
	assert_true(smaller > 1000);
}

/* What computes with a number, or begins by comparing nothing, stays as it is. */
static void test_left_alone(void **state)
{
	(void)state;
	struct sock_filter computes[] = {
	    LOAD(nr), {BPF_ALU | BPF_AND | BPF_K, 0, 0, 1}, JUMP(BPF_JEQ, 1, 0, 1), RETURN(1), RETURN(2)};
	struct sock_filter nothing[] = {JUMP(BPF_JEQ, 0, 0, 1), RETURN(1), RETURN(1)};
	struct sock_filter ends[] = {LOAD(nr), JUMP(BPF_JEQ, 1, 0, 200), RETURN(1)};
	assert_int_equal(seccomp_compact(computes, 5), 5);
	assert_int_equal(seccomp_compact(nothing, 3), 3);
	assert_int_equal(seccomp_compact(ends, 3), 3);
	assert_int_equal(seccomp_compact(nothing, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_profile),
	    cmocka_unit_test(test_random_programs),
	    cmocka_unit_test(test_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
