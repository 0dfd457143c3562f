/* SPDX-License-Identifier: Apache-2.0 */
#include "node/dial.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"

char *dial_address(const char *host, int port)
{
	return xasprintf(strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
}

char *dial_error(const char *address, int error)
{
	char *text = xasprintf("dial tcp %s: connect: %s", address, strerror(error));
	char *why = text + strlen(text) - strlen(strerror(error));

	*why = (char)tolower((unsigned char)*why);
	return text;
}
