/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files to be copied: what the sources of COPY and ADD name below a root, listed, digested, and written into an image's
 * root. Both roots are hostile (a context may be anybody's, an image is): every path is resolved by the kernel inside
 * them, and devices of a context are no devices.
 */
#ifndef PROA_BUILD_SOURCES_H
#define PROA_BUILD_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/vec.h"

struct patterns;

#define SOURCES_ENTRIES_MAX 2000000u /* as a layer may have */

struct source_entry {
	const char *path; /* below the root that it comes from */
	const char *to;	  /* where it goes, below the destination; "" is the destination itself */
	struct stat st;
	bool alone; /* a source itself, not found in one */
};

struct sources {
	struct arena arena;
	VEC(struct source_entry) entries; /* directories before what is in them, in order of name */
	size_t n_files;			  /* sources that are no directories */
	size_t n_dirs;			  /* sources that are */
};

struct source_options {
	const struct patterns *ignore;	/* of the root's paths; NULL: none */
	const struct patterns *exclude; /* of COPY; likewise */
	bool parents;			/* keep the directories of a source's name: --parents */
};

/*
 * source: relative to root, with wildcards; "" or ".": all of it. A directory stands for what is in it. Adds to t. 0;
 * -ENOENT: nothing there (with wildcards, too); other negative errno with a reason.
 */
int sources_list(struct sources *t, int root, const char *source, const struct source_options *o, char *err,
		 size_t err_len);
void sources_release(struct sources *t);

/*
 * SHA-256 over names, types, modes, links and contents (and owners, when keep_owner): equal trees give equal digests.
 * ret: 65 bytes.
 */
int sources_digest(const struct sources *t, int root, bool keep_owner, char ret[65], char *err, size_t err_len);

struct source_target {
	int root;	  /* of the image */
	const char *dest; /* absolute */
	bool dest_is_dir; /* even when it is not there yet */
	bool keep_owner;  /* of the source; else uid and gid */
	uid_t uid;
	gid_t gid;
	const char *chmod; /* what mode_apply takes, for everything copied; NULL: as it was */
	bool unpack;	   /* files that are archives are unpacked instead: ADD */
};

int sources_copy(const struct sources *t, int root, const struct source_target *to, char *err, size_t err_len);
/* A file with this content: here-documents, and what was fetched. */
int sources_write_file(const struct source_target *to, const char *name, const void *p, size_t len, char *err,
		       size_t err_len);

#endif
