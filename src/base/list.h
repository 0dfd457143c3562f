/* SPDX-License-Identifier: Apache-2.0 */
/* The one intrusive doubly linked list. A head and every link are `struct list`; an unlinked link points to itself. */
#ifndef PROA_BASE_LIST_H
#define PROA_BASE_LIST_H

#include <stdbool.h>

#include "base/macros.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static inline void list_add_head(struct list *head, struct list *l)
{
	list_add_tail(head->next, l);
}

/* Safe on a link that is not in any list, as long as it was initialised. */
static inline void list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

#define LIST_ENTRY(l, type, member) container_of(l, type, member)
#define LIST_EACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* The current link may be removed and freed while iterating. */
#define LIST_EACH_SAFE(it, head)                                                                                       \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
