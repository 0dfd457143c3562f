/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of warnings share. */
#ifndef PROA_API_WARNINGS_INTERNAL_H
#define PROA_API_WARNINGS_INTERNAL_H

#include "api/warnings.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/macros.h"

struct warner {
	struct arena *a;
	warning_fn *fn;
	void *arg;
};

#define AT(w, ...) arena_printf((w)->a, __VA_ARGS__)
#define EACH_ITEM(x, list)                                                                                             \
	if (json_is((list), JSON_ARRAY))                                                                               \
		JSON_EACH(x, (list))

static inline void tell(struct warner *w, const char *text)
{
	w->fn(w->arg, text);
}

/* prefix: of the template's path, "" for a Pod, else with a dot: "spec.template." */
void warn_of_pod(struct warner *w, const char *prefix, const struct json *pod);
void warn_of_node_terms(struct warner *w, const char *path, const struct json *terms);
/* Volume plugins that are gone; holder: of a Pod's volume or a PersistentVolume's spec. */
void warn_of_sources(struct warner *w, const char *path, const struct json *holder);
/* An amount of bytes that is no whole number. */
void warn_of_fraction(struct warner *w, const char *path, const struct json *amounts, const char *name);

#endif
