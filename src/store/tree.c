/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A B-tree as in the textbooks: full nodes are split on the way down to an insertion and thin ones (of TREE_MIN objects
 * and fewer) filled on the way down to a removal, so that neither walks back up. Nodes hold 1 to TREE_MAX objects:
 * splits at a node's end are uneven on purpose (split_point).
 */
#include "store/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/mem.h"

enum { TREE_MIN = 15, TREE_MAX = 2 * TREE_MIN + 1 };

struct tree_node {
	size_t count; /* objects in this node and below */
	unsigned n;
	bool leaf;
	struct object *objects[TREE_MAX];
	struct tree_node *children[]; /* TREE_MAX + 1 of them unless a leaf */
};

static struct tree_node *node_new(bool leaf)
{
	struct tree_node *t =
	    xcalloc(1, sizeof(struct tree_node) + (leaf ? 0 : (TREE_MAX + 1) * sizeof(struct tree_node *)));

	t->leaf = leaf;
	return t;
}

static size_t count_of(const struct tree_node *t)
{
	return t ? t->count : 0;
}

static void node_recount(struct tree_node *t)
{
	t->count = t->n;
	for (unsigned i = 0; !t->leaf && i <= t->n; i++)
		t->count += t->children[i]->count;
}

static void node_free(struct tree_node *t)
{
	for (unsigned i = 0; i < t->n; i++)
		object_unref(t->objects[i]);
	for (unsigned i = 0; !t->leaf && i <= t->n; i++)
		node_free(t->children[i]);
	free(t);
}

void tree_release(struct tree *t)
{
	if (t->root)
		node_free(t->root);
	t->root = NULL;
}

