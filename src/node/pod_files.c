/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pod_files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/meta.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/status.h"
#include "base/str.h"
#include "base/vec.h"
#include "node/agent_internal.h"
#include "node/pod.h"

#define HOST_FILE_MAX (1u << 20) /* some people block advertising with large hosts files */
#define HOSTNAME_MAX 63		 /* HOST_NAME_MAX is 64; upstream cuts at a DNS label */

/* ---- /etc/hosts ---- */

void hosts_file(struct buf *out, const struct json *pod, const char *hostname, const char *ip, const char *domain,
		const char *host)
{
	const char *subdomain = json_path_str(pod, "spec.subdomain");

	if (json_path_bool(pod, "spec.hostNetwork", false)) {
		buf_adds(out, "# Kubernetes-managed hosts file (host network).\n");
		buf_adds(out, str_or(host, ""));
	} else {
		buf_adds(out, "# Kubernetes-managed hosts file.\n"
			      "127.0.0.1\tlocalhost\n"
			      "::1\tlocalhost ip6-localhost ip6-loopback\n"
			      "fe00::0\tip6-localnet\n"
			      "fe00::0\tip6-mcastprefix\n"
			      "fe00::1\tip6-allnodes\n"
			      "fe00::2\tip6-allrouters\n");
		if (!str_empty(ip) && !str_empty(subdomain))
			buf_addf(out, "%s\t%s.%s.%s.svc.%s\t%s\n", ip, hostname, subdomain, meta_ns(pod), domain,
				 hostname);
		else if (!str_empty(ip))
			buf_addf(out, "%s\t%s\n", ip, hostname);
	}
	if (json_len(json_path(pod, "spec.hostAliases")))
		buf_adds(out, "\n# Entries added by HostAliases.\n");
	JSON_EACH(alias, json_path(pod, "spec.hostAliases")) {
		buf_adds(out, str_or(json_path_str(alias, "ip"), ""));
		JSON_EACH(name, json_get(alias, "hostnames"))
			buf_addf(out, "\t%s", str_or(json_str(name), ""));
		buf_addc(out, '\n');
	}
}

/* ---- /etc/resolv.conf ---- */

struct resolv {
	struct arena arena;
	VEC(const char *) servers, searches, options;
};

static void resolv_release(struct resolv *r)
{
	VEC_RELEASE(&r->servers);
	VEC_RELEASE(&r->searches);
	VEC_RELEASE(&r->options);
	arena_release(&r->arena);
}

/* Adds a word once, up to max. */
#define ADD_ONCE(v, word, max)                                                                                         \
	do {                                                                                                           \
		bool there_ = (v)->n >= (max);                                                                         \
		VEC_EACH(w_, v)                                                                                        \
			there_ |= str_eq(*w_, (word));                                                                 \
		if (!there_)                                                                                           \
			VEC_PUSH(v, (word));                                                                           \
	} while (0)
#define OPTIONS_MAX 64 /* far more than resolv.conf(5) knows */

/* "ndots:5" replaces another "ndots:…". */
static void add_option(struct resolv *r, const char *option)
{
	size_t n = strcspn(option, ":");

	VEC_EACH(o, &r->options) {
		if (strcspn(*o, ":") == n && memcmp(*o, option, n) == 0) {
			*o = option;
			return;
		}
	}
	ADD_ONCE(&r->options, option, OPTIONS_MAX);
}

static void read_host(struct resolv *r, const char *text, bool searches_only)
{
	char *copy = arena_strdup(&r->arena, text), *line_end;

	for (char *line = strtok_r(copy, "\n", &line_end); line; line = strtok_r(NULL, "\n", &line_end)) {
		char *end, *key = strtok_r(line, " \t\r", &end), *word;

		if (!key || key[0] == '#' || key[0] == ';')
			continue;
		while ((word = strtok_r(NULL, " \t\r", &end))) {
			if (str_eq(key, "search") || str_eq(key, "domain"))
				ADD_ONCE(&r->searches, word, RESOLV_SEARCHES_MAX);
			else if (str_eq(key, "nameserver") && !searches_only)
				ADD_ONCE(&r->servers, word, RESOLV_NAMESERVERS_MAX);
			else if (str_eq(key, "options") && !searches_only)
				add_option(r, word);
		}
	}
}

static void add_cluster(struct resolv *r, const struct json *pod, const char *dns, const char *domain)
{
	ADD_ONCE(&r->servers, dns, RESOLV_NAMESERVERS_MAX);
	ADD_ONCE(&r->searches, arena_printf(&r->arena, "%s.svc.%s", meta_ns(pod), domain), RESOLV_SEARCHES_MAX);
	ADD_ONCE(&r->searches, arena_printf(&r->arena, "svc.%s", domain), RESOLV_SEARCHES_MAX);
	ADD_ONCE(&r->searches, domain, RESOLV_SEARCHES_MAX);
	add_option(r, "ndots:5");
}

