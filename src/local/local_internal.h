/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROA_LOCAL_INTERNAL_H
#define PROA_LOCAL_INTERNAL_H

#include "local/local.h"

struct status;

int local_fail(char *err, size_t err_len, int r, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* ---- waiting for one answer of the runtime ---- */
struct local_answer {
	struct loop *loop;
	bool done;
	int code; /* of the error; 0: none */
	char message[LOCAL_ERR_MAX];
};
void local_answered(void *arg, const struct status *err); /* a runtime_done_fn, arg: struct local_answer */
/* 0, or negative errno by the code, with the message. */
int local_await(struct local_answer *a, char *err, size_t err_len);

/* ---- records ---- */
char *local_path(const struct local *l, const char *id, const char *name); /* STATE/<id>/<name> */
int local_record_save(struct local *l, const struct local_record *r);
struct local_record *local_record_load(struct local *l, const char *id); /* NULL: there is none that is complete */
void local_record_free(struct local_record *r);
/* The lock of a container that is being made, run by a command, or removed. make: its directory, too. Negative errno.
 */
int local_lock(struct local *l, const char *id, bool make);
/* Held shortly: while a name is taken, or what is abandoned is found. A descriptor. */
int local_lock_all(struct local *l);
bool local_name_taken(struct local *l, const char *name);

/* Connects to its shim, if it has one. */
int local_attach_runtime(struct local_container *c, bool fresh, char *err, size_t err_len);
/* Everything that is of it: shim, address, files, record. */
void local_discard(struct local_container *c);

/* ---- what it is to be (spec.c) ---- */
struct local_spec {
	struct pod_spec pod;
	struct container_spec container;
	struct spec_mount mounts[128];
};
struct image;
int local_spec_fill(struct local *l, struct arena *a, const struct local_options *o, const struct image *image,
		    const char *id, struct local_spec *ret, char *err, size_t err_len);
const char *local_hostname(struct arena *a, const struct local_options *o, const char *id);
/* /etc/hosts and its like, once the address is known. */
int local_write_files(struct local *l, const char *id, const char *hostname, const char *ip, const char *const *hosts,
		      char *err, size_t err_len);

#endif
