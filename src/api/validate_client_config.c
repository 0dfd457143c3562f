/* SPDX-License-Identifier: Apache-2.0 */
/* How a webhook (of admission, or of a CRD's conversion) is reached. */
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/str.h"

#define FORM "desired format: https://host[/path]"

/* The bytes that end a part, taken off it. */
static char *cut(char *s, const char *ends)
{
	char *end = s + strcspn(s, ends);

	if (!*end)
		return NULL;
	*end = 0;
	return end + 1;
}

static void check_url(struct check *c, const char *at, const struct json *v)
{
	char *rest = arena_strdup(&c->arena, str_or(json_str(v), ""));
	char *fragment = cut(rest, "#"), *query = cut(rest, "?");
	size_t n = strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	const char *scheme = "", *host = "";

	if (n && rest[n] == ':') {
		rest[n] = 0;
		scheme = rest;
		rest += n + 1;
	}
	if (strncmp(rest, "//", 2) == 0) {
		char *user = rest += 2, *sign;
		cut(rest, "/");
		if ((sign = strrchr(rest, '@'))) {
			*sign = 0;
			rest = sign + 1;
			bad_invalid_str(c, at, user, "user information is not permitted in the URL");
		}
		host = rest;
	}
	if (!str_eq(scheme, "https"))
		bad_invalid_str(c, at, scheme, "'https' is the only allowed URL scheme; " FORM);
	if (!*host)
		bad_invalid_str(c, at, host, "host must be specified; " FORM);
	if (!str_empty(fragment))
		bad_invalid_str(c, at, fragment, "fragments are not permitted in the URL");
	if (!str_empty(query))
		bad_invalid_str(c, at, query, "query parameters are not permitted in the URL");
}

static void check_segment(struct check *c, const char *at, const char *path, size_t i, const char *segment)
{
	const char *why = name_check_dns1123_subdomain(segment);

	if (!*segment)
		bad_invalid_str(c, at, path, PATH(c, "segment[%zu] may not be empty", i));
	for (size_t n; *segment && why && *why; why += n + (why[n] == '\n')) {
		n = strcspn(why, "\n");
		bad_invalid_str(c, at, path, PATH(c, "segment[%zu]: %.*s", i, (int)n, why));
	}
}

static void check_service_path(struct check *c, const char *at, const char *path)
{
	char *rest = arena_strdup(&c->arena, path);
	size_t i = 0, n = strlen(rest);

	if (!*path || str_eq(path, "/"))
		return;
	if (*path != '/')
		bad_invalid_str(c, at, path, "must start with a '/'");
	if (n > 2 && rest[n - 1] == '/')
		rest[n - 1] = 0;
	for (rest++; rest;) {
		char *segment = rest;
		rest = cut(rest, "/");
		check_segment(c, at, path, i++, segment);
	}
}

static void check_webhook_service(struct check *c, const char *at, const struct json *s)
{
	const struct json *port = json_get(s, "port");

	need_str(c, PATH(c, "%s.name", at), json_get(s, "name"));
	need_str(c, PATH(c, "%s.namespace", at), json_get(s, "namespace"));
	if (json_int(port, 443) < 1 || json_int(port, 443) > 65535)
		bad_invalid(c, PATH(c, "%s.port", at), port,
			    "port is not valid: must be between 1 and 65535, inclusive");
	check_service_path(c, PATH(c, "%s.path", at), str_or(json_path_str(s, "path"), ""));
}

void check_client_config(struct check *c, const char *at, const struct json *config)
{
	const struct json *url = json_get(config, "url"), *service = json_get(config, "service");

	if (!url == !service)
		bad_required(c, at, "exactly one of url or service is required");
	else if (url)
		check_url(c, PATH(c, "%s.url", at), url);
	else
		check_webhook_service(c, PATH(c, "%s.service", at), service);
}
