/* SPDX-License-Identifier: Apache-2.0 */
#include "network/netlink.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"

static int open_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return fd < 0 ? -errno : fd;
}

int netlink_open(struct netlink *n, int netns_fd)
{
	_cleanup_close_ int home = -1;

	*n = (struct netlink){.fd = -1};
	if (netns_fd >= 0) {
		home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		if (home < 0)
			return -errno;
		if (setns(netns_fd, CLONE_NEWNET) < 0)
			return -errno;
	}
	n->fd = open_socket();
	if (home >= 0 && setns(home, CLONE_NEWNET) < 0)
		assert(!"the thread's own network namespace must take it back");
	if (n->fd < 0)
		return n->fd;
	int one = 1;
	setsockopt(n->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	return 0;
}

void netlink_close(struct netlink *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

static void *extend(struct netlink_message *m, size_t len)
{
	size_t at = m->len, room = NLMSG_ALIGN(len);

	assert(at + room <= sizeof(m->data));
	memset(m->data + at, 0, room);
	m->len += room;
	((struct nlmsghdr *)m->data)->nlmsg_len = (uint32_t)m->len;
	return m->data + at;
}

void netlink_begin(struct netlink_message *m, uint16_t type, uint16_t flags, const void *header, size_t len)
{
	m->len = 0;
	memset(m->data, 0, sizeof(struct nlmsghdr));
	m->len = NLMSG_HDRLEN;
	struct nlmsghdr *h = (struct nlmsghdr *)m->data;
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	memcpy(extend(m, len), header, len);
}

void netlink_put(struct netlink_message *m, uint16_t attribute, const void *p, size_t len)
{
	struct rtattr *a = extend(m, RTA_LENGTH(len));

	a->rta_type = attribute;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), p, len);
}

void netlink_put_str(struct netlink_message *m, uint16_t attribute, const char *s)
{
	netlink_put(m, attribute, s, strlen(s) + 1);
}

void netlink_put_u32(struct netlink_message *m, uint16_t attribute, uint32_t v)
{
	netlink_put(m, attribute, &v, sizeof(v));
}

size_t netlink_nest(struct netlink_message *m, uint16_t attribute)
{
	size_t at = m->len;
	netlink_put(m, attribute, NULL, 0);
	return at;
}

void netlink_nest_end(struct netlink_message *m, size_t nest)
{
	((struct rtattr *)(m->data + nest))->rta_len = (unsigned short)(m->len - nest);
}

/* Reads one answer: the message that came, or the error that the acknowledgement carries. */
static int receive(struct netlink *n, char *data, size_t size, struct nlmsghdr **ret)
{
	for (;;) {
		ssize_t len = recv(n->fd, data, size, 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		struct nlmsghdr *h = (struct nlmsghdr *)data;
		if (!NLMSG_OK(h, (size_t)len))
			return -EBADMSG;
		if (h->nlmsg_seq != n->sequence)
			continue; /* the answer to a request that was given up */
		*ret = h;
		if (h->nlmsg_type != NLMSG_ERROR)
			return 0;
		return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
	}
}

static int request(struct netlink *n, struct netlink_message *m)
{
	struct nlmsghdr *h = (struct nlmsghdr *)m->data;

	h->nlmsg_seq = ++n->sequence;
	return send(n->fd, m->data, m->len, 0) < 0 ? -errno : 0;
}

int netlink_talk(struct netlink *n, struct netlink_message *m)
{
	_Alignas(8) char answer[NETLINK_MESSAGE_MAX];
	struct nlmsghdr *h;
	int r = request(n, m);

	return r < 0 ? r : receive(n, answer, sizeof(answer), &h);
}

int netlink_link_index(struct netlink *n, const char *name)
{
	struct netlink_message m;
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
	_Alignas(8) char answer[16384];
	struct nlmsghdr *h;

	netlink_begin(&m, RTM_GETLINK, 0, &info, sizeof(info));
	((struct nlmsghdr *)m.data)->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	netlink_put_str(&m, IFLA_IFNAME, name);
	int r = request(n, &m);
	if (r == 0)
		r = receive(n, answer, sizeof(answer), &h);
	if (r < 0)
		return r;
	return h->nlmsg_type == RTM_NEWLINK ? ((struct ifinfomsg *)NLMSG_DATA(h))->ifi_index : -ENODEV;
}

static void begin_new_link(struct netlink_message *m, const char *name)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC};

	netlink_begin(m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	netlink_put_str(m, IFLA_IFNAME, name);
}

