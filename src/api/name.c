/* SPDX-License-Identifier: Apache-2.0 */
/* The name rules of meta.h (apimachinery's validation package is the source of the rules and their wording's
 * substance). */
#include <stdio.h>
#include <string.h>

#include "api/meta.h"
#include "base/arena.h"
#include "base/env.h"
#include "base/mem.h"
#include "base/str.h"

static bool lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool alnum(char c)
{
	return lower(c) || digit(c) || (c >= 'A' && c <= 'Z');
}

#define LABEL_RE "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define SUBDOMAIN_RE LABEL_RE "(\\." LABEL_RE ")*"

/* [a-z0-9]([-a-z0-9]*[a-z0-9])? over n bytes */
static bool is_label(const char *s, size_t n)
{
	if (!n || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!lower(s[i]) && !digit(s[i]) && s[i] != '-')
			return false;
	return true;
}

static bool is_subdomain(const char *s, size_t n)
{
	for (const char *end = s + n;;) {
		const char *dot = memchr(s, '.', (size_t)(end - s));
		if (!is_label(s, (size_t)((dot ? dot : end) - s)))
			return false;
		if (!dot)
			return true;
		s = dot + 1;
	}
}

#define SUBDOMAIN_FORM                                                                                                 \
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "     \
	"start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "              \
	"'" SUBDOMAIN_RE "')"

#define LABEL_FORM                                                                                                     \
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "    \
	"end "                                                                                                         \
	"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '" LABEL_RE "')"

/* What is too long may have a bad form as well; each is told, on a line of its own. */
#define TELL(is_long, LONG, is_bad, BAD) ((is_long) ? (is_bad) ? LONG "\n" BAD : LONG : (is_bad) ? BAD : NULL)
#define LONGER(s, max) (strlen(s) > (max))
#define LONG_LABEL "must be no more than 63 characters"
#define LONG_SUBDOMAIN "must be no more than 253 characters"
#define LABEL_BYTES "must be no more than 63 bytes" /* the newer words for the same */
#define SUBDOMAIN_BYTES "must be no more than 253 bytes"

/* of a label; LONG says that it is too long */
#define TELL_LABEL(s, LONG) TELL(LONGER(s, NAME_MAX_DNS_LABEL), LONG, !is_label(s, strlen(s)), LABEL_FORM)
#define DOTS "must not contain dots"

const char *name_check_dns1123_label(const char *s)
{
	if (strchr(s, '.') && is_subdomain(s, strlen(s)))
		return TELL(LONGER(s, NAME_MAX_DNS_LABEL), LONG_LABEL, true, DOTS);
	return TELL_LABEL(s, LONG_LABEL);
}

const char *name_check_dns1123_subdomain(const char *s)
{
	return TELL(LONGER(s, NAME_MAX_DNS_SUBDOMAIN), LONG_SUBDOMAIN, !is_subdomain(s, strlen(s)), SUBDOMAIN_FORM);
}

