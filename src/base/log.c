/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/str.h"

#define LINE_MAX_BYTES 4096 /* longer events are cut */

static enum log_level level = LOG_LEVEL_INFO;
static const char *program_name = "proa";

void log_init(const char *program)
{
	const char *want = getenv("PROA_LOG");

	program_name = program;
	if (str_eq(want, "debug"))
		level = LOG_LEVEL_DEBUG;
	else if (str_eq(want, "warn"))
		level = LOG_LEVEL_WARN;
	else if (str_eq(want, "error"))
		level = LOG_LEVEL_ERROR;
}

enum log_level log_level(void)
{
	return level;
}

void log_at(enum log_level at, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	char line[LINE_MAX_BYTES], time[TIME_RFC3339_MAX];

	if (at > level)
		return;
	int n = snprintf(line, sizeof(line), "%s %s %s: ", time_format_micro(env_real.now_ns(), time), names[at],
			 program_name);
	va_list ap;
	va_start(ap, fmt);
	int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	size_t len = MIN_OF((size_t)n + (size_t)(m < 0 ? 0 : m), sizeof(line) - 2);
	for (size_t i = (size_t)n; i < len; i++)
		if (line[i] == '\n' || line[i] == '\r' || line[i] == '\033')
			line[i] = ' '; /* one line an event, whatever a client named its object */
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0) {
		/* nowhere to report it */
	}
}
