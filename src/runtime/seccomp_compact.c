/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp_compact.h"

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ARCHS_MAX 8	  /* a kernel knows three at once */
#define RANGES_MAX 4096	  /* two for each comparison that a program has room for, far more than are different */
#define LEFT_NEAR_MAX 127 /* ranges whose search, two instructions each, a conditional jump can pass over */
#define PROGRAM_MAX 4096  /* BPF_MAXINSNS */
#define LOAD (BPF_LD | BPF_W | BPF_ABS)

/* What the accumulator holds, as bits: several are possible where paths meet. */
enum { NOTHING = 1, ARCH = 2, NR = 4 };

/* How a range of numbers ends: a return, or at an instruction that looks at something else than the number. */
struct fate {
	bool returns;
	uint32_t value; /* of the return, or which instruction */
};

struct compact {
	const struct sock_filter *p;
	size_t n;
	uint32_t archs[ARCHS_MAX];
	size_t n_archs;
	uint32_t starts[RANGES_MAX]; /* of ranges */
	size_t n_starts;
	/* of one architecture */
	uint32_t from[RANGES_MAX];
	struct fate fate[RANGES_MAX];
	size_t n_ranges;
	/* what is written */
	struct sock_filter out[PROGRAM_MAX];
	size_t len;
	uint32_t resumes[PROGRAM_MAX]; /* out[i] jumps to the original's instruction resumes[i] - 1; 0: it doesn't */
	bool full;
};

static bool is_jump(const struct sock_filter *i)
{
	return i->code == (BPF_JMP | BPF_JEQ | BPF_K) || i->code == (BPF_JMP | BPF_JGT | BPF_K) ||
	       i->code == (BPF_JMP | BPF_JGE | BPF_K);
}

static bool add_arch(struct compact *c, uint32_t arch)
{
	for (size_t i = 0; i < c->n_archs; i++)
		if (c->archs[i] == arch)
			return true;
	if (c->n_archs == ARCHS_MAX)
		return false;
	c->archs[c->n_archs++] = arch;
	return true;
}

static bool add_start(struct compact *c, uint64_t nr)
{
	if (nr > UINT32_MAX)
		return true; /* after the last number there is none */
	if (c->n_starts == RANGES_MAX)
		return false;
	c->starts[c->n_starts++] = (uint32_t)nr;
	return true;
}

static bool compare(struct compact *c, const struct sock_filter *i, unsigned holds)
{
	bool equal = i->code == (BPF_JMP | BPF_JEQ | BPF_K), above = i->code == (BPF_JMP | BPF_JGT | BPF_K);
	if (holds == ARCH)
		return equal && add_arch(c, i->k);
	return holds == NR && (above || add_start(c, i->k)) && (!(equal || above) || add_start(c, i->k + 1ull));
}

/* All that is reached before an argument is looked at. Jumps lead forward only, so that one pass is enough. */
static bool survey(struct compact *c)
{
	_cleanup_free_ uint8_t *holds = xcalloc(c->n, 1); /* 0: not reached */
	holds[0] = NOTHING;
	for (size_t at = 0; at < c->n; at++) {
		const struct sock_filter *i = &c->p[at];
		if (!holds[at] || i->code == (BPF_RET | BPF_K))
			continue;
		size_t next[2] = {at + 1, at + 1};
		unsigned then = holds[at];
		if (i->code == LOAD && i->k == offsetof(struct seccomp_data, arch))
			then = ARCH;
		else if (i->code == LOAD && i->k == offsetof(struct seccomp_data, nr))
			then = NR;
		else if (i->code == LOAD)
			continue;
		else if (i->code == (BPF_JMP | BPF_JA))
			next[0] = next[1] = at + 1 + i->k;
		else if (is_jump(i) && compare(c, i, then)) {
			next[0] += i->jt;
			next[1] += i->jf;
		} else
			return false;
		for (size_t k = 0; k < 2; k++) {
			if (next[k] >= c->n)
				return false;
			holds[next[k]] |= (uint8_t)then;
		}
	}
	return true;
}

static struct fate follow(const struct compact *c, uint32_t arch, uint32_t nr)
{
	uint32_t a = 0;
	for (size_t at = 0;; at++) {
		const struct sock_filter *i = &c->p[at];
		if (i->code == (BPF_RET | BPF_K))
			return (struct fate){true, i->k};
		if (i->code == (BPF_JMP | BPF_JA))
			at += i->k;
		else if (i->code == (BPF_JMP | BPF_JEQ | BPF_K))
			at += a == i->k ? i->jt : i->jf;
		else if (i->code == (BPF_JMP | BPF_JGT | BPF_K))
			at += a > i->k ? i->jt : i->jf;
		else if (i->code == (BPF_JMP | BPF_JGE | BPF_K))
			at += a >= i->k ? i->jt : i->jf;
		else if (i->k == offsetof(struct seccomp_data, arch))
			a = arch;
		else if (i->k == offsetof(struct seccomp_data, nr))
			a = nr;
		else
			return (struct fate){false, (uint32_t)at};
	}
}

