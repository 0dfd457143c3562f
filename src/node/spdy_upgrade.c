/* SPDX-License-Identifier: Apache-2.0 */
#include "node/spdy_upgrade.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "http/server.h"
#include "node/kubelet_internal.h"

#define PROTOCOL_HEADER "x-stream-protocol-version"

/* Whether the client offers it: one a header, or several with commas. */
static bool offered(struct http_request *r, const char *protocol)
{
	size_t n = strlen(protocol);
	const char *value;

	for (size_t i = 0; (value = http_header_at(r, PROTOCOL_HEADER, i)); i++) {
		for (const char *p = value; *p;) {
			size_t len = strcspn(p, ",");
			size_t end = len;

			while (end > 0 && (p[end - 1] == ' ' || p[end - 1] == '\t'))
				end--;
			if (end == n && memcmp(p, protocol, n) == 0)
				return true;
			p += len;
			p += strspn(p, ", \t");
		}
	}
	return false;
}

struct stream *spdy_upgrade(struct http_request *r, const char *const *protocols, const struct stream_events *ev,
			    void *arg)
{
	_cleanup_buf_ struct buf head = BUF_INIT;
	const char *chosen = NULL;

	for (size_t i = 0; protocols[i] && !chosen; i++)
		if (offered(r, protocols[i]))
			chosen = protocols[i];
	if (!chosen && http_header(r, PROTOCOL_HEADER)) {
		kubelet_failf(r, 403, "unable to upgrade: none of the offered stream protocols is supported");
		return NULL;
	}
	buf_adds(&head, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n");
	if (chosen)
		buf_addf(&head, "X-Stream-Protocol-Version: %s\r\n", chosen);
	buf_adds(&head, "\r\n");
	return http_hijack(r, buf_str(&head), ev, arg);
}
