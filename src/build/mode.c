/* SPDX-License-Identifier: Apache-2.0 */
#include "build/mode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALL 0777

static const char *skip_who(const char *p, mode_t *ret)
{
	*ret = 0;
	for (;; p++) {
		if (*p == 'u')
			*ret |= S_IRWXU | S_ISUID;
		else if (*p == 'g')
			*ret |= S_IRWXG | S_ISGID;
		else if (*p == 'o')
			*ret |= S_IRWXO;
		else if (*p == 'a')
			*ret |= ALL | S_ISUID | S_ISGID;
		else
			break;
	}
	if (!*ret)
		*ret = ALL | S_ISUID | S_ISGID; /* nobody named: everybody, whatever the umask */
	*ret |= S_ISVTX;
	return p;
}

/* The bits of one class, for all three. */
static mode_t spread(mode_t bits)
{
	return bits << 6 | bits << 3 | bits;
}

static const char *read_bits(const char *p, mode_t mode, bool dir, mode_t *ret)
{
	*ret = 0;
	if (*p == 'u' || *p == 'g' || *p == 'o') { /* as that class has now */
		*ret = spread(mode >> (*p == 'u' ? 6 : *p == 'g' ? 3 : 0) & 7);
		return p + 1;
	}
	for (;; p++) {
		if (*p == 'r')
			*ret |= spread(4);
		else if (*p == 'w')
			*ret |= spread(2);
		else if (*p == 'x' || (*p == 'X' && (dir || mode & spread(1))))
			*ret |= spread(1);
		else if (*p == 's')
			*ret |= S_ISUID | S_ISGID;
		else if (*p == 't')
			*ret |= S_ISVTX;
		else if (*p != 'X')
			return p;
	}
}

static int apply_symbols(const char *p, mode_t mode, bool dir, mode_t *ret)
{
	for (;;) {
		mode_t who, bits;
		p = skip_who(p, &who);
		if (!*p || !strchr("+-=", *p))
			return -EINVAL;
		while (*p && strchr("+-=", *p)) {
			char op = *p++;
			p = read_bits(p, mode, dir, &bits);
			/* "=" leaves a directory's set-id bits, unless it names them. */
			mode_t cleared = op == '=' ? who & (dir ? bits | ALL : ~(mode_t)0) : 0;
			mode = op == '-' ? mode & ~(bits & who) : (mode & ~cleared) | (bits & who);
		}
		if (!*p) {
			*ret = mode;
			return 0;
		}
		if (*p++ != ',')
			return -EINVAL;
	}
}

int mode_apply(const char *text, mode_t mode, bool dir, mode_t *ret)
{
	char *end;
	unsigned long number = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7')
		return apply_symbols(text, mode, dir, ret);
	if (*end || number > 07777)
		return -EINVAL;
	*ret = (mode_t)number;
	return 0;
}
