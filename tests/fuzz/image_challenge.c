/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate fields and the URLs in them and in Location. */
/* sources: image/challenge.c */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "image/challenge.h"
#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	struct challenge c = {0};
	struct url base, u;

	challenge_parse(text, &c);
	assert(url_parse("https://registry.example.com/v2/a", &base) == 0);
	if (url_resolve(&base, text, &u) == 0) {
		assert(u.path[0] == '/' && *u.host && u.port && u.port <= 65535);
		assert(!strpbrk(u.path, "\r\n ") && !strpbrk(u.host, "\r\n /@"));
		url_release(&u);
	}
	url_release(&base);
	return 0;
}
