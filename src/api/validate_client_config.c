/* SPDX-License-Identifier: Apache-2.0 */
/* How a webhook (of admission, or of a CRD's conversion) is reached. */
#include <string.h>

#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"

static void check_url(struct check *c, const char *at, const struct json *v)
{
	const char *url = str_or(json_str(v), ""), *host = str_after(url, "https://");
	const char *form = "desired format: https://host[/path]";

	if (!host) {
		bad_invalid(c, at, v, PATH(c, "'https' is the only allowed URL scheme; %s", form));
		return;
	}
	size_t n = strcspn(host, "/?#");
	if (!n)
		bad_invalid(c, at, v, PATH(c, "host must be specified; %s", form));
	if (memchr(host, '@', n))
		bad_invalid(c, at, v, PATH(c, "user information is not permitted in the URL; %s", form));
	if (strchr(host, '#'))
		bad_invalid(c, at, v, PATH(c, "fragments are not permitted in the URL; %s", form));
	if (strchr(host, '?'))
		bad_invalid(c, at, v, PATH(c, "query parameters are not permitted in the URL; %s", form));
}

static void check_webhook_service(struct check *c, const char *at, const struct json *s)
{
	const char *path = json_path_str(s, "path");
	const struct json *port = json_get(s, "port");

	need_str(c, PATH(c, "%s.name", at), json_get(s, "name"));
	need_str(c, PATH(c, "%s.namespace", at), json_get(s, "namespace"));
	if (json_int(port, 443) < 1 || json_int(port, 443) > 65535)
		bad_invalid(c, PATH(c, "%s.port", at), port,
			    "port is not valid: must be between 1 and 65535, inclusive");
	if (!path)
		return;
	if (!str_eq(path, "/") && *path != '/')
		bad_invalid_str(c, PATH(c, "%s.path", at), path,
				"must start with a '/', and must not be empty (leave it out, or give \"/\")");
	else if (strstr(path, "//"))
		bad_invalid_str(c, PATH(c, "%s.path", at), path, "segment may not be empty");
}

void check_client_config(struct check *c, const char *at, const struct json *config)
{
	const struct json *url = json_get(config, "url"), *service = json_get(config, "service");

	if (!url == !service)
		bad_required(c, at, "exactly one of url or service is required");
	if (url)
		check_url(c, PATH(c, "%s.url", at), url);
	if (service)
		check_webhook_service(c, PATH(c, "%s.service", at), service);
}
