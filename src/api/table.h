/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.k8s.io/v1 Table: what `kubectl get` prints, computed by the server. Columns are data (name, type, format,
 * description, priority) with a cell function each; resources without columns of their own get Name and Created At.
 * Custom resources bring their columns (additionalPrinterColumns) with paths instead of functions.
 *
 * A table is written in pieces, so that a list needs no tree of all its objects:
 *	table_begin(…); for each object table_row(…); table_end(…)
 * and each event of a watch is a table of one row, the columns in the first only.
 */
#ifndef PROA_API_TABLE_H
#define PROA_API_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct json;
struct object;
struct resource;

/* What a row's `object` is: the query parameter includeObject. */
enum table_include { TABLE_METADATA, TABLE_OBJECT, TABLE_NONE };

struct table_column;
struct table_cell {
	const struct table_column *column;
	const struct json *object; /* its tree */
	struct arena *arena;	   /* for what the cell's value is made of */
	int64_t now_ns;		   /* for ages */
};

struct table_column {
	const char *name, *type, *format, *description; /* format: "name" or "" */
	int priority;					/* 0: always shown; 1: kubectl get -o wide */
	/* The value: a string, number or bool; NULL becomes null. */
	struct json *(*cell)(const struct table_cell *c);
	/* When cell is NULL: a dotted path into the object. A column of type date shows how long ago it was. */
	const char *path;
	const char *absent; /* JSON to show when the path leads nowhere; NULL: null */
};

struct table {
	const struct resource *resource;
	const struct table_column *columns;
	size_t n_columns;
	enum table_include include;
	size_t n_rows; /* written so far */
};

/* The columns of a built-in resource, or the default ones. */
const struct table_column *table_columns(const struct resource *r, size_t *ret_n);
/* "" or absent: metadata, "Metadata", "Object", "None"; -EINVAL for others. */
int table_include_parse(const char *text, enum table_include *ret);

struct table_meta {
	uint64_t rev;
	const char *next;  /* metadata.continue, or NULL */
	int64_t remaining; /* metadata.remainingItemCount, below 0: unknown */
	bool no_columns;   /* events of a watch after the first */
};
/* columns NULL: those of table_columns(). version is the Table's: "v1" or "v1beta1". */
void table_begin(struct table *t, const struct resource *r, const struct table_column *columns, size_t n_columns,
		 enum table_include include, const char *version, const struct table_meta *meta, struct buf *out);
void table_row(struct table *t, const struct object *o, int64_t now_ns, struct buf *out);
void table_end(struct table *t, struct buf *out);

/* "5s", "3m20s", "2d4h", "<unknown>", "<invalid>": as kubectl prints ages. */
#define TABLE_AGE_MAX 24
char *table_age(const char *since_rfc3339, int64_t now_ns, char out[TABLE_AGE_MAX]);

#endif
