/* SPDX-License-Identifier: Apache-2.0 */
/* "10.0.0.7:6443", "[::1]:6443", ":6443" (every IPv4 address), "unix:/run/x.sock". Names are not resolved here. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "io/stream_internal.h"

int stream_address_parse(const char *text, struct address *ret)
{
	struct address a = {0};
	const char *path = str_after(text, "unix:");
	if (path) {
		if (!*path || strlen(path) >= sizeof(a.path))
			return -EINVAL;
		memcpy(a.path, path, strlen(path));
		*ret = a;
		return 0;
	}
	const char *colon = strrchr(text, ':');
	int64_t port;
	char host[INET6_ADDRSTRLEN];
	if (!colon || parse_int_range(colon + 1, 0, 65535, &port) < 0)
		return -EINVAL;
	const char *start = text, *end = colon;
	bool six = *text == '[';
	if (six) {
		if (end == text || end[-1] != ']')
			return -EINVAL;
		start++;
		end--;
	}
	size_t len = (size_t)(end - start);
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, start, len);
	host[len] = 0;
	if (six) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.sa;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
			return -EINVAL;
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)&a.sa;
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		if (len && inet_pton(AF_INET, host, &in->sin_addr) != 1)
			return -EINVAL;
	}
	*ret = a;
	return 0;
}

char *stream_address_format(const struct sockaddr *sa)
{
	char host[INET6_ADDRSTRLEN];

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		return xasprintf("%s:%u", host, ntohs(in->sin_port));
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, sizeof(host));
		else
			inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		return xasprintf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, ntohs(in6->sin6_port));
	}
	return xstrdup("unix");
}
