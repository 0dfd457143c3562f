/* SPDX-License-Identifier: Apache-2.0 */
/* user_resolve over hostile /etc/passwd and /etc/group: the input is USER \0 PASSWD \0 GROUP. */
/* sources: runtime/passwd.c */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/passwd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct user u;
	const char *what = "";
	char *text = xmalloc(size + 3);
	memcpy(text, data, size);
	memset(text + size, 0, 3);
	const char *passwd = text + strlen(text) + 1, *end = text + size + 2;
	if (passwd > end)
		passwd = end;
	const char *group = passwd + strlen(passwd) + 1;
	if (group > end)
		group = end;
	if (user_resolve(text, passwd, group, &u, &what) == 0 &&
	    ((int64_t)u.uid > PASSWD_ID_MAX || u.n_groups > PASSWD_GROUPS_MAX))
		abort();
	free(text);
	return 0;
}
