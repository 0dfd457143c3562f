/* SPDX-License-Identifier: Apache-2.0 */
/* How the child of launch() gives up: tells its parent and exits. error: negative errno or 0; code: 400 or 500. */
#ifndef PROA_RUNTIME_FAIL_H
#define PROA_RUNTIME_FAIL_H

#include "base/macros.h"

_Noreturn void fail(int code, int exit_code, int error, const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
