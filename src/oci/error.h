/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong, for people and for the programs that drive a runtime. Functions return 0 or a negative errno and
 * leave a message here; whoever ends the process reports it, once: to standard error and to --log. Errno texts start in
 * lower case ("no such file or directory"), since drivers search messages for them.
 */
#ifndef PROA_OCI_ERROR_H
#define PROA_OCI_ERROR_H

#include <stdbool.h>

#include "base/macros.h"

#define OCI_ERROR_MAX 1024 /* a path or two and the reason; longer ones are cut */

/* Keeps the message, with error's text behind it unless error is 0. Returns error, or -EINVAL for 0. */
int oci_fail(int error, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *oci_error(void); /* the last message, "" when there is none */
void oci_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void oci_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* path NULL: standard error only. */
int oci_log_fd(void); /* -1: standard error */
int oci_log_open(const char *path, bool json, bool debug);
/* The message of oci_fail, as an error line in the log and on standard error. */
void oci_report(void);

#endif
