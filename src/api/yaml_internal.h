/* SPDX-License-Identifier: Apache-2.0 */
/* How a plain scalar is typed; the writer asks, so that it quotes what the reader would not read back as a string. */
#ifndef PROA_API_YAML_INTERNAL_H
#define PROA_API_YAML_INTERNAL_H

#include <stdbool.h>

struct arena;
struct json;

enum yaml_scalar { YAML_STRING, YAML_BOOL, YAML_NULL, YAML_NUMBER, YAML_NOT_FINITE };

enum yaml_scalar yaml_word(const char *s, bool *ret_bool);
/* YAML_NUMBER with *ret (when ret is not NULL), or YAML_STRING. */
enum yaml_scalar yaml_number(const char *s, struct arena *a, struct json **ret);

#endif