/* The first index whose key is >= key; *ret_found: it is equal. */
static unsigned node_find(const struct tree_node *t, const char *key, bool *ret_found)
{
	unsigned low = 0, high = t->n;

	*ret_found = false;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		int c = strcmp(t->objects[mid]->key, key);
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct object *tree_get(const struct tree *t, const char *key)
{
	for (const struct tree_node *n = t->root; n;) {
		bool found;
		unsigned i = node_find(n, key, &found);
		if (found)
			return n->objects[i];
		n = n->leaf ? NULL : n->children[i];
	}
	return NULL;
}

/* ---- insertion ---- */

static void insert_object(struct tree_node *t, unsigned at, struct object *o)
{
	memmove(&t->objects[at + 1], &t->objects[at], (t->n - at) * sizeof(t->objects[0]));
	t->objects[at] = o;
}

static void insert_child(struct tree_node *t, unsigned at, struct tree_node *child)
{
	memmove(&t->children[at + 1], &t->children[at], (t->n + 1 - at) * sizeof(t->children[0]));
	t->children[at] = child;
}

/* children[i] is full: its upper part becomes a new child after it, with the object between them moved up. */
static void split_child(struct tree_node *parent, unsigned i, unsigned at)
{
	struct tree_node *left = parent->children[i], *right = node_new(left->leaf);

	assert(left->n == TREE_MAX && parent->n < TREE_MAX);
	right->n = TREE_MAX - at - 1;
	memcpy(right->objects, &left->objects[at + 1], right->n * sizeof(left->objects[0]));
	if (!left->leaf)
		memcpy(right->children, &left->children[at + 1], (right->n + 1) * sizeof(left->children[0]));
	left->n = at;
	insert_child(parent, i + 1, right);
	insert_object(parent, i, left->objects[at]);
	parent->n++;
	node_recount(left);
	node_recount(right);
}

/* Keys often arrive in order (loading, generated names): at the right edge split unevenly, so that nodes stay full. */
static unsigned split_point(const struct tree_node *full, const char *key)
{
	return strcmp(key, full->objects[TREE_MAX - 1]->key) > 0 ? TREE_MAX - 2 : TREE_MIN;
}

static struct object *replace(struct tree *t, struct object *o)
{
	for (struct tree_node *n = t->root; n;) {
		bool found;
		unsigned i = node_find(n, o->key, &found);
		if (found) {
			struct object *old = n->objects[i];
			n->objects[i] = o;
			return old;
		}
		n = n->leaf ? NULL : n->children[i];
	}
	return NULL;
}

struct object *tree_put(struct tree *t, struct object *o)
{
	object_ref(o);
	struct object *old = replace(t, o);
	if (old)
		return old;
	if (!t->root)
		t->root = node_new(true);
	if (t->root->n == TREE_MAX) {
		struct tree_node *root = node_new(false);
		root->children[0] = t->root;
		root->count = t->root->count;
		t->root = root;
		split_child(root, 0, split_point(root->children[0], o->key));
	}
	for (struct tree_node *n = t->root;;) {
		bool found;
		unsigned i = node_find(n, o->key, &found);
		n->count++;
		if (n->leaf) {
			insert_object(n, i, o);
			n->n++;
			return NULL;
		}
		if (n->children[i]->n == TREE_MAX) {
			split_child(n, i, split_point(n->children[i], o->key));
			i += strcmp(o->key, n->objects[i]->key) > 0;
		}
		n = n->children[i];
	}
}

/* ---- removal ---- */

static struct object *take_object(struct tree_node *t, unsigned at)
{
	struct object *o = t->objects[at];

	memmove(&t->objects[at], &t->objects[at + 1], (t->n - at - 1) * sizeof(t->objects[0]));
	return o;
}

/* children[i], the object between and children[i + 1] become one node. */
static void merge_children(struct tree_node *t, unsigned i)
{
	struct tree_node *left = t->children[i], *right = t->children[i + 1];

	assert(left->n + right->n + 1 <= TREE_MAX);
	left->objects[left->n] = take_object(t, i);
	memcpy(&left->objects[left->n + 1], right->objects, right->n * sizeof(right->objects[0]));
	if (!left->leaf)
		memcpy(&left->children[left->n + 1], right->children, (right->n + 1) * sizeof(right->children[0]));
	left->n += right->n + 1;
	left->count += right->count + 1;
	memmove(&t->children[i + 1], &t->children[i + 2], (t->n - i - 1) * sizeof(t->children[0]));
	t->n--;
	free(right);
}

static void borrow_from_left(struct tree_node *t, unsigned i)
{
	struct tree_node *child = t->children[i], *left = t->children[i - 1];

	insert_object(child, 0, t->objects[i - 1]);
	t->objects[i - 1] = left->objects[left->n - 1];
	if (!child->leaf)
		insert_child(child, 0, left->children[left->n]);
	child->n++;
	left->n--;
	node_recount(child);
	node_recount(left);
}

static void borrow_from_right(struct tree_node *t, unsigned i)
{
	struct tree_node *child = t->children[i], *right = t->children[i + 1];

	child->objects[child->n] = t->objects[i];
	t->objects[i] = take_object(right, 0);
	if (!child->leaf) {
		child->children[child->n + 1] = right->children[0];
		memmove(&right->children[0], &right->children[1], right->n * sizeof(right->children[0]));
	}
	child->n++;
	right->n--;
	node_recount(child);
	node_recount(right);
}

/* Makes children[i] hold more than TREE_MIN, so that one may be taken from it; returns the child to go on with. */
static struct tree_node *fill_child(struct tree_node *t, unsigned i)
{
	if (t->children[i]->n > TREE_MIN)
		return t->children[i];
	if (i > 0 && t->children[i - 1]->n > TREE_MIN) {
		borrow_from_left(t, i);
		return t->children[i];
	}
	if (i < t->n && t->children[i + 1]->n > TREE_MIN) {
		borrow_from_right(t, i);
		return t->children[i];
	}
	if (i == t->n)
		i--;
	merge_children(t, i);
	return t->children[i];
}

/* The largest (last) or smallest object below t; t may lose one. */
static struct object *take_edge(struct tree_node *t, bool last)
{
	for (;;) {
		t->count--;
		if (t->leaf) {
			struct object *o = take_object(t, last ? t->n - 1 : 0);
			t->n--;
			return o;
		}
		t = fill_child(t, last ? t->n : 0);
	}
}

/* key is known to be below t, which may lose one. */
static struct object *node_remove(struct tree_node *t, const char *key)
{
	for (;;) {
		bool found;
		unsigned i = node_find(t, key, &found);
		t->count--;
		if (found && t->leaf) {
			struct object *o = take_object(t, i);
			t->n--;
			return o;
		}
		assert(!t->leaf);
		if (found && t->children[i]->n > TREE_MIN) {
			struct object *o = t->objects[i];
			t->objects[i] = take_edge(t->children[i], true);
			return o;
		}
		if (found && t->children[i + 1]->n > TREE_MIN) {
			struct object *o = t->objects[i];
			t->objects[i] = take_edge(t->children[i + 1], false);
			return o;
		}
		if (found) {
			merge_children(t, i); /* the object moves down with the merge */
			t = t->children[i];
		} else {
			t = fill_child(t, i);
		}
	}
}

struct object *tree_remove(struct tree *t, const char *key)
{
	if (!tree_get(t, key))
		return NULL;
	struct object *o = node_remove(t->root, key);
	if (t->root->n == 0) {
		struct tree_node *old = t->root;
		t->root = old->leaf ? NULL : old->children[0];
		free(old);
	}
	return o;
}

/* ---- reading ---- */

/* Objects whose key is below `key`, or, with prefix, below every key that begins with it or sorts after such. */
static size_t rank_of(const struct tree_node *t, const char *key, bool after_prefix)
{
	size_t rank = 0, len = strlen(key);

	while (t) {
		unsigned low = 0, high = t->n;
		while (low < high) {
			unsigned mid = (low + high) / 2;
			int c =
			    after_prefix ? strncmp(t->objects[mid]->key, key, len) : strcmp(t->objects[mid]->key, key);
			if (c < 0 || (after_prefix && c == 0))
				low = mid + 1;
			else
				high = mid;
		}
		rank += low;
		for (unsigned i = 0; !t->leaf && i < low; i++)
			rank += count_of(t->children[i]);
		t = t->leaf ? NULL : t->children[low];
	}
	return rank;
}

size_t tree_count(const struct tree *t, const char *prefix)
{
	return rank_of(t->root, prefix, true) - rank_of(t->root, prefix, false);
}

struct walk {
	const char *prefix;
	size_t prefix_len;
	bool (*fn)(void *arg, struct object *o);
	void *arg;
	bool stopped; /* by fn */
};

/* start NULL: from t's first. false: the end was reached or fn stopped. */
static bool walk_node(struct walk *w, const struct tree_node *t, const char *start)
{
	bool found = false;
	unsigned i = start ? node_find(t, start, &found) : 0;

	if (!t->leaf && !found && !walk_node(w, t->children[i], start))
		return false;
	for (; i < t->n; i++) {
		if (strncmp(t->objects[i]->key, w->prefix, w->prefix_len) != 0)
			return false;
		if (!w->fn(w->arg, t->objects[i])) {
			w->stopped = true;
			return false;
		}
		if (!t->leaf && !walk_node(w, t->children[i + 1], NULL))
			return false;
	}
	return true;
}

bool tree_each(const struct tree *t, const char *prefix, const char *start, bool (*fn)(void *arg, struct object *o),
	       void *arg)
{
	struct walk w = {.prefix = prefix, .prefix_len = strlen(prefix), .fn = fn, .arg = arg};

	if (!start || strcmp(start, prefix) < 0)
		start = prefix;
	if (t->root)
		walk_node(&w, t->root, start);
	return !w.stopped;
}
