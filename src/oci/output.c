/* SPDX-License-Identifier: Apache-2.0 */
/* What several commands say and write. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/command.h"
#include "oci/error.h"

int print_json(const struct json *v, bool pretty)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	if (pretty)
		json_write_pretty(&b, v);
	else
		json_write(&b, v);
	buf_addc(&b, '\n');
	int r = fs_write_all(STDOUT_FILENO, b.data, b.len);
	return r < 0 ? oci_fail(r, "writing standard output") : 0;
}

int write_pid_file(const char *path, int pid)
{
	char text[16];
	if (!path)
		return 0;
	int n = snprintf(text, sizeof(text), "%d", pid);
	int r = fs_write_replace(path, text, (size_t)n, 0644);
	return r < 0 ? oci_fail(r, "writing pid file %s", path) : 0;
}

int signal_number(const char *name)
{
	int64_t n;
	if (parse_int_range(name, 0, SIGRTMAX, &n) == 0)
		return (int)n;
	if (!strncasecmp(name, "SIG", 3))
		name += 3;
	for (int i = 1; i < SIGRTMIN - 2; i++) {
		const char *known = sigabbrev_np(i);
		if (known && !strcasecmp(known, name))
			return i;
	}
	if (!strncasecmp(name, "RTMIN", 5) || !strncasecmp(name, "RTMAX", 5)) {
		int base = strncasecmp(name, "RTMAX", 5) ? SIGRTMIN : SIGRTMAX;
		if (!name[5])
			return base;
		if (parse_int_range(name + 5 + (name[5] == '+'), -31, 31, &n) == 0 && base + n >= SIGRTMIN &&
		    base + n <= SIGRTMAX)
			return base + (int)n;
	}
	return -EINVAL;
}
