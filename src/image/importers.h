/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins: blobs and layers that an importer found or made and that no image leads to yet. Each store object that imports
 * has a file DIR/pins/<pid>-<n> with their digests, one a line, locked (flock) for as long as the importer lives. It
 * writes a digest there, under the store's shared lock, before it looks whether the thing is there; a collector reads
 * the files under the exclusive lock. So collecting never waits for pulls, and never takes anything from them.
 */
#ifndef PROA_IMAGE_IMPORTERS_H
#define PROA_IMAGE_IMPORTERS_H

#include <stdbool.h>

struct image_store;
struct importers;

struct importers *importers_new(void);
void importers_free(struct importers *i); /* NULL-safe */

bool image_is_importing(const struct image_store *s);
/* Nothing to do unless the store object is importing. Negative errno: it could not be written down, don't rely on it.
 */
int image_pin(const struct image_store *s, const char *hex);
int image_pin_locked(const struct image_store *s, const char *hex); /* the caller has the store's lock */
/* For the collector, under the exclusive lock: all digests of living importers. */
int image_pins_each(const struct image_store *s, void (*fn)(void *arg, const char *hex), void *arg);

#endif
