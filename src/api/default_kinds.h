/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults of kinds that depend on more than their own absence. */
#ifndef PROA_API_DEFAULT_KINDS_H
#define PROA_API_DEFAULT_KINDS_H

struct arena;
struct json;
struct resource;

void default_kind(struct arena *a, const struct resource *r, struct json *tree);

#endif
