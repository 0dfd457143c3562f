/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cluster.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/meta.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/map.h"
#include "base/status.h"
#include "base/str.h"
#include "node/agent.h"

#define CONFIG_MAX (64 * 1024)
#define RANGES_TRIED 20
#define NODE_CIDR_BITS 24 /* at least so large a range: what upstream gives a node with 110 pods */

/* ---- ranges that nothing on this machine uses yet ---- */

/* Some route other than the default one leads into 10.second.0.0/16 or contains it. */
static bool range_used(int second)
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[512];
	bool used = false;

	while (f && !used && fgets(line, sizeof(line), f)) {
		unsigned destination, mask;
		if (sscanf(line, "%*s %x %*x %*x %*d %*d %*d %x", &destination, &mask) != 2 || !mask)
			continue;
		unsigned range = ntohl(0) | 10u << 24 | (unsigned)second << 16;
		unsigned both = ntohl(mask) & 0xffff0000u;
		used = (ntohl(destination) & both) == (range & both);
	}
	if (f)
		fclose(f);
	return used;
}

/* Pods get 10.N.0.0/16 and Services 10.N+1.0.0/16, from N = 42 (k3s' choice, so people's firewalls know it). */
static void choose_ranges(struct cluster *c)
{
	int n = 42;

	for (int i = 0; i < RANGES_TRIED && (range_used(n) || range_used(n + 1)); i++)
		n += 10;
	c->cluster_cidr = arena_printf(&c->arena, "10.%d.0.0/16", n & 255);
	c->service_cidr = arena_printf(&c->arena, "10.%d.0.0/16", (n + 1) & 255);
}

static const char *nth_address(struct cluster *c, const char *cidr, unsigned n)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr a;

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(cidr, "/"), cidr);
	inet_pton(AF_INET, text, &a);
	a.s_addr = htonl(ntohl(a.s_addr) + n);
	return arena_strdup(&c->arena, inet_ntop(AF_INET, &a, text, sizeof(text)));
}

/* ---- the node ---- */

/* The link that the default route goes out of; "" when there is none. */
static void default_link(char out[IF_NAMESIZE])
{
	FILE *f = fopen("/proc/net/route", "re");
	char line[512], name[IF_NAMESIZE];

	*out = 0;
	while (f && fgets(line, sizeof(line), f)) {
		unsigned destination, mask;
		if (sscanf(line, "%15s %x %*x %*x %*d %*d %*d %x", name, &destination, &mask) == 3 && !destination &&
		    !mask) {
			memcpy(out, name, sizeof(name));
			break;
		}
	}
	if (f)
		fclose(f);
}

/*
 * The address that other machines know this one by: that of the default route's link, else of the first link that is
 * up and not a pod bridge, else loopback.
 */
static const char *find_node_ip(struct cluster *c)
{
	struct ifaddrs *all;
	char preferred[IF_NAMESIZE], text[INET_ADDRSTRLEN];
	const char *best = NULL;

	default_link(preferred);
	if (getifaddrs(&all) < 0)
		return "127.0.0.1";
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP) ||
		    (i->ifa_flags & IFF_LOOPBACK) || str_has_prefix(i->ifa_name, "proa-"))
			continue;
		bool is_preferred = strcmp(i->ifa_name, preferred) == 0;
		if (best && !is_preferred)
			continue;
		inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, text, sizeof(text));
		best = arena_strdup(&c->arena, text);
		if (is_preferred)
			break;
	}
	freeifaddrs(all);
	return best ? best : "127.0.0.1";
}

/* The host's name as a valid node name: lower case, other characters become '-'. */
static const char *find_node_name(struct cluster *c)
{
	char name[HOST_NAME_MAX + 1] = "";

	gethostname(name, sizeof(name) - 1);
	for (char *p = name; *p; p++) {
		*p = (char)tolower((unsigned char)*p);
		if (!isalnum((unsigned char)*p) && *p != '.' && *p != '-')
			*p = '-';
	}
	return name_check_dns1123_subdomain(name) ? "node" : arena_strdup(&c->arena, name);
}

/* ---- loading ---- */

static const char *absolute(struct cluster *c, const char *path)
{
	char cwd[PATH_MAX];

	if (*path == '/' || !getcwd(cwd, sizeof(cwd)))
		return arena_strdup(&c->arena, path);
	return arena_printf(&c->arena, "%s/%s", cwd, path);
}

static int read_config(struct cluster *c, struct json **ret, struct status *err)
{
	const char *path = cluster_path(c, c->data_dir, "cluster.json");
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json_error why;

	*ret = NULL;
	int r = fs_read(path, CONFIG_MAX, &text);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return status_set(err, 500, "cannot read %s: %s", path, strerror(-r));
	if (json_parse(&c->arena, buf_str(&text), text.len, ret, &why) < 0)
		return status_set(err, 500, "%s is not valid JSON: %s at byte %zu", path, why.message, why.offset);
	return 0;
}

static const char *pick(struct cluster *c, const char *flag, const struct json *config, const char *member)
{
	const char *kept = json_path_str(config, member);
	return flag ? arena_strdup(&c->arena, flag) : kept ? arena_strdup(&c->arena, kept) : NULL;
}

