/* SPDX-License-Identifier: Apache-2.0 */
#include "server/negotiate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"

static const struct {
	const char *type;
	enum output_format format;
} media_types[] = {
    {"application/json", OUTPUT_JSON},
    {"application/yaml", OUTPUT_YAML},
    {"application/vnd.kubernetes.protobuf", OUTPUT_PROTOBUF},
};

const char *output_content_type(enum output_format f)
{
	return media_types[f].type;
}

const char *output_stream_type(enum output_format f)
{
	return f == OUTPUT_PROTOBUF ? "application/vnd.kubernetes.protobuf;stream=watch" : "application/json";
}

/* One trimmed piece of a header, up to a delimiter; moves *p behind it. Quotes around a value are dropped. */
struct piece {
	const char *at;
	size_t len;
};

static struct piece next_piece(const char **p, const char *delimiters)
{
	size_t n = strcspn(*p, delimiters);
	struct piece s = {*p, n};
	*p += n;
	while (s.len && isspace((unsigned char)*s.at))
		s.at++, s.len--;
	while (s.len && isspace((unsigned char)s.at[s.len - 1]))
		s.len--;
	if (s.len >= 2 && s.at[0] == '"' && s.at[s.len - 1] == '"')
		s.at++, s.len -= 2;
	return s;
}

static bool piece_is(struct piece s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

struct range {
	struct output out;
	double q;
	bool ok;
};

static bool media_type(struct piece type, enum output_format *ret)
{
	if (piece_is(type, "*/*") || piece_is(type, "application/*")) {
		*ret = OUTPUT_JSON;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(media_types); i++) {
		if (piece_is(type, media_types[i].type)) {
			*ret = media_types[i].format;
			return true;
		}
	}
	return false;
}

static bool as_kind(struct piece v, enum output_as *ret)
{
	if (piece_is(v, "Table"))
		*ret = AS_TABLE;
	else if (piece_is(v, "PartialObjectMetadata"))
		*ret = AS_PARTIAL;
	else if (piece_is(v, "PartialObjectMetadataList"))
		*ret = AS_PARTIAL_LIST;
	else
		return false;
	return true;
}

/* "type;param=value;…" up to a comma. */
static struct range parse_range(const char **p, bool stream, bool tables)
{
	struct range r = {.q = 1};
	bool group_ok = true, version_ok = true, as = false;
	struct piece type = next_piece(p, ";,");
	r.ok = media_type(type, &r.out.format);
	while (**p == ';') {
		(*p)++;
		struct piece name = next_piece(p, "=;,");
		struct piece value = {"", 0};
		if (**p == '=') {
			(*p)++;
			value = next_piece(p, ";,");
		}
		if (piece_is(name, "q")) {
			char num[16] = {0};
			memcpy(num, value.at, MIN_OF(value.len, sizeof(num) - 1));
			r.q = strtod(num, NULL);
		} else if (piece_is(name, "as")) {
			as = as_kind(value, &r.out.as);
			r.ok = r.ok && as;
		} else if (piece_is(name, "g")) {
			group_ok = piece_is(value, "meta.k8s.io");
		} else if (piece_is(name, "v")) {
			version_ok = piece_is(value, "v1") || piece_is(value, "v1beta1");
			r.out.as_version = piece_is(value, "v1beta1") ? "v1beta1" : "v1";
		} else if (piece_is(name, "pretty")) {
			r.out.pretty = piece_is(value, "1") || piece_is(value, "true");
		}
	}
	/* g and v belong to `as`; discovery has its own use for them and looks at the header itself. */
	if (as && (!group_ok || !version_ok))
		r.ok = false;
	if (stream && r.out.format == OUTPUT_YAML)
		r.ok = false;
	if (r.out.as == AS_TABLE && (!tables || r.out.format == OUTPUT_PROTOBUF))
		r.ok = false;
	if (!as)
		r.out.as_version = NULL;
	else if (!r.out.as_version)
		r.out.as_version = "v1";
	return r;
}

int negotiate_output(const char *accept, bool stream, bool tables, struct output *ret, struct status *err)
{
	*ret = (struct output){0};
	if (str_empty(accept))
		return 0;
	struct range best = {0};
	const char *p = accept;
	for (size_t i = 0; *p && i < ACCEPT_RANGES_MAX; i++) {
		struct range r = parse_range(&p, stream, tables);
		if (*p == ',')
			p++;
		if (r.ok && r.q > 0 && (!best.ok || r.q > best.q))
			best = r;
	}
	if (!best.ok)
		return status_set(err, 406,
				  "only the following media types are accepted: application/json, application/yaml, "
				  "application/vnd.kubernetes.protobuf");
	*ret = best.out;
	return 0;
}

int negotiate_input(const char *content_type, enum output_format *ret, struct status *err)
{
	*ret = OUTPUT_JSON;
	if (str_empty(content_type))
		return 0;
	const char *p = content_type;
	struct piece type = next_piece(&p, ";,");
	for (size_t i = 0; i < ARRAY_SIZE(media_types); i++) {
		if (piece_is(type, media_types[i].type)) {
			*ret = media_types[i].format;
			return 0;
		}
	}
	return status_set(err, 415,
			  "the body of the request was in an unknown format - accepted media types include: "
			  "application/json, application/yaml, application/vnd.kubernetes.protobuf");
}
