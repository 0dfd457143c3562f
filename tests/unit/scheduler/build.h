/* SPDX-License-Identifier: Apache-2.0 */
/* Objects from JSON in which ' stands for ". */
#ifndef PROA_TESTS_SCHEDULER_BUILD_H
#define PROA_TESTS_SCHEDULER_BUILD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/object.h"
#include "api/resource.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

static inline struct object *build(const char *plural, const char *text)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	char *t = arena_strdup(&a, text);
	struct json *v;
	struct json_error e;
	for (char *c = t; *c; c++)
		if (*c == '\'')
			*c = '"';
	assert_int_equal(json_parse(&a, t, strlen(t), &v, &e), 0);
	struct json *meta = json_object_in(&a, v, "metadata");
	if (!json_get(meta, "uid"))
		json_set_str(&a, meta, "uid", json_path_str(meta, "name"));
	static uint64_t rev;
	return object_from_tree(resource_by_plural("", plural), "", ++rev, v);
}

#endif
