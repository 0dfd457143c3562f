/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of single values that several groups besides core have (validate_internal.h). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/meta.h"
#include "api/validate_internal.h"
#include "api/validate_rules.h"
#include "base/status.h"
#include "base/mem.h"
#include "base/str.h"

void bad_invalid_plain(struct check *c, const char *path, const char *detail)
{
	status_cause(c->err, "FieldValueInvalid", path, "Invalid value: %s", detail);
}

const char *rule_host(const char *s)
{
	if (rule_ip(s) == NULL)
		return "must be a DNS name, not an IP address";
	if (!strchr(s, '*'))
		return name_check_dns1123_subdomain(s);
	if (!str_has_prefix(s, "*.") || name_check_dns1123_subdomain(s + 2))
		return "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
		       "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
		       "character (e.g. '*.example.com')";
	return NULL;
}

const char *rule_domain_path(const char *s)
{
	static const char why[] = "must be a domain-prefixed path (such as \"acme.io/foo\")";
	const char *slash = strchr(s, '/');
	char domain[NAME_MAX_DNS_SUBDOMAIN + 1];

	if (!slash || !slash[1] || (size_t)(slash - s) >= sizeof(domain))
		return why;
	snprintf(domain, sizeof(domain), "%.*s", (int)(slash - s), s);
	if (name_check_dns1123_subdomain(domain))
		return name_check_dns1123_subdomain(domain);
	for (const char *p = slash + 1; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/:@!$&'()*+,;=-._~%", *p))
			return "the path after the domain has characters that a URL path cannot have";
	return NULL;
}

const char *rule_csi_driver(const char *s)
{
	_cleanup_free_ char *lower = xstrdup(s);

	for (char *c = lower; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	return name_check_dns1123_subdomain(lower);
}

const char *rule_extended_resource(const char *s)
{
	char quota[NAME_MAX_DNS_SUBDOMAIN + NAME_MAX_DNS_LABEL + sizeof("requests./")];

	if (!strchr(s, '/'))
		return "a name must be a domain-prefixed path, such as 'example.com/my-prop'";
	if (strstr(s, "kubernetes.io/"))
		return "must not have \"kubernetes.io/\" domain";
	if (str_has_prefix(s, "requests."))
		return "must not have \"requests.\" prefix";
	int n = snprintf(quota, sizeof(quota), "requests.%s", s);
	return n > 0 && (size_t)n < sizeof(quota) ? name_check_qualified(quota) : "is too long for the name of a quota";
}

#define DIGITS "0123456789"

/* Dot-separated words of letters, digits and '-'; numbers without leading zeros where they are compared as numbers. */
static const char *skip_version_words(const char *s, bool compared)
{
	for (;;) {
		size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-" DIGITS);
		if (!n || (compared && n > 1 && *s == '0' && strspn(s, DIGITS) >= n))
			return NULL;
		s += n;
		if (*s != '.')
			return s;
		s++;
	}
}

/* semver.org 2.0.0, section 2, 9 and 10 */
const char *rule_semver(const char *s)
{
	static const char why[] = "must be a string compatible with semver.org spec 2.0.0";

	for (int i = 0; i < 3; i++) {
		size_t n = strspn(s, DIGITS);
		if (!n || (n > 1 && *s == '0'))
			return why;
		s += n;
		if (i < 2 && *s++ != '.')
			return why;
	}
	if (*s == '-')
		s = skip_version_words(s + 1, true);
	if (s && *s == '+')
		s = skip_version_words(s + 1, false);
	return s && !*s ? NULL : why;
}

bool check_count_or_percent(struct check *c, const char *path, const struct json *v)
{
	const char *s = json_str(v);

	if (!v)
		return true;
	if (!s)
		return check_min(c, path, v, 0);
	size_t digits = strspn(s, "0123456789");
	if (digits && str_eq(s + digits, "%"))
		return true;
	bad_invalid(c, path, v,
		    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
		    "regex used for validation is '[0-9]+%')");
	return false;
}

bool check_percent_max(struct check *c, const char *path, const struct json *v)
{
	const char *s = json_str(v);

	if (!s || strtol(s, NULL, 10) <= 100)
		return true;
	bad_invalid(c, path, v, "must not be greater than 100%");
	return false;
}

bool is_zero_count(const struct json *v)
{
	return !v || json_int(v, 1) == 0 || str_eq(json_str(v), "0%");
}

/* ---- conditions ---- */

#define REASON_BYTES_MAX 1024
#define MESSAGE_BYTES_MAX 32768

/* [A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])? */
static const char *rule_reason(const char *s)
{
	size_t n = strlen(s);
	bool fine = n && isalpha((unsigned char)s[0]) && !strchr(",:", s[n - 1]);

	for (size_t i = 0; i < n; i++)
		fine = fine && (isalnum((unsigned char)s[i]) || strchr("_,:", s[i]));
	return fine
		   ? NULL
		   : "a condition reason must start with alphabetic character, optionally followed by a string of "
		     "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. "
		     "'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used "
		     "for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";
}

void check_meta_conditions(struct check *c, const char *path, const struct json *list)
{
	static const char *const statuses[] = {"False", "True", "Unknown", NULL};
	static const struct rule rules[] = {
	    REQUIRED_TEXT("", "type", "is required"),
	    NAME("", "type", name_check_qualified),
	    REQUIRED("", "status"),
	    VALUES("", "status", statuses),
	    RANGE("", "observedGeneration", 0, INT64_MAX, "must be greater than or equal to zero"),
	    REQUIRED("", "lastTransitionTime"),
	    REQUIRED("", "reason"),
	    NAME("", "reason", rule_reason),
	    BYTES("", "reason", REASON_BYTES_MAX),
	    BYTES("", "message", MESSAGE_BYTES_MAX),
	};
	_cleanup_names_ struct map seen = MAP_INIT;
	size_t i = 0;

	EACH_ITEM(condition, list) {
		const char *at = PATH(c, "%s[%zu]", path, i++), *type = str_or(json_path_str(condition, "type"), "");
		if (map_set(&seen, type, c))
			bad_duplicate(c, at, type);
		check_fields(c, at, condition, rules, ARRAY_SIZE(rules));
	}
}
