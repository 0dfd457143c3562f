/* SPDX-License-Identifier: Apache-2.0 */
#include "node/expand.h"

#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

char *expand(struct arena *a, const char *s, expand_lookup lookup, void *arg, const char **ret_missing)
{
	_cleanup_(buf_release) struct buf out = BUF_INIT;
	const char *missing = NULL;

	for (const char *p = s; *p;) {
		const char *end;

		if (*p != '$') {
			size_t n = strcspn(p, "$");

			buf_add(&out, p, n);
			p += n;
		} else if (p[1] == '$') {
			buf_addc(&out, '$');
			p += 2;
		} else if (p[1] == '(' && (end = strchr(p + 2, ')'))) {
			char *name = arena_strndup(a, p + 2, (size_t)(end - p - 2));
			const char *value = lookup(arg, name);

			if (value) {
				buf_adds(&out, value);
			} else {
				buf_add(&out, p, (size_t)(end - p + 1));
				missing = missing ? missing : name;
			}
			p = end + 1;
		} else {
			buf_addc(&out, '$');
			p++;
		}
	}
	if (ret_missing)
		*ret_missing = missing;
	return arena_strndup(a, buf_str(&out), out.len);
}
