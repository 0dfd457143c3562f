/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/passwd.h"

#include <errno.h>
#include <string.h>

#define FIELDS 7

struct line {
	const char *field[FIELDS];
	size_t len[FIELDS];
	int n;
};

/* The next line with its ':'-separated fields; NULL at the end. Fields beyond FIELDS are left out. */
static const char *next_line(const char *at, struct line *l)
{
	if (!*at)
		return NULL;
	const char *end = at + strcspn(at, "\n");
	l->n = 0;
	for (const char *p = at; l->n < FIELDS;) {
		size_t n = 0;
		while (p + n < end && p[n] != ':')
			n++;
		l->field[l->n] = p;
		l->len[l->n++] = n;
		if (p + n >= end)
			break;
		p += n + 1;
	}
	return *end ? end + 1 : end;
}

/* Decimal digits only, within the range of an id. */
static bool id_of(const char *s, size_t len, uint32_t *ret)
{
	uint64_t n = 0;
	if (!len || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(s[i] - '0');
	}
	if (n > PASSWD_ID_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool is(const struct line *l, int i, const char *s, size_t len)
{
	return i < l->n && l->len[i] == len && !memcmp(l->field[i], s, len);
}

/* Takes uid, gid, home from a passwd line; false when it is malformed. */
static bool take_user(const struct line *l, struct user *u)
{
	uint32_t uid, gid;
	if (l->n < 4 || !l->len[0] || !id_of(l->field[2], l->len[2], &uid) || !id_of(l->field[3], l->len[3], &gid))
		return false;
	u->uid = uid;
	u->gid = gid;
	if (l->n > 5 && l->len[5] < sizeof(u->home) && l->len[5] && l->field[5][0] == '/') {
		memcpy(u->home, l->field[5], l->len[5]);
		u->home[l->len[5]] = 0;
	}
	return true;
}

static bool member(const struct line *l, const char *name, size_t len)
{
	if (l->n < 4)
		return false;
	const char *end = l->field[3] + l->len[3];
	for (const char *p = l->field[3]; p < end;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t n = (size_t)((comma ? comma : end) - p);
		if (n == len && !memcmp(p, name, n))
			return true;
		p += n + 1;
	}
	return false;
}

static void add_groups(const char *group, const char *name, size_t len, struct user *u)
{
	struct line l;
	uint32_t gid;
	for (const char *at = group; (at = next_line(at, &l)) && u->n_groups < PASSWD_GROUPS_MAX;)
		if (member(&l, name, len) && id_of(l.field[2], l.len[2], &gid))
			u->groups[u->n_groups++] = gid;
}

bool user_by_uid(uid_t uid, const char *passwd, const char *group, struct user *ret)
{
	struct line l;
	for (const char *at = passwd; (at = next_line(at, &l));) {
		struct user u = {0};
		if (!take_user(&l, &u) || u.uid != uid)
			continue;
		add_groups(group, l.field[0], l.len[0], &u);
		*ret = u;
		return true;
	}
	return false;
}

static bool user_by_name(const char *name, size_t len, const char *passwd, const char *group, struct user *ret)
{
	struct line l;
	for (const char *at = passwd; (at = next_line(at, &l));) {
		struct user u = {0};
		if (!is(&l, 0, name, len) || !take_user(&l, &u))
			continue;
		add_groups(group, name, len, &u);
		*ret = u;
		return true;
	}
	return false;
}

int user_resolve(const char *spec, const char *passwd, const char *group, struct user *ret, const char **ret_what)
{
	struct user u = {0};
	const char *colon = strchr(spec, ':');
	size_t len = colon ? (size_t)(colon - spec) : strlen(spec);
	uint32_t id;
	if (len > 255 || (colon && (!colon[1] || strlen(colon + 1) > 255)))
		return -EINVAL;
	*ret_what = spec;
	if (!len) {
		user_by_uid(0, passwd, group, &u);
	} else if (id_of(spec, len, &id)) {
		if (!user_by_uid(id, passwd, group, &u))
			u.uid = id;
	} else if (!user_by_name(spec, len, passwd, group, &u)) {
		return -ENOENT;
	}
	if (colon) {
		struct line l;
		bool found = id_of(colon + 1, strlen(colon + 1), &id);
		for (const char *at = group; !found && (at = next_line(at, &l));)
			found = is(&l, 0, colon + 1, strlen(colon + 1)) && l.n > 2 && id_of(l.field[2], l.len[2], &id);
		*ret_what = colon + 1;
		if (!found)
			return -ENOENT;
		u.gid = id;
		u.n_groups = 0; /* an explicit group stands alone, as other runtimes have it */
	}
	*ret = u;
	return 0;
}
