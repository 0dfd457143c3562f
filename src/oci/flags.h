/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines as runc's and crun's drivers write them: -x, --name VALUE, --name=VALUE, -name VALUE, booleans also as
 * --name=false. A table a command; its help follows from the table.
 */
#ifndef PROA_OCI_FLAGS_H
#define PROA_OCI_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"

enum flag_kind { FLAG_BOOL, FLAG_STRING, FLAG_INT, FLAG_LIST };
typedef VEC(const char *) flag_list;

struct flag {
	const char *name;
	char letter; /* 0: none */
	enum flag_kind kind;
	void *to; /* bool, const char *, int64_t, flag_list; as it is when the flag isn't given */
	const char *help;
};

/*
 * Moves flags out of argv: afterwards argv[0..*ret_argc) are the plain words. in_order: the first plain word ends the
 * flags (what follows is somebody else's command line).
 */
int flags_parse(const struct flag *flags, bool in_order, char **argv, int argc, int *ret_argc);
void flags_help(const struct flag *flags);

#endif