int netlink_bridge_new(struct netlink *n, const char *name)
{
	struct netlink_message m;

	begin_new_link(&m, name);
	size_t info = netlink_nest(&m, IFLA_LINKINFO);
	netlink_put(&m, IFLA_INFO_KIND, "bridge", 6);
	netlink_nest_end(&m, info);
	return netlink_talk(n, &m);
}

int netlink_veth_new(struct netlink *n, const char *name, const char *peer, int netns_fd, int master_index)
{
	struct netlink_message m;
	struct ifinfomsg peer_info = {.ifi_family = AF_UNSPEC};

	begin_new_link(&m, name);
	netlink_put_u32(&m, IFLA_MASTER, (uint32_t)master_index);
	size_t info = netlink_nest(&m, IFLA_LINKINFO);
	netlink_put(&m, IFLA_INFO_KIND, "veth", 4);
	size_t data = netlink_nest(&m, IFLA_INFO_DATA);
	size_t inner = netlink_nest(&m, VETH_INFO_PEER);
	memcpy(extend(&m, sizeof(peer_info)), &peer_info, sizeof(peer_info));
	netlink_put_str(&m, IFLA_IFNAME, peer);
	netlink_put_u32(&m, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	netlink_nest_end(&m, inner);
	netlink_nest_end(&m, data);
	netlink_nest_end(&m, info);
	return netlink_talk(n, &m);
}

int netlink_link_up(struct netlink *n, int index)
{
	struct netlink_message m;
	struct ifinfomsg info = {
	    .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

	netlink_begin(&m, RTM_NEWLINK, 0, &info, sizeof(info));
	return netlink_talk(n, &m);
}

int netlink_link_delete(struct netlink *n, int index)
{
	struct netlink_message m;
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index};

	netlink_begin(&m, RTM_DELLINK, 0, &info, sizeof(info));
	return netlink_talk(n, &m);
}

int netlink_address_add(struct netlink *n, int index, uint32_t address_be, int prefix_len)
{
	struct netlink_message m;
	struct ifaddrmsg info = {
	    .ifa_family = AF_INET, .ifa_prefixlen = (unsigned char)prefix_len, .ifa_index = (unsigned)index};
	uint32_t broadcast = prefix_len < 31 ? address_be | htonl(UINT32_MAX >> prefix_len) : 0;

	netlink_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof(info));
	netlink_put_u32(&m, IFA_LOCAL, address_be);
	netlink_put_u32(&m, IFA_ADDRESS, address_be);
	if (broadcast)
		netlink_put_u32(&m, IFA_BROADCAST, broadcast);
	return netlink_talk(n, &m);
}

int netlink_route_add_default(struct netlink *n, uint32_t gateway_be, int index)
{
	struct netlink_message m;
	struct rtmsg info = {.rtm_family = AF_INET,
			     .rtm_table = RT_TABLE_MAIN,
			     .rtm_protocol = RTPROT_STATIC,
			     .rtm_scope = RT_SCOPE_UNIVERSE,
			     .rtm_type = RTN_UNICAST};

	netlink_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &info, sizeof(info));
	netlink_put_u32(&m, RTA_GATEWAY, gateway_be);
	netlink_put_u32(&m, RTA_OIF, (uint32_t)index);
	return netlink_talk(n, &m);
}
