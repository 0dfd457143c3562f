/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/net_devices.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/str.h"
#include "oci/container.h"
#include "oci/error.h"
#include "oci/namespaces.h"

#define ANSWER_MAX 32768     /* what the kernel sends at once of a long list */
#define NUMBERS_MAX 32768    /* of a template, as in the kernel */
#define ADDRESSES_MAX 262144 /* bytes of one interface's addresses */

int net_loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		return oci_fail(-errno, "bringing the loopback interface up");
	return 0;
}

bool net_devices_any(const struct container *c)
{
	return json_len(json_path(c->config, "linux.netDevices")) > 0;
}

/* ---- rtnetlink ---- */

static int open_netlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return fd < 0 ? -errno : fd;
}

static void begin(struct buf *b, uint16_t type, uint16_t flags, const void *head, size_t n)
{
	struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
	buf_add(b, &h, sizeof(h));
	buf_add(b, head, n);
}

static void put(struct buf *b, uint16_t type, const void *data, size_t n)
{
	static const char zeros[RTA_ALIGNTO];
	struct rtattr a = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(n)};
	buf_add(b, &a, sizeof(a));
	buf_add(b, data, n);
	buf_add(b, zeros, RTA_ALIGN(n) - n);
}

static int send_request(int fd, struct buf *b)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)b->data;
	h->nlmsg_len = (uint32_t)b->len;
	return send(fd, b->data, b->len, 0) < 0 ? -errno : 0;
}

static int error_of(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);
	return h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) ? -EBADMSG : e->error;
}

static int ask(int fd, struct buf *b)
{
	_Alignas(struct nlmsghdr) char answer[1024];
	int r = send_request(fd, b);
	ssize_t n = r < 0 ? 0 : recv(fd, answer, sizeof(answer), 0);
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)answer;
	if (r < 0 || n < 0)
		return r < 0 ? r : -errno;
	return NLMSG_OK(h, (size_t)n) && h->nlmsg_type == NLMSG_ERROR ? error_of(h) : -EBADMSG;
}

/* ---- addresses ---- */

/* Those that its user has given it and that mean something elsewhere; the others come and go with a network. */
static bool goes_along(const struct nlmsghdr *h, int index)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	uint32_t flags = m->ifa_flags;
	size_t left = IFA_PAYLOAD(h);
	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFA_FLAGS)
			memcpy(&flags, RTA_DATA(a), sizeof(flags));
	return (int)m->ifa_index == index && m->ifa_scope == RT_SCOPE_UNIVERSE && flags & IFA_F_PERMANENT;
}

/* As the request that gives it to an interface, whose number is not known yet. */
static void keep_address(const struct nlmsghdr *h, struct buf *out)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	struct ifaddrmsg head = {.ifa_family = m->ifa_family, .ifa_prefixlen = m->ifa_prefixlen};
	size_t left = IFA_PAYLOAD(h), from = out->len;
	begin(out, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFA_ADDRESS || a->rta_type == IFA_LOCAL || a->rta_type == IFA_BROADCAST)
			put(out, a->rta_type, RTA_DATA(a), RTA_PAYLOAD(a));
	if (!buf_failed(out))
		((struct nlmsghdr *)(void *)(out->data + from))->nlmsg_len = (uint32_t)(out->len - from);
}

static int read_addresses(int fd, int index, struct buf *out)
{
	static _Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct ifaddrmsg any = {.ifa_family = AF_UNSPEC};
	begin(&b, RTM_GETADDR, NLM_F_DUMP, &any, sizeof(any));
	int r = send_request(fd, &b);
	while (r == 0) {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);
		if (got < 0)
			return -errno;
		size_t n = (size_t)got;
		for (const struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return buf_failed(out) ? -E2BIG : 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return error_of(h);
			if (h->nlmsg_type == RTM_NEWADDR && goes_along(h, index))
				keep_address(h, out);
		}
	}
	return r;
}