static int check_listen(struct cluster *c, struct status *err)
{
	const char *colon = strrchr(c->listen, ':');
	int64_t port;

	if (!colon || colon == c->listen || parse_int_range(colon + 1, 1, 65535, &port) < 0)
		return status_set(err, 400, "--listen must be ADDRESS:PORT with a port from 1 to 65535, not \"%s\"",
				  c->listen);
	struct in_addr a;
	if (inet_pton(AF_INET, cluster_host(c), &a) != 1)
		return status_set(err, 400, "--listen must begin with a numeric IPv4 address, not \"%s\"", c->listen);
	return 0;
}

/* AGENT_PODS_MAX_DEFAULT unless said now or earlier. */
static int pick_pods_max(struct cluster *c, const char *flag, const struct json *config, struct status *err)
{
	int64_t n = json_path_int(config, "maxPods", AGENT_PODS_MAX_DEFAULT);

	if (flag && parse_int_range(flag, 1, CLUSTER_PODS_MAX, &n) < 0)
		return status_set(err, 400, "--max-pods must be 1 to %d, not \"%s\"", CLUSTER_PODS_MAX, flag);
	c->pods_max = (unsigned)MIN_OF(MAX_OF(n, 1), CLUSTER_PODS_MAX);
	return 0;
}

int cluster_load(const struct cluster_flags *f, struct cluster *c, struct status *err)
{
	struct json *config;

	*c = (struct cluster){.arena = ARENA_INIT};
	c->data_dir = absolute(c, str_or(f->data_dir, CLUSTER_DATA_DIR));
	if (read_config(c, &config, err) < 0)
		return -1;
	c->existed = config != NULL;
	const char *id = json_path_str(config, "id");
	c->id = id ? arena_strdup(&c->arena, id)
		   : arena_printf(&c->arena, "%08x", fnv32a(c->data_dir, strlen(c->data_dir)));
	c->run_dir = pick(c, f->run_dir, config, "runDir");
	c->run_dir = c->run_dir ? absolute(c, c->run_dir) : arena_printf(&c->arena, "/run/proa/%s", c->id);
	c->kubeconfig = pick(c, f->kubeconfig, config, "kubeconfig");
	c->kubeconfig = c->kubeconfig ? absolute(c, c->kubeconfig) : cluster_path(c, c->data_dir, "admin.kubeconfig");
	c->listen = str_or(pick(c, f->listen, config, "listen"), CLUSTER_LISTEN);
	if (check_listen(c, err) < 0)
		return -1;
	c->node_name = pick(c, f->node_name, config, "nodeName");
	if (!c->node_name)
		c->node_name = find_node_name(c);
	const char *bad = name_check_dns1123_subdomain(c->node_name);
	if (bad)
		return status_set(err, 400, "--node-name \"%s\": %s", c->node_name, bad);
	/* Not kept: a machine may have another address tomorrow. */
	c->node_ip = f->node_ip ? arena_strdup(&c->arena, f->node_ip) : find_node_ip(c);
	c->cluster_cidr = pick(c, NULL, config, "clusterCIDR");
	c->service_cidr = pick(c, NULL, config, "serviceCIDR");
	if (!c->cluster_cidr || !c->service_cidr)
		choose_ranges(c);
	c->kubernetes_ip = nth_address(c, c->service_cidr, 1);
	c->dns_ip = nth_address(c, c->service_cidr, 10);
	return pick_pods_max(c, f->pods_max, config, err);
}

int cluster_save(const struct cluster *c, struct status *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json *o = json_new(&a, JSON_OBJECT);

	json_set_str(&a, o, "id", c->id);
	json_set_str(&a, o, "runDir", c->run_dir);
	json_set_str(&a, o, "kubeconfig", c->kubeconfig);
	json_set_str(&a, o, "listen", c->listen);
	json_set_str(&a, o, "nodeName", c->node_name);
	json_set_str(&a, o, "clusterCIDR", c->cluster_cidr);
	json_set_str(&a, o, "serviceCIDR", c->service_cidr);
	json_set_int(&a, o, "maxPods", c->pods_max);
	json_write_pretty(&text, o);
	buf_addc(&text, '\n');
	const char *path = arena_printf(&a, "%s/cluster.json", c->data_dir);
	int r = fs_write_atomic(path, text.data, text.len, 0644);
	return r < 0 ? status_set(err, 500, "cannot write %s: %s", path, strerror(-r)) : 0;
}

void cluster_release(struct cluster *c)
{
	arena_release(&c->arena);
}

const char *cluster_path(struct cluster *c, const char *dir, const char *rest)
{
	return arena_printf(&c->arena, "%s/%s", dir, rest);
}

int cluster_port(const struct cluster *c)
{
	return atoi(strrchr(c->listen, ':') + 1);
}

int cluster_node_cidr_bits(const struct cluster *c)
{
	int bits = NODE_CIDR_BITS;

	while ((1u << (32 - bits)) - 2 < 2 * c->pods_max)
		bits--;
	return bits;
}

const char *cluster_host(struct cluster *c)
{
	return arena_strndup(&c->arena, c->listen, (size_t)(strrchr(c->listen, ':') - c->listen));
}

const char *cluster_url(struct cluster *c)
{
	const char *host = cluster_host(c);
	return arena_printf(&c->arena, "https://%s:%d", str_eq(host, "0.0.0.0") ? "127.0.0.1" : host, cluster_port(c));
}
