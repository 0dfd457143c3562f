/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <errno.h>

#include "base/buf.h"

bool str_has_prefix(const char *s, const char *prefix)
{
	return str_after(s, prefix) != NULL;
}

const char *str_after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s && strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool str_has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);
	return n >= k && memcmp(s + n - k, suffix, k) == 0;
}

bool str_in(const char *s, const char *const *set)
{
	for (; *set; set++)
		if (str_eq(s, *set))
			return true;
	return false;
}

int parse_u64(const char *s, uint64_t *ret)
{
	uint64_t n = 0;

	if (str_empty(s))
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return -ERANGE;
	}
	*ret = n;
	return 0;
}

int parse_i64(const char *s, int64_t *ret)
{
	uint64_t n;
	bool negative = s && *s == '-';
	int r = parse_u64(negative ? s + 1 : s, &n);

	if (r < 0)
		return r;
	if (n > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	*ret = negative ? (int64_t)(0 - n) : (int64_t)n;
	return 0;
}

int parse_int_range(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	int64_t n;
	int r = parse_i64(s, &n);

	if (r < 0)
		return r;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

/* RFC 3629: no overlong forms, no surrogates, at most U+10FFFF. */
bool utf8_valid(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + len;

	while (s < end) {
		if (*s < 0x80) {
			s++;
			continue;
		}
		size_t n = *s >= 0xc2 && *s <= 0xdf   ? 1
			   : *s >= 0xe0 && *s <= 0xef ? 2
			   : *s >= 0xf0 && *s <= 0xf4 ? 3
						      : 0;
		if (!n || (size_t)(end - s) <= n)
			return false;
		if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
		    (*s == 0xf4 && s[1] > 0x8f))
			return false;
		for (size_t i = 1; i <= n; i++)
			if ((s[i] & 0xc0) != 0x80)
				return false;
		s += n + 1;
	}
	return true;
}

static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode64(struct buf *out, const unsigned char *s, size_t len, const char *alphabet, bool pad)
{
	for (size_t i = 0; i < len; i += 3) {
		size_t n = MIN_OF(len - i, (size_t)3);
		uint32_t v = (uint32_t)s[i] << 16 | (n > 1 ? (uint32_t)s[i + 1] << 8 : 0) | (n > 2 ? s[i + 2] : 0);
		char q[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63]};
		if (n < 3 && pad)
			memset(q + n + 1, '=', 3 - n);
		buf_add(out, q, pad ? 4 : n + 1);
	}
}

void base64_encode(struct buf *out, const void *p, size_t len)
{
	encode64(out, p, len, base64_std, true);
}

void base64url_encode(struct buf *out, const void *p, size_t len)
{
	encode64(out, p, len, base64_url, false);
}

static int value64(char c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	if (c == (url ? '_' : '/'))
		return 63;
	return -1;
}

static int decode64(struct buf *out, const char *s, size_t len, bool url)
{
	size_t pad = 0;

	while (pad < 2 && len && s[len - 1] == '=') {
		len--;
		pad++;
	}
	if (len % 4 == 1 || ((!url || pad) && (len + pad) % 4))
		return -EINVAL;
	for (size_t i = 0; i < len; i += 4) {
		size_t n = MIN_OF(len - i, (size_t)4);
		uint32_t v = 0;
		for (size_t k = 0; k < 4; k++) {
			int d = k < n ? value64(s[i + k], url) : 0;
			if (d < 0)
				return -EINVAL;
			v = v << 6 | (uint32_t)d;
		}
		if ((n == 2 && (v & 0xffff)) || (n == 3 && (v & 0xff)))
			return -EINVAL; /* bits beyond the last byte */
		char bytes[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
		buf_add(out, bytes, n - 1);
	}
	return 0;
}

int base64_decode(struct buf *out, const char *s, size_t len)
{
	return decode64(out, s, len, false);
}

int base64url_decode(struct buf *out, const char *s, size_t len)
{
	return decode64(out, s, len, true);
}

static const char hex_digits[] = "0123456789abcdef";

void hex_encode(struct buf *out, const void *p, size_t len)
{
	const unsigned char *s = p;
	for (size_t i = 0; i < len; i++) {
		buf_addc(out, hex_digits[s[i] >> 4]);
		buf_addc(out, hex_digits[s[i] & 15]);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int percent_decode(char *s, bool plus)
{
	char *out = s, *start = s;

	for (; *s; s++) {
		if (*s == '%') {
			int hi = hex_value(s[1]), lo = hi < 0 ? -1 : hex_value(s[2]);
			if (lo < 0 || (hi | lo) == 0)
				return -EINVAL;
			*out++ = (char)(hi << 4 | lo);
			s += 2;
		} else {
			*out++ = plus && *s == '+' ? ' ' : *s;
		}
	}
	*out = 0;
	return (int)(out - start);
}

void percent_encode(struct buf *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._~", c))
			buf_addc(out, *s);
		else
			buf_addf(out, "%%%02X", c);
	}
}

uint32_t fnv32a(const void *p, size_t len)
{
	const unsigned char *s = p;
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ s[i]) * 16777619u;
	return h;
}

uint64_t fnv64a(const void *p, size_t len)
{
	const unsigned char *s = p;
	uint64_t h = 14695981039346656037ull;
	for (size_t i = 0; i < len; i++)
		h = (h ^ s[i]) * 1099511628211ull;
	return h;
}
