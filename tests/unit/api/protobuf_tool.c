/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transcodes objects on standard input, for tools/apigen's test against client-go. A request is a letter ('d': protobuf
 * to JSON, 'e': JSON to protobuf, '2': OpenAPI v2 as JSON, 'g': the same as gnostic's protobuf, '3': OpenAPI v3 of
 * the body's group/version), four bytes of length,
 * most significant first, and the body; a reply the same with
 * '+' and the result or '-' and what is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/openapi.h"
#include "api/protobuf.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"

static void reply(char mark, const char *p, size_t len)
{
	unsigned char head[5] = {(unsigned char)mark, (unsigned char)(len >> 24), (unsigned char)(len >> 16),
				 (unsigned char)(len >> 8), (unsigned char)len};

	fwrite(head, 1, sizeof(head), stdout);
	fwrite(p, 1, len, stdout);
	fflush(stdout);
}

static void decode(const char *body, size_t len)
{
	_cleanup_status_ struct status err = STATUS_INIT;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct json *v;

	if (protobuf_decode(&a, body, len, NULL, &v, &err) < 0) {
		reply('-', err.message, strlen(err.message));
		return;
	}
	json_write(&out, v);
	reply('+', out.data, out.len);
}

static void encode(const char *body, size_t len)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct json_error error;
	struct json *v;

	if (json_parse(&a, body, len, &v, &error) < 0)
		reply('-', error.message, strlen(error.message));
	else if (protobuf_encode(v, NULL, &out) < 0)
		reply('-', "not encoded", strlen("not encoded"));
	else
		reply('+', out.data, out.len);
}

static void openapi(char form, char *group)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	char *slash = strchr(group, '/');

	if (form == '3' && slash) {
		*slash = '\0';
		openapi_v3_document(NULL, group, slash + 1, &out);
		reply('+', buf_str(&out), out.len);
		return;
	}
	(form == '2' ? openapi_v2 : openapi_v2_protobuf)(NULL, &out);
	reply('+', out.data, out.len);
}

int main(void)
{
	unsigned char head[5];

	while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
		size_t len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
		_cleanup_free_ char *body = xmalloc(len + 1);

		if (fread(body, 1, len, stdin) != len)
			return 1;
		body[len] = '\0';
		if (strchr("2g3", head[0]))
			openapi((char)head[0], body);
		else
			(head[0] == 'd' ? decode : encode)(body, len);
	}
	return 0;
}
