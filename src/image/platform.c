/* SPDX-License-Identifier: Apache-2.0 */
#include "image/platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/macros.h"
#include "base/str.h"

/* What uname and people write, and what images say. */
static const struct alias {
	const char *name, *architecture, *variant;
} aliases[] = {
    {"x86_64", "amd64", ""},   {"x86-64", "amd64", ""},
    {"aarch64", "arm64", ""},  {"armhf", "arm", "v7"},
    {"armel", "arm", "v6"},    {"armv8l", "arm", "v7"},
    {"armv7l", "arm", "v7"},   {"armv6l", "arm", "v6"},
    {"armv5tel", "arm", "v5"}, {"i386", "386", ""},
    {"i486", "386", ""},       {"i586", "386", ""},
    {"i686", "386", ""},       {"loongarch64", "loong64", ""},
};

void platform_set(struct platform *p, const char *os, const char *architecture, const char *variant)
{
	snprintf(p->os, sizeof(p->os), "%s", str_or(os, ""));
	snprintf(p->architecture, sizeof(p->architecture), "%s", str_or(architecture, ""));
	snprintf(p->variant, sizeof(p->variant), "%s", str_or(variant, ""));
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (!str_eq(p->architecture, aliases[i].name))
			continue;
		strcpy(p->architecture, aliases[i].architecture);
		if (!*p->variant)
			strcpy(p->variant, aliases[i].variant);
		break;
	}
	/* "8" is "v8"; the first variant of these two is what everybody means. */
	if (*p->variant >= '0' && *p->variant <= '9' && strlen(p->variant) + 1 < sizeof(p->variant)) {
		memmove(p->variant + 1, p->variant, strlen(p->variant) + 1);
		p->variant[0] = 'v';
	}
	if ((str_eq(p->architecture, "arm64") && str_eq(p->variant, "v8")) ||
	    (str_eq(p->architecture, "amd64") && str_eq(p->variant, "v1")))
		p->variant[0] = 0;
	if (str_eq(p->architecture, "arm") && !*p->variant)
		strcpy(p->variant, "v7");
}

void platform_machine(struct platform *ret)
{
	struct utsname u;

	uname(&u);
	platform_set(ret, "linux", u.machine, "");
}

static bool part_valid(const char *s)
{
	return *s && strlen(s) < PLATFORM_PART_MAX &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == strlen(s);
}

int platform_parse(const char *text, struct platform *ret)
{
	char copy[4 * PLATFORM_PART_MAX], *part[3] = {"linux", "", ""}, *next = copy;
	size_t n = 0;

	if (str_empty(text)) {
		platform_machine(ret);
		return 0;
	}
	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	if (!strchr(copy, '/'))
		n = 1; /* an architecture alone */
	for (; n < ARRAY_SIZE(part) && next; n++) {
		part[n] = strsep(&next, "/");
		if (!part_valid(part[n]))
			return -EINVAL;
	}
	if (next)
		return -EINVAL;
	platform_set(ret, part[0], part[1], part[2]);
	return 0;
}

static int variant_number(const struct platform *p)
{
	if (!*p->variant)
		return str_eq(p->architecture, "arm64") ? 8 : str_eq(p->architecture, "amd64") ? 1 : 0;
	return p->variant[0] == 'v' ? atoi(p->variant + 1) : 0;
}

int platform_fit(const struct platform *want, const struct platform *have)
{
	if (!str_eq(want->os, have->os) || !str_eq(want->architecture, have->architecture))
		return 0;
	if (str_eq(want->variant, have->variant))
		return 100;
	int w = variant_number(want), h = variant_number(have);
	if (w && h)
		return h <= w ? 50 + h : 0;
	return *want->variant ? 0 : 1;
}

char *platform_text(const struct platform *p, char out[3 * PLATFORM_PART_MAX])
{
	snprintf(out, 3 * PLATFORM_PART_MAX, "%s/%s%s%s", p->os, p->architecture, *p->variant ? "/" : "", p->variant);
	return out;
}
