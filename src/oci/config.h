/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json of a bundle (runtime-spec 1.2): read, and held against a table of the specification's properties, so that
 * whoever reads a property later knows that it is absent or of its type and range. Unknown properties are ignored, as
 * the specification asks. The bundle is trusted; its rootfs is not.
 */
#ifndef PROA_OCI_CONFIG_H
#define PROA_OCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OCI_VERSION "1.2.1"
#define CONFIG_MAX (16u << 20) /* bytes; profiles and thousands of mounts fit in a sixteenth of it */

struct arena;
struct json;

/* "-" reads standard input. */
int config_read(struct arena *a, const char *path, struct json **ret);
/* The parts that are also files of their own: exec --process, update --resources. */
int config_check(const struct json *config);
int config_check_process(const struct json *process);
int config_check_resources(const struct json *resources);

uint64_t config_u64(const struct json *v, uint64_t fallback); /* the whole of uint64 */
/* A list of strings, NULL-terminated, in a. Never NULL. */
const char **config_strings(struct arena *a, const struct json *array, size_t *ret_n);
bool config_list_has(const struct json *array, const char *word);

#endif
