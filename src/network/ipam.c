/* SPDX-License-Identifier: Apache-2.0 */
#include "network/ipam.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#define OWNER_MAX 253

struct ipam {
	uint32_t first, size; /* host byte order; the network address and the number of addresses */
	uint32_t next;	      /* offset to try first */
	int prefix_len;
	char *dir;
	struct map by_owner;  /* owner → offset, as a pointer-sized integer */
	unsigned char *taken; /* one bit an address */
};

int cidr_parse(const char *s, uint32_t *ret_be, int *ret_len)
{
	const char *slash = s ? strchr(s, '/') : NULL;
	int64_t len;
	struct in_addr address;

	if (!slash || slash - s > 15 || parse_int_range(slash + 1, 0, 32, &len) < 0)
		return -EINVAL;
	char text[16];
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = 0;
	if (inet_pton(AF_INET, text, &address) != 1)
		return -EINVAL;
	uint32_t mask = len ? UINT32_MAX << (32 - len) : 0;
	*ret_be = address.s_addr & htonl(mask);
	*ret_len = (int)len;
	return 0;
}

static bool is_taken(const struct ipam *i, uint32_t offset)
{
	return i->taken[offset / 8] & 1u << offset % 8;
}

static void mark(struct ipam *i, uint32_t offset, const char *owner)
{
	i->taken[offset / 8] |= (unsigned char)(1u << offset % 8);
	map_set(&i->by_owner, owner, (void *)(uintptr_t)offset);
}

static char *path_of(const struct ipam *i, uint32_t offset)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr address = {htonl(i->first + offset)};

	return xasprintf("%s/%s", i->dir, inet_ntop(AF_INET, &address, text, sizeof(text)));
}

static void forget(struct ipam *i, uint32_t offset)
{
	_cleanup_free_ char *path = path_of(i, offset);

	unlink(path);
	i->taken[offset / 8] &= (unsigned char)~(1u << offset % 8);
}

/* One remembered address; a file that says nothing sensible (a crash while it was written) is removed. */
static void load(struct ipam *i, const char *name)
{
	struct in_addr address;
	_cleanup_buf_ struct buf owner = BUF_INIT;
	_cleanup_free_ char *path = xasprintf("%s/%s", i->dir, name);
	uint32_t offset = 0;

	bool good = inet_pton(AF_INET, name, &address) == 1 && fs_read(path, OWNER_MAX, &owner) == 0 && owner.len;
	if (good) {
		offset = ntohl(address.s_addr) - i->first;
		good = offset >= 2 && offset + 1 < i->size && !map_has(&i->by_owner, owner.data);
	}
	if (good) {
		mark(i, offset, owner.data);
		return;
	}
	log_warn("removing an unusable address reservation file=%s", path);
	unlink(path);
}

int ipam_new(const char *cidr, const char *dir, struct ipam **ret)
{
	uint32_t first;
	int len;

	if (cidr_parse(cidr, &first, &len) < 0 || len < IPAM_PREFIX_MIN || len > 29)
		return -EINVAL;
	int r = fs_mkdir_p(dir, 0700);
	if (r < 0)
		return r;
	DIR *d = opendir(dir);
	if (!d)
		return -errno;
	struct ipam *i = NEW(struct ipam);
	i->first = ntohl(first);
	i->size = 1u << (32 - len);
	i->prefix_len = len;
	i->next = 2;
	i->dir = xstrdup(dir);
	i->taken = xcalloc(i->size / 8 + 1, 1);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			load(i, e->d_name);
	closedir(d);
	*ret = i;
	return 0;
}

void ipam_free(struct ipam *i)
{
	if (!i)
		return;
	map_release(&i->by_owner, NULL);
	free(i->taken);
	free(i->dir);
	free(i);
}

int ipam_take(struct ipam *i, const char *owner, uint32_t *ret_be, bool *ret_new)
{
	bool known = map_has(&i->by_owner, owner);
	uint32_t offset = (uint32_t)(uintptr_t)map_get(&i->by_owner, owner);

	if (!known) {
		uint32_t tries = i->size;
		for (offset = i->next; tries; tries--, offset = offset + 1) {
			if (offset + 1 >= i->size)
				offset = 2;
			if (!is_taken(i, offset))
				break;
		}
		if (!tries)
			return -ENOSPC;
		_cleanup_free_ char *path = path_of(i, offset);
		int r = fs_write_replace(path, owner, strlen(owner), 0600);
		if (r < 0)
			return r;
		mark(i, offset, owner);
		i->next = offset + 1;
	}
	*ret_be = htonl(i->first + offset);
	*ret_new = !known;
	return 0;
}

void ipam_give(struct ipam *i, const char *owner)
{
	if (!map_has(&i->by_owner, owner))
		return;
	forget(i, (uint32_t)(uintptr_t)map_remove(&i->by_owner, owner));
}

void ipam_collect(struct ipam *i, bool (*keep)(void *arg, const char *owner), void *arg)
{
	struct map kept = MAP_INIT;

	MAP_EACH(s, &i->by_owner) {
		if (keep(arg, s->key))
			map_set(&kept, s->key, s->value);
		else
			forget(i, (uint32_t)(uintptr_t)s->value);
	}
	map_release(&i->by_owner, NULL);
	i->by_owner = kept;
}

uint32_t ipam_gateway(const struct ipam *i)
{
	return htonl(i->first + 1);
}

int ipam_prefix_len(const struct ipam *i)
{
	return i->prefix_len;
}