static void find_ranges(struct compact *c, uint32_t arch)
{
	c->n_ranges = 0;
	for (size_t i = 0; i < c->n_starts; i++) {
		struct fate f = follow(c, arch, c->starts[i]);
		const struct fate *before = c->n_ranges ? &c->fate[c->n_ranges - 1] : NULL;
		if (before && before->returns == f.returns && before->value == f.value)
			continue;
		c->from[c->n_ranges] = c->starts[i];
		c->fate[c->n_ranges++] = f;
	}
}

/* ---- writing ---- */

static size_t put(struct compact *c, uint16_t code, uint32_t k)
{
	if (c->len == PROGRAM_MAX) {
		c->full = true;
		return PROGRAM_MAX - 1;
	}
	c->out[c->len] = (struct sock_filter){.code = code, .k = k};
	return c->len++;
}

static void put_search(struct compact *c, size_t first, size_t end)
{
	if (end - first == 1) {
		const struct fate *f = &c->fate[first];
		size_t at = put(c, f->returns ? BPF_RET | BPF_K : BPF_JMP | BPF_JA, f->value);
		if (!f->returns)
			c->resumes[at] = f->value + 1;
		return;
	}
	size_t middle = first + (end - first) / 2;
	bool near = middle - first <= LEFT_NEAR_MAX;
	size_t at = put(c, BPF_JMP | BPF_JGE | BPF_K, c->from[middle]), far = at;
	if (!near) {
		c->out[at].jf = 1;
		far = put(c, BPF_JMP | BPF_JA, 0);
	}
	put_search(c, first, middle);
	if (near)
		c->out[at].jt = (uint8_t)(c->len - at - 1);
	else
		c->out[far].k = (uint32_t)(c->len - far - 1);
	put_search(c, middle, end);
}

static void put_arch(struct compact *c, uint32_t arch)
{
	find_ranges(c, arch);
	if (c->n_ranges > 1 || !c->fate[0].returns)
		put(c, LOAD, offsetof(struct seccomp_data, nr));
	put_search(c, 0, c->n_ranges);
}

/* Some number that is none of those known. */
static uint32_t other_arch(const struct compact *c)
{
	uint32_t arch = 0;
	for (size_t i = 0; i < c->n_archs; i++)
		if (c->archs[i] == arch) {
			arch++;
			i = (size_t)-1;
		}
	return arch;
}

/* The original's instructions from where the search leads on, in their order, so that jumps only become shorter. */
static void put_rest(struct compact *c)
{
	_cleanup_free_ uint8_t *wanted = xcalloc(c->n, 1);
	_cleanup_free_ uint32_t *place = xcalloc(c->n, sizeof(*place));
	size_t searches = c->len;
	for (size_t i = 0; i < searches; i++)
		if (c->resumes[i])
			wanted[c->resumes[i] - 1] = 1;
	for (size_t at = 0; at < c->n; at++) {
		const struct sock_filter *i = &c->p[at];
		if (!wanted[at])
			continue;
		place[at] = (uint32_t)put(c, i->code, i->k);
		if (BPF_CLASS(i->code) == BPF_RET)
			continue;
		bool jump = BPF_CLASS(i->code) == BPF_JMP, always = jump && BPF_OP(i->code) == BPF_JA;
		size_t one = at + 1 +
			     (always ? i->k
			      : jump ? i->jt
				     : 0),
		       other = jump && !always ? at + 1 + i->jf : one;
		if (one >= c->n || other >= c->n) {
			c->full = true; /* no program at all */
			return;
		}
		wanted[one] = wanted[other] = 1;
	}
	for (size_t at = 0; at < c->n && !c->full; at++) {
		const struct sock_filter *i = &c->p[at];
		struct sock_filter *o = &c->out[place[at]];
		if (!wanted[at] || BPF_CLASS(i->code) != BPF_JMP)
			continue;
		if (BPF_OP(i->code) == BPF_JA) {
			o->k = place[at + 1 + i->k] - place[at] - 1;
		} else {
			o->jt = (uint8_t)(place[at + 1 + i->jt] - place[at] - 1);
			o->jf = (uint8_t)(place[at + 1 + i->jf] - place[at] - 1);
		}
	}
	for (size_t i = 0; i < searches; i++)
		if (c->resumes[i])
			c->out[i].k = place[c->resumes[i] - 1] - (uint32_t)i - 1;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void rewrite(struct compact *c)
{
	qsort(c->starts, c->n_starts, sizeof(c->starts[0]), by_number);
	put(c, LOAD, offsetof(struct seccomp_data, arch));
	for (size_t i = 0; i < c->n_archs; i++) {
		size_t at = put(c, BPF_JMP | BPF_JEQ | BPF_K, c->archs[i]), other = put(c, BPF_JMP | BPF_JA, 0);
		c->out[at].jf = 0;
		c->out[at].jt = 1;
		put_arch(c, c->archs[i]);
		c->out[other].k = (uint32_t)(c->len - other - 1);
	}
	put_arch(c, other_arch(c));
	put_rest(c);
}

size_t seccomp_compact(struct sock_filter *p, size_t n)
{
	struct compact *c = NEW(struct compact);
	c->p = p;
	c->n = n;
	if (n && n <= PROGRAM_MAX && add_start(c, 0) && survey(c)) {
		rewrite(c);
		if (!c->full && c->len < n) {
			memcpy(p, c->out, c->len * sizeof(*p));
			n = c->len;
		}
	}
	free(c);
	return n;
}
