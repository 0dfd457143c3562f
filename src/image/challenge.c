/* SPDX-License-Identifier: Apache-2.0 */
#include "image/challenge.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static bool token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_len(const char *s)
{
	size_t n = 0;

	while (token_char(s[n]))
		n++;
	return n;
}

static const char *skip_space(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* A token or quoted string into out (cut to its size); the first byte after it. */
static const char *value_read(const char *s, char *out)
{
	size_t n = 0;
	bool quoted = *s == '"';

	s += quoted;
	while (*s && (quoted ? *s != '"' : *s != ',' && *s != ' ' && *s != '\t')) {
		if (quoted && *s == '\\' && s[1])
			s++;
		if (n + 1 < CHALLENGE_VALUE_MAX)
			out[n++] = *s;
		s++;
	}
	out[n] = 0;
	return s + (quoted && *s == '"');
}

static char *parameter(struct challenge *c, const char *name, size_t len)
{
	const struct {
		const char *name;
		char *value;
	} all[] = {{"realm", c->realm}, {"service", c->service}, {"scope", c->scope}, {"error", c->error}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strlen(all[i].name) == len && strncasecmp(all[i].name, name, len) == 0)
			return all[i].value;
	return NULL;
}

void challenge_parse(const char *s, struct challenge *c)
{
	char ignored[CHALLENGE_VALUE_MAX];
	bool bearer = false;

	while (*s) {
		s = skip_space(s);
		size_t len = token_len(s);
		if (!len) {
			s += *s != 0; /* a comma, or nonsense */
			continue;
		}
		const char *name = s;
		s = skip_space(s + len);
		if (*s != '=') { /* a scheme, not a parameter */
			bearer = len == 6 && strncasecmp(name, "bearer", 6) == 0;
			c->bearer |= bearer;
			c->basic |= len == 5 && strncasecmp(name, "basic", 5) == 0;
			continue;
		}
		char *value = bearer ? parameter(c, name, len) : NULL;
		s = value_read(skip_space(s + 1), value ? value : ignored);
	}
}