const char *name_check_dns1035_label(const char *s)
{
	return TELL(LONGER(s, NAME_MAX_DNS_LABEL), LONG_LABEL, !lower(s[0]) || !is_label(s, strlen(s)),
		    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
		    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
		    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')");
}

const char *name_check_long_name(const char *s)
{
	return TELL(LONGER(s, NAME_MAX_DNS_SUBDOMAIN), SUBDOMAIN_BYTES, !is_subdomain(s, strlen(s)), SUBDOMAIN_FORM);
}

const char *name_check_any_case_name(const char *s)
{
	_cleanup_free_ char *folded = xstrdup(s);

	for (char *c = folded; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	return TELL(LONGER(s, NAME_MAX_DNS_SUBDOMAIN), SUBDOMAIN_BYTES, !is_subdomain(folded, strlen(folded)),
		    "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end "
		    "with an alphanumeric character (e.g. 'Example.com', regex used for validation is '" SUBDOMAIN_RE
		    "')");
}

const char *name_check_short_name(const char *s)
{
	if (strchr(s, '.') && is_subdomain(s, strlen(s)))
		return TELL(LONGER(s, NAME_MAX_DNS_LABEL), LABEL_BYTES, true, DOTS);
	return TELL_LABEL(s, LABEL_BYTES);
}

const char *name_check_path_segment(const char *s)
{
	if (str_eq(s, "."))
		return "may not be '.'";
	if (str_eq(s, ".."))
		return "may not be '..'";
	if (strchr(s, '/'))
		return "may not contain '/'";
	if (strchr(s, '%'))
		return "may not contain '%'";
	return NULL;
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool is_name_part(const char *s)
{
	size_t n = strlen(s);

	if (!n || !alnum(s[0]) || !alnum(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!alnum(s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

#define NAME_FORM                                                                                                      \
	"must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "       \
	"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "                        \
	"'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

/* Lines of complaints, kept until the same thread asks of another name. */
static void tell(char *told, size_t size, const char *line)
{
	size_t n = strlen(told);

	snprintf(told + n, size - n, "%s%s", n ? "\n" : "", line);
}

const char *name_check_qualified(const char *s)
{
	static _Thread_local char told[1024]; /* more than all together */
	const char *slash = strchr(s, '/'), *name = slash ? slash + 1 : s;

	told[0] = 0;
	if (slash && strchr(name, '/'))
		return "a valid label key " NAME_FORM
		       " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
	if (slash == s)
		tell(told, sizeof(told), "prefix part must be non-empty");
	if (slash && slash - s > NAME_MAX_DNS_SUBDOMAIN)
		tell(told, sizeof(told), "prefix part " SUBDOMAIN_BYTES);
	if (slash && slash != s && !is_subdomain(s, (size_t)(slash - s)))
		tell(told, sizeof(told), "prefix part " SUBDOMAIN_FORM);
	if (!*name)
		tell(told, sizeof(told), "name part must be non-empty");
	if (LONGER(name, NAME_MAX_DNS_LABEL))
		tell(told, sizeof(told), "name part " LABEL_BYTES);
	if (!is_name_part(name))
		tell(told, sizeof(told), "name part " NAME_FORM);
	return *told ? told : NULL;
}

const char *name_check_label_value(const char *s)
{
	return TELL(LONGER(s, NAME_MAX_DNS_LABEL), LABEL_BYTES, *s && !is_name_part(s),
		    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
		    "must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
		    "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
}

const char *name_check_env_var(const char *s)
{
	if (!*s)
		return "environment variable name must be non-empty";
	for (; *s; s++)
		if (*s < 0x20 || *s > 0x7e || *s == '=')
			return "a valid environment variable name must consist only of printable ASCII characters "
			       "other than "
			       "'='";
	return NULL;
}

#define KEY_FORM                                                                                                       \
	"a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "           \
	"'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"

const char *name_check_config_key(const char *s)
{
	bool fine = *s != 0;

	for (const char *c = s; *c; c++)
		fine &= alnum(*c) || strchr("-_.", *c);
	if (str_eq(s, "."))
		return "must not be '.'";
	if (str_eq(s, ".."))
		return "must not be '..'";
	if (fine && str_has_prefix(s, ".."))
		return TELL(LONGER(s, NAME_MAX_DNS_SUBDOMAIN), LONG_SUBDOMAIN, true, "must not start with '..'");
	return TELL(LONGER(s, NAME_MAX_DNS_SUBDOMAIN), LONG_SUBDOMAIN, !fine, KEY_FORM);
}

const char *name_check_port_name(const char *s)
{
	static _Thread_local char told[256]; /* more than all together */
	size_t length = strlen(s);
	bool letter = false, fine = length > 0;

	for (const char *c = s; *c; c++) {
		fine &= lower(*c) || digit(*c) || *c == '-';
		letter |= lower(*c);
	}
	const struct {
		bool bad;
		const char *why;
	} rules[] = {
	    {length > NAME_MAX_PORT, "must be no more than 15 characters"},
	    {!fine, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"},
	    {!letter, "must contain at least one letter (a-z)"},
	    {strstr(s, "--"), "must not contain consecutive hyphens"},
	    {length && (s[0] == '-' || s[length - 1] == '-'), "must not begin or end with a hyphen"},
	};
	told[0] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].bad)
			snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s%s", *told ? "\n" : "",
				 rules[i].why);
	return *told ? told : NULL;
}

const char *name_check_prefix(const char *(*check)(const char *), const char *generate_name)
{
	size_t n = strlen(generate_name);

	if (n < 2 || generate_name[n - 1] != '-')
		return check(generate_name);
	_cleanup_free_ char *name = xstrdup(generate_name); /* a suffix will follow the hyphen */
	name[n - 2] = 'a';
	name[n - 1] = 0;
	return check(name);
}

#define SUFFIX_LEN 5
char *name_generate(struct arena *a, const char *base)
{
	char suffix[SUFFIX_LEN + 1];
	size_t n = MIN_OF(strlen(base), (size_t)NAME_MAX_DNS_LABEL - SUFFIX_LEN);

	random_suffix(suffix, SUFFIX_LEN);
	return arena_printf(a, "%.*s%s", (int)n, base, suffix);
}

const char *name_check_http_header(const char *s)
{
	bool fine = *s != 0;

	for (; *s; s++)
		fine &= alnum(*s) || *s == '-';
	return fine ? NULL
		    : "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex "
		      "used for validation is '[-A-Za-z0-9]+')";
}

/* Labels of [a-z0-9] with one of inner between, joined by one of separators. */
static bool is_chain(const char *s, const char *separators, const char *inner)
{
	for (;;) {
		size_t n = strcspn(s, separators);
		if (!n || strchr(inner, s[0]) || strchr(inner, s[n - 1]))
			return false;
		for (size_t i = 0; i < n; i++)
			if (!lower(s[i]) && !digit(s[i]) && !strchr(inner, s[i]))
				return false;
		if (!s[n])
			return true;
		s += n + 1;
	}
}

const char *name_check_search_domain(const char *s)
{
	if (strlen(s) > NAME_MAX_DNS_SUBDOMAIN)
		return LONG_SUBDOMAIN;
	/* An underscore may begin and end a label here. */
	bool fine = *s != 0;
	for (const char *x = s; fine; x = strchr(x, '.') + 1) {
		size_t n = strcspn(x, ".");
		fine = n && x[0] != '-' && x[n - 1] != '-';
		for (size_t i = 0; fine && i < n; i++)
			fine = lower(x[i]) || digit(x[i]) || x[i] == '-' || x[i] == '_';
		if (!x[n])
			break;
	}
	return fine ? NULL
		    : "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or "
		      "'.', and must start and end with an alphanumeric character (e.g. 'example.com')";
}

const char *name_check_sysctl(const char *s)
{
	if (strlen(s) > NAME_MAX_DNS_SUBDOMAIN || !is_chain(s, "./", "-_"))
		return "must have at most 253 characters and match regex "
		       "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
	return NULL;
}
