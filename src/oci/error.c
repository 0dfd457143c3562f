/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/error.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/fs.h"
#include "base/json.h"

static char message[OCI_ERROR_MAX];
static struct {
	int fd;
	bool json, debug;
} sink = {.fd = -1};

int oci_fail(int error, const char *fmt, ...)
{
	char text[OCI_ERROR_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	size_t n = strlen(text);
	if (error && n + 4 < sizeof(text)) {
		snprintf(text + n, sizeof(text) - n, ": %s", strerror(-error));
		text[n + 2] = (char)tolower((unsigned char)text[n + 2]);
	}
	memcpy(message, text, sizeof(message));
	return error ? error : -EINVAL;
}

const char *oci_error(void)
{
	return message;
}

int oci_log_fd(void)
{
	return sink.fd;
}

int oci_log_open(const char *path, bool json, bool debug)
{
	sink.json = json;
	sink.debug = debug;
	if (!path)
		return 0;
	sink.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
	return sink.fd < 0 ? oci_fail(-errno, "opening log %s", path) : 0;
}

static void line(int fd, const char *level, const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	char time[TIME_RFC3339_MAX];
	time_format(now_ns(), time);
	if (sink.json)
		buf_adds(&b, "{\"msg\":");
	else
		buf_addf(&b, "time=\"%s\" level=%s msg=", time, level);
	json_write_string(&b, text, strlen(text));
	if (sink.json)
		buf_addf(&b, ",\"level\":\"%s\",\"time\":\"%s\"}", level, time);
	buf_addc(&b, '\n');
	(void)fs_write_all(fd, b.data, b.len);
}

void oci_warn(const char *fmt, ...)
{
	char text[OCI_ERROR_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	line(sink.fd < 0 ? STDERR_FILENO : sink.fd, "warning", text);
}

void oci_debug(const char *fmt, ...)
{
	char text[OCI_ERROR_MAX];
	if (!sink.debug)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	line(sink.fd < 0 ? STDERR_FILENO : sink.fd, "debug", text);
}

void oci_report(void)
{
	if (sink.fd >= 0)
		line(sink.fd, "error", message);
	dprintf(STDERR_FILENO, "proa-oci: %s\n", message);
}
