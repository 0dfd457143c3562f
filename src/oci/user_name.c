/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/user_name.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/macros.h"
#include "runtime/passwd.h"

const char *user_name(struct arena *a, uid_t uid)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	if (fs_read("/etc/passwd", PASSWD_FILE_MAX, &b) < 0)
		return "";
	for (const char *line = buf_str(&b); line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		size_t n = strcspn(line, ":\n");
		const char *second = line[n] == ':' ? strpbrk(line + n + 1, ":\n") : NULL;
		char *end;
		if (second && *second == ':' && strtoul(second + 1, &end, 10) == uid && *end == ':')
			return arena_strndup(a, line, n);
	}
	return "";
}
