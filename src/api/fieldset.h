/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of field paths in the form they are stored in (metav1.FieldsV1): a JSON object whose keys are path elements
 *	f:<name>      a member of a struct or map
 *	k:{"name":"x"} an item of a list with keys
 *	v:<json>      an item of a set
 *	i:<n>         an item of another list
 * and whose values are the sets below. A path is in the set when its object is empty or has the key ".".
 * NULL is the empty set. Results share nothing with the operands.
 *
 * The second half walks values by their type: which paths a value has, what differs between two, merging and pruning.
 */
#ifndef PROA_API_FIELDSET_H
#define PROA_API_FIELDSET_H

#include <stdbool.h>

struct arena;
struct buf;
struct json;
struct type;

struct json *fieldset_union(struct arena *a, const struct json *x, const struct json *y);
struct json *fieldset_minus(struct arena *a, const struct json *x, const struct json *y);
struct json *fieldset_both(struct arena *a, const struct json *x, const struct json *y);
bool fieldset_equal(const struct json *x, const struct json *y);
/* Well-formed: objects all the way down, known key prefixes. */
bool fieldset_valid(const struct json *x);
/* Calls fn with each member's path, as messages show it: .spec.containers[name="a"].image */
void fieldset_each(const struct json *x, void (*fn)(void *arg, const char *path), void *arg);
/* One element as paths show it: .image, [name="a"], [="x"] or [0] */
void fieldset_element_text(struct buf *b, const char *element);
/* In the order in which upstream writes sets: members by name, items by their keys' values. */
void fieldset_sort(struct json *x);
/* Keeps the members for which fn is true. */
struct json *fieldset_filter(struct arena *a, const struct json *x, bool (*fn)(void *arg, const char *path), void *arg);

/* ---- values by type; type NULL: deduced (objects granular, lists atomic) ---- */

/* Why an applied configuration doesn't fit its type, in upstream's form; NULL when it does. */
const char *fieldset_problems(struct arena *a, const struct type *t, const struct json *value);
/* The paths that an applied configuration names. */
struct json *fieldset_of(struct arena *a, const struct type *t, const struct json *value);
/*
 * A copy with what Go's structs have although their JSON lacks it: a struct, time, quantity or IntOrString that is no
 * pointer, null for lists, maps and pointers without omitempty. Upstream merges and compares Go structs; what was
 * completed here is left out again by decode_object(). t NULL: a plain copy.
 */
struct json *fieldset_complete(struct arena *a, const struct type *t, const struct json *value);
/* What was added or changed in, and what was removed from, old to make it new. */
void fieldset_compare(struct arena *a, const struct type *t, const struct json *old, const struct json *new,
		      struct json **ret_changed, struct json **ret_removed);
/* live with applied merged in; a new tree. */
struct json *fieldset_merge(struct arena *a, const struct type *t, const struct json *live, const struct json *applied);
/* merged without what is in last, unless it is in owned or holds what others put there; a new tree. */
struct json *fieldset_prune(struct arena *a, const struct type *t, const struct json *merged, const struct json *last,
			    const struct json *owned);

#endif
