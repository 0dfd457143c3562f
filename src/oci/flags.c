/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/flags.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "oci/error.h"

static const struct flag *find(const struct flag *flags, const char *name, size_t len)
{
	for (const struct flag *f = flags; f && f->name; f++)
		if ((strlen(f->name) == len && !strncmp(f->name, name, len)) || (len == 1 && f->letter == *name))
			return f;
	return NULL;
}

static int set_bool(const struct flag *f, const char *value)
{
	if (value && strcmp(value, "true") && strcmp(value, "false"))
		return oci_fail(0, "--%s is true or false, not \"%s\"", f->name, value);
	*(bool *)f->to = !value || !strcmp(value, "true");
	return 0;
}

static int set(const struct flag *f, const char *value)
{
	switch (f->kind) {
	case FLAG_BOOL:
		return set_bool(f, value);
	case FLAG_STRING:
		*(const char **)f->to = value;
		return 0;
	case FLAG_INT:
		if (parse_i64(value, (int64_t *)f->to) < 0)
			return oci_fail(0, "--%s wants a number, not \"%s\"", f->name, value);
		return 0;
	case FLAG_LIST:
		VEC_PUSH((flag_list *)f->to, value);
		return 0;
	}
	return 0;
}

/* "-it", "-u1000": letters together, the last may have its value attached. */
static int letters(const struct flag *flags, const char *word, char **next, int *used)
{
	for (const char *c = word + 1; *c; c++) {
		const struct flag *f = find(flags, c, 1);
		if (!f)
			return oci_fail(0, "unknown flag %s", word);
		if (f->kind == FLAG_BOOL) {
			*(bool *)f->to = true;
			continue;
		}
		const char *value = c[1] == '=' ? c + 2 : c[1] ? c + 1 : *next;
		if (!value)
			return oci_fail(0, "flag -%c needs a value", *c);
		*used = !c[1];
		return set(f, value);
	}
	return 0;
}

int flags_parse(const struct flag *flags, bool in_order, char **argv, int argc, int *ret_argc)
{
	int kept = 0;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		if (word[0] != '-' || !word[1]) {
			if (in_order)
				while (i < argc)
					argv[kept++] = argv[i++];
			else
				argv[kept++] = argv[i];
			continue;
		}
		if (!strcmp(word, "--")) {
			while (++i < argc)
				argv[kept++] = argv[i];
			break;
		}
		const char *name = word + 1 + (word[1] == '-');
		size_t len = strcspn(name, "=");
		const struct flag *f = find(flags, name, len);
		int r, used = 0;
		if (!f && word[1] != '-') {
			r = letters(flags, word, i + 1 < argc ? &argv[i + 1] : &(char *){NULL}, &used);
		} else if (!f) {
			r = oci_fail(0, "unknown flag %s", word);
		} else if (name[len] == '=' || f->kind == FLAG_BOOL) {
			r = set(f, name[len] ? name + len + 1 : NULL);
		} else if (i + 1 < argc) {
			r = set(f, argv[i + 1]);
			used = 1;
		} else {
			r = oci_fail(0, "flag %s needs a value", word);
		}
		if (r < 0)
			return r;
		i += used;
	}
	*ret_argc = kept;
	return 0;
}

void flags_help(const struct flag *flags)
{
	static const char *const values[] = {"", " VALUE", " N", " VALUE…"};
	for (const struct flag *f = flags; f && f->name; f++) {
		char left[64];
		int n = snprintf(left, sizeof(left), "--%s", f->name);
		if (f->letter)
			n += snprintf(left + n, sizeof(left) - (size_t)n, ", -%c", f->letter);
		snprintf(left + n, sizeof(left) - (size_t)n, "%s", values[f->kind]);
		printf("  %-28s %s\n", left, f->help);
	}
}
