/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured logging to standard error: one line an event, `time level message key=value …`.
 * Whoever stops an error logs it, once; libraries only use log_debug. The level and the rooms traced are set once at
 * start from $PROA_LOG: "info" (default), "debug", "warn", "error", or "trace:http,store".
 */
#ifndef PROA_BASE_LOG_H
#define PROA_BASE_LOG_H

#include "base/macros.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_init(const char *program); /* reads $PROA_LOG */
enum log_level log_level(void);
/* fmt makes the message and its key=value pairs: log_info("pod started pod=%s/%s", ns, name). */
void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                                 \
	do {                                                                                                           \
		if (log_level() >= LOG_LEVEL_DEBUG)                                                                    \
			log_at(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                          \
	} while (0)

#endif