static void add_config(struct resolv *r, const struct json *config)
{
	JSON_EACH(s, json_get(config, "nameservers"))
		ADD_ONCE(&r->servers, str_or(json_str(s), ""), RESOLV_NAMESERVERS_MAX);
	JSON_EACH(s, json_get(config, "searches"))
		ADD_ONCE(&r->searches, str_or(json_str(s), ""), RESOLV_SEARCHES_MAX);
	JSON_EACH(o, json_get(config, "options")) {
		const char *name = str_or(json_path_str(o, "name"), ""), *value = json_path_str(o, "value");

		add_option(r, str_empty(value) ? name : arena_printf(&r->arena, "%s:%s", name, value));
	}
}

void resolv_file(struct buf *out, const struct json *pod, const char *dns, const char *domain, const char *host)
{
	_cleanup_(resolv_release) struct resolv r = {0};
	const char *policy = str_or(json_path_str(pod, "spec.dnsPolicy"), "ClusterFirst");
	bool host_network = json_path_bool(pod, "spec.hostNetwork", false);
	bool cluster = str_eq(policy, "ClusterFirstWithHostNet") || (str_eq(policy, "ClusterFirst") && !host_network);

	if (cluster && dns)
		add_cluster(&r, pod, dns, domain);
	if (!str_eq(policy, "None"))
		read_host(&r, str_or(host, ""), cluster && dns);
	add_config(&r, json_path(pod, "spec.dnsConfig"));
	if (r.searches.n) {
		buf_adds(out, "search");
		VEC_EACH(s, &r.searches)
			buf_addf(out, " %s", *s);
		buf_addc(out, '\n');
	}
	VEC_EACH(s, &r.servers)
		buf_addf(out, "nameserver %s\n", *s);
	if (r.options.n) {
		buf_adds(out, "options");
		VEC_EACH(o, &r.options)
			buf_addf(out, " %s", *o);
		buf_addc(out, '\n');
	}
}

/* ---- writing them ---- */

const char *pod_hostname(const struct json *tree, struct arena *a)
{
	const char *name = json_path_str(tree, "spec.hostnameOverride");
	char *cut;
	size_t n;

	if (str_empty(name))
		name = json_path_str(tree, "spec.hostname");
	if (str_empty(name))
		name = meta_name(tree);
	cut = arena_strndup(a, name, MIN_OF(strlen(name), HOSTNAME_MAX));
	for (n = strlen(cut); n > 0 && (cut[n - 1] == '-' || cut[n - 1] == '.'); n--)
		cut[n - 1] = 0;
	return cut;
}

static int write_one(const char *path, const struct buf *content, struct status *err)
{
	int r = fs_write_replace(path, buf_str(content), content->len, 0644);

	if (r == 0 && chmod(path, 0644) < 0)
		r = -errno;
	if (r < 0)
		status_set(err, 500, "cannot write %s: %s", path, strerror(-r));
	return r;
}

int pod_files_write(struct pod *p, const struct json *tree, struct arena *a, struct pod_files *ret, struct status *err)
{
	_cleanup_buf_ struct buf host = BUF_INIT, out = BUF_INIT;
	const char *domain = p->agent->cfg.cluster_domain;
	struct pod_files f = {
	    .hosts = arena_printf(a, "%s/etc-hosts", p->dir),
	    .resolv = arena_printf(a, "%s/resolv.conf", p->dir),
	    .hostname = arena_printf(a, "%s/hostname", p->dir),
	    .hostname_text = pod_hostname(tree, a),
	};
	char node[HOSTNAME_MAX + 2];
	int r;

	if (p->host_network && gethostname(node, sizeof(node)) == 0)
		f.hostname_text = arena_strdup(a, node);
	/* Written in place once: the containers hold the inode, so they must not be replaced under them. */
	if (access(f.hosts, F_OK) == 0 && access(f.resolv, F_OK) == 0 && access(f.hostname, F_OK) == 0) {
		*ret = f;
		return 0;
	}
	if (p->host_network)
		fs_read("/etc/hosts", HOST_FILE_MAX, &host);
	hosts_file(&out, tree, f.hostname_text, p->ip, domain, buf_str(&host));
	r = write_one(f.hosts, &out, err);
	buf_clear(&out);
	buf_clear(&host);
	fs_read("/etc/resolv.conf", HOST_FILE_MAX, &host);
	resolv_file(&out, tree, p->agent->cfg.cluster_dns, domain, buf_str(&host));
	if (r == 0)
		r = write_one(f.resolv, &out, err);
	buf_clear(&out);
	buf_addf(&out, "%s\n", f.hostname_text);
	if (r == 0)
		r = write_one(f.hostname, &out, err);
	if (r == 0)
		*ret = f;
	return r;
}