static int give_addresses(int fd, int index, const struct buf *all)
{
	for (size_t at = 0; at < all->len;) {
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)(all->data + at);
		_cleanup_buf_ struct buf b = BUF_INIT;
		((struct ifaddrmsg *)NLMSG_DATA(h))->ifa_index = (unsigned)index;
		buf_add(&b, h, h->nlmsg_len);
		at += h->nlmsg_len;
		int r = ask(fd, &b);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- one interface ---- */

static bool valid_name(const char *name)
{
	for (const char *c = name; *c; c++)
		if (*c == '/' || *c == ':' || isspace((unsigned char)*c))
			return false;
	return *name && strlen(name) < IFNAMSIZ && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* In the namespace of the socket. 0: there is none. */
static int index_of(int fd, const char *name)
{
	struct ifreq r = {0};
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return ioctl(fd, SIOCGIFINDEX, &r) < 0 ? 0 : r.ifr_ifindex;
}

/* The name it will have: a template's first that is free. */
static int choose_name(int there, const char *wanted, char out[IFNAMSIZ])
{
	const char *number = strstr(wanted, "%d");
	for (int i = 0; i < NUMBERS_MAX; i++) {
		int n = number ? snprintf(out, IFNAMSIZ, "%.*s%d%s", (int)(number - wanted), wanted, i, number + 2)
			       : snprintf(out, IFNAMSIZ, "%s", wanted);
		if (n >= IFNAMSIZ)
			return -ENAMETOOLONG;
		if (!index_of(there, out))
			return 0;
		if (!number)
			break;
	}
	return -EEXIST;
}

static int move_link(int here, int index, const char *name, int namespace)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct ifinfomsg head = {.ifi_index = index};
	uint32_t fd = (uint32_t) namespace;
	begin(&b, RTM_NEWLINK, NLM_F_ACK, &head, sizeof(head));
	put(&b, IFLA_IFNAME, name, strlen(name) + 1);
	put(&b, IFLA_NET_NS_FD, &fd, sizeof(fd));
	return ask(here, &b);
}

static int set_up(int there, int index)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct ifinfomsg head = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	begin(&b, RTM_NEWLINK, NLM_F_ACK, &head, sizeof(head));
	return ask(there, &b);
}

static int move_one(const struct json *device, int here, int there, int namespace)
{
	_cleanup_buf_ struct buf addresses = BUF_INIT;
	const char *old = device->key, *wanted = json_path_str(device, "name");
	char name[IFNAMSIZ];
	buf_init(&addresses, ADDRESSES_MAX);
	if (str_empty(wanted))
		wanted = old;
	if (!valid_name(old) || !valid_name(wanted))
		return oci_fail(0, "linux.netDevices: \"%s\" is not a name of an interface",
				valid_name(old) ? wanted : old);
	int index = index_of(here, old);
	if (!index)
		return oci_fail(-ENODEV, "linux.netDevices: %s", old);
	int r = choose_name(there, wanted, name);
	if (r < 0)
		return oci_fail(r, "linux.netDevices: %s: name %s in the container", old, wanted);
	r = read_addresses(here, index, &addresses);
	if (r == 0)
		r = move_link(here, index, name, namespace);
	if (r < 0)
		return oci_fail(r, "linux.netDevices: moving %s", old);
	index = index_of(there, name);
	r = give_addresses(there, index, &addresses);
	if (r == 0)
		r = set_up(there, index);
	return r < 0 ? oci_fail(r, "linux.netDevices: setting %s up as %s", old, name) : 0;
}

/* A socket stays in the namespace that it was made in. */
static int open_netlink_in(int namespace)
{
	_cleanup_close_ int own = namespace_open_own(CLONE_NEWNET);
	if (own < 0)
		return own;
	int fd = setns(namespace, CLONE_NEWNET) < 0 ? -errno : open_netlink();
	return setns(own, CLONE_NEWNET) < 0 ? -errno : fd;
}

int net_devices_move(const struct container *c, pid_t pid)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	_cleanup_close_ int namespace = open(path, O_RDONLY | O_CLOEXEC), here = open_netlink();
	if (namespace < 0 || here < 0)
		return oci_fail(namespace < 0 ? -errno : here, "linux.netDevices: the container's network namespace");
	_cleanup_close_ int there = open_netlink_in(namespace);
	if (there < 0)
		return oci_fail(there, "linux.netDevices: entering the container's network namespace");
	JSON_EACH(d, json_path(c->config, "linux.netDevices")) {
		int r = move_one(d, here, there, namespace);
		if (r < 0)
			return r;
	}
	return 0;
}
