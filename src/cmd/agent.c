/* SPDX-License-Identifier: Apache-2.0 */
/* proa agent: the node agent as a process of its own. */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/yaml.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "client/remote.h"
#include "cmd/cluster.h"
#include "cmd/command.h"
#include "cmd/process.h"
#include "cmd/ready.h"
#include "cmd/version.h"
#include "http/client.h"
#include "io/loop.h"
#include "io/tls.h"
#include "node/agent.h"

#define FILE_MAX (256 * 1024)
#define STOP_GRACE_S 30
#define RELOAD_MS 500 /* a certificate and its key are two files: wait until both are there */
#define TRIM_MS 60000

struct node {
	struct cluster cluster;
	struct arena arena;	/* paths and server address */
	const char *kubeconfig; /* NULL: the local server's pki directory */
	const char *pki_dir;
	const char *address, *server_name;
	struct loop *loop;
	struct tls_context *tls;
	struct http_client *http;
	struct client *client;
	struct agent *agent;
	struct loop_signal *terminate, *interrupt, *stop_pods;
	struct loop_timer *reload, *trim;
	int inotify;
	struct loop_fd *inotify_watch;
	int ready_fd, exit_status;
};

struct material { /* malloc'd PEM texts */
	char *ca, *client_cert, *client_key, *serving_cert, *serving_key;
};

static void material_release(struct material *m)
{
	free(m->ca);
	free(m->client_cert);
	free(m->client_key);
	free(m->serving_cert);
	free(m->serving_key);
}

static int read_pem(const char *dir, const char *name, char **ret, struct status *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = fs_read(path, FILE_MAX, &b);

	if (r < 0)
		return status_set(err, 500, "cannot read %s: %s", path, strerror(-r));
	*ret = buf_steal(&b, NULL);
	return 0;
}

/* ---- credentials ---- */

/* A field of a kubeconfig that holds base64 ("…-data") or names a file. */
static int kubeconfig_pem(const struct json *o, const char *member, char **ret, struct status *err)
{
	_cleanup_free_ char *data_member = xasprintf("%s-data", member);
	_cleanup_buf_ struct buf b = BUF_INIT;
	const char *data = json_path_str(o, data_member), *file = json_path_str(o, member);

	if (data) {
		if (base64_decode(&b, data, strlen(data)) < 0)
			return status_set(err, 400, "the kubeconfig's %s is not base64", data_member);
		*ret = buf_steal(&b, NULL);
		return 0;
	}
	if (!file)
		return status_set(err, 400, "the kubeconfig has no %s", member);
	int r = fs_read(file, FILE_MAX, &b);
	if (r < 0)
		return status_set(err, 500, "cannot read %s: %s", file, strerror(-r));
	*ret = buf_steal(&b, NULL);
	return 0;
}

static int load_kubeconfig(struct node *n, struct material *m, struct status *err)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct json *config;
	struct yaml_error why;
	int r = fs_read(n->kubeconfig, FILE_MAX, &text);

	if (r < 0)
		return status_set(err, 500, "cannot read %s: %s", n->kubeconfig, strerror(-r));
	if (yaml_parse(&a, buf_str(&text), text.len, NULL, NULL, &config, &why) < 0)
		return status_set(err, 400, "%s line %zu: %s", n->kubeconfig, why.line, why.message);
	const struct json *cluster = json_get(json_at(json_get(config, "clusters"), 0), "cluster");
	const struct json *user = json_get(json_at(json_get(config, "users"), 0), "user");
	const char *server = str_after(str_or(json_path_str(cluster, "server"), ""), "https://");
	if (!server)
		return status_set(err, 400, "%s has no cluster with an https:// server", n->kubeconfig);
	n->address = arena_strdup(&n->arena, server);
	n->server_name = arena_strndup(&n->arena, server, strcspn(server, ":/"));
	if (kubeconfig_pem(cluster, "certificate-authority", &m->ca, err) < 0 ||
	    kubeconfig_pem(user, "client-certificate", &m->client_cert, err) < 0)
		return -1;
	return kubeconfig_pem(user, "client-key", &m->client_key, err);
}

static int load_material(struct node *n, struct material *m, struct status *err)
{
	*m = (struct material){0};
	if (n->kubeconfig) {
		if (load_kubeconfig(n, m, err) < 0)
			return -1;
	} else if (read_pem(n->pki_dir, "ca.crt", &m->ca, err) < 0 ||
		   read_pem(n->pki_dir, "agent.crt", &m->client_cert, err) < 0 ||
		   read_pem(n->pki_dir, "agent.key", &m->client_key, err) < 0) {
		return -1;
	}
	if (!n->pki_dir)
		return 0; /* no serving certificate: no kubelet API */
	return read_pem(n->pki_dir, "kubelet.crt", &m->serving_cert, err) < 0
		   ? -1
		   : read_pem(n->pki_dir, "kubelet.key", &m->serving_key, err);
}

static int apply_client_tls(struct node *n, const struct material *m, struct status *err)
{
	static const char *const alpn[] = {"h2", "http/1.1", NULL};
	struct tls_config c = {.cert_pem = m->client_cert, .key_pem = m->client_key, .ca_pem = m->ca, .alpn = alpn};
	char why[256];
	int r =
	    n->tls ? tls_context_reload(n->tls, &c, why, sizeof(why)) : tls_context_new(&c, &n->tls, why, sizeof(why));

	return r < 0 ? status_set(err, 500, "TLS: %s", why) : 0;
}

static void on_reload(void *arg)
{
	struct node *n = arg;
	struct material m;
	_cleanup_status_ struct status err = STATUS_INIT;
	char why[256] = "";

	if (load_material(n, &m, &err) < 0 || apply_client_tls(n, &m, &err) < 0) {
		log_error("renewed certificates cannot be used error=\"%s\"", err.message);
	} else {
		struct agent_tls t = {m.serving_cert, m.serving_key, m.ca};
		if (t.cert_pem && agent_reload_tls(n->agent, &t, why, sizeof(why)) < 0)
			log_error("the renewed serving certificate cannot be used error=\"%s\"", why);
		else
			log_info("certificates reloaded");
	}
	material_release(&m);
}

static void on_files_changed(void *arg, int events)
{
	struct node *n = arg;
	_Alignas(struct inotify_event) char data[4096];

	(void)events;
	while (read(n->inotify, data, sizeof(data)) > 0)
		;
	loop_timer_start(n->reload, RELOAD_MS);
}

/* The server renews certificates in its directory; a rename there is the news. */
static void watch_files(struct node *n)
{
	n->reload = loop_timer_new(n->loop, on_reload, n);
	n->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (!n->pki_dir || n->inotify < 0 || inotify_add_watch(n->inotify, n->pki_dir, IN_MOVED_TO) < 0)
		return;
	n->inotify_watch = loop_fd_new(n->loop, n->inotify, LOOP_READABLE, on_files_changed, n);
}

/* ---- life ---- */

static void on_ready(void *arg)
{
	struct node *n = arg;

	log_info("node ready node=%s", n->cluster.node_name);
	ready_tell(&n->ready_fd, str_or(agent_address(n->agent), "ready"));
	malloc_trim(0);
}

static void on_failed(void *arg, const char *message)
{
	struct node *n = arg;

	log_error("the node agent cannot go on error=\"%s\"", message);
	n->exit_status = 1;
	loop_stop(n->loop);
}

/* SIGTERM, SIGINT: leave; pods keep running and are adopted by the next agent. */
static void on_terminate(void *arg)
{
	loop_stop(((struct node *)arg)->loop);
}

static void on_pods_stopped(void *arg)
{
	loop_stop(((struct node *)arg)->loop);
}

/* SIGUSR1: stop every pod, then leave. */
static void on_stop_pods(void *arg)
{
	struct node *n = arg;

	log_info("stopping all pods");
	agent_stop_pods(n->agent, STOP_GRACE_S, on_pods_stopped, n);
}

static void on_trim(void *arg)
{
	struct node *n = arg;

	malloc_trim(0);
	loop_timer_start(n->trim, TRIM_MS);
}

/*
 * Upstream's port unless another cluster on this machine has it; the Node says which one it is. Free is asked of the
 * kernel the way the listener will ask.
 */
static const char *kubelet_listen(const struct args *a)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(AGENT_PORT_DEFAULT)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	if (args_value(a, "kubelet-listen"))
		return args_value(a, "kubelet-listen");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)(void *)&any, sizeof(any)) == 0)
		return NULL;
	return "0.0.0.0:0";
}

static int start(struct node *n, const struct args *a, const struct material *m, struct status *err)
{
	struct cluster *c = &n->cluster;
	char why[512] = "";

	if (apply_client_tls(n, m, err) < 0)
		return -1;
	struct http_client_config hc = {.loop = n->loop,
					.address = n->address,
					.server_name = n->server_name,
					.tls = n->tls,
					.user_agent = "proa-agent/" PROA_VERSION};
	if (http_client_new(&hc, &n->http) < 0)
		return status_set(err, 400, "the server address \"%s\" cannot be used", n->address);
	n->client = remote_client_new(n->loop, n->http, "proa-agent");
	struct agent_config ac = {.loop = n->loop,
				  .client = n->client,
				  .node_name = c->node_name,
				  .node_ip = c->node_ip,
				  .run_dir = c->run_dir,
				  .data_dir = cluster_path(c, c->data_dir, "agent"),
				  .shim_path = process_beside(&n->arena, "proa-shim"),
				  .listen = kubelet_listen(a),
				  .tls = {m->serving_cert, m->serving_key, m->ca},
				  .cluster_cidr = c->cluster_cidr,
				  .cluster_id = c->id,
				  .pods_max = c->pods_max,
				  .version = KUBERNETES_VERSION "+proa-" PROA_VERSION,
				  .on_ready = on_ready,
				  .on_failed = on_failed,
				  .arg = n};
	if (agent_new(&ac, &n->agent, why, sizeof(why)) < 0 || agent_start(n->agent, why, sizeof(why)) < 0)
		return status_set(err, 500, "%s", why);
	watch_files(n);
	return 0;
}

static void stop(struct node *n)
{
	agent_free(n->agent);
	if (n->client)
		client_free(n->client);
	http_client_free(n->http);
	tls_context_free(n->tls);
	if (n->inotify_watch)
		loop_fd_free(n->inotify_watch);
	if (n->inotify >= 0)
		close(n->inotify);
	loop_timer_free(n->reload);
	loop_timer_free(n->trim);
	loop_signal_free(n->terminate);
	loop_signal_free(n->interrupt);
	loop_signal_free(n->stop_pods);
	cluster_release(&n->cluster);
	arena_release(&n->arena);
}

static int run(const struct args *a)
{
	struct node n = {.ready_fd = ready_fd_of(a), .inotify = -1, .kubeconfig = args_value(a, "kubeconfig")};
	_cleanup_status_ struct status err = STATUS_INIT;
	struct cluster_flags f = {.data_dir = args_value(a, "data-dir"),
				  .run_dir = args_value(a, "run-dir"),
				  .node_name = args_value(a, "node-name"),
				  .node_ip = args_value(a, "node-ip"),
				  .pods_max = args_value(a, "max-pods")};
	struct material m;

	mallopt(M_ARENA_MAX, 2);
	if (geteuid() != 0)
		return command_fail("the node agent must be root: it makes namespaces, mounts and cgroups");
	if (cluster_load(&f, &n.cluster, &err) < 0)
		return command_fail("%s", err.message);
	n.pki_dir = args_value(a, "pki-dir");
	if (!n.pki_dir && !n.kubeconfig)
		n.pki_dir = cluster_path(&n.cluster, n.cluster.data_dir, "server/pki");
	n.address = cluster_url(&n.cluster) + strlen("https://");
	n.server_name = arena_strndup(&n.arena, n.address, strcspn(n.address, ":"));
	if (load_material(&n, &m, &err) < 0)
		return command_fail("%s", err.message);
	if (loop_new(&n.loop) < 0)
		return command_fail("the event loop cannot be created");
	n.terminate = loop_signal_new(n.loop, SIGTERM, on_terminate, &n);
	n.interrupt = loop_signal_new(n.loop, SIGINT, on_terminate, &n);
	n.stop_pods = loop_signal_new(n.loop, SIGUSR1, on_stop_pods, &n);
	n.trim = loop_timer_new(n.loop, on_trim, &n);
	loop_timer_start(n.trim, TRIM_MS);
	if (start(&n, a, &m, &err) < 0)
		n.exit_status = command_fail("%s", err.message);
	material_release(&m);
	if (n.exit_status == 0)
		loop_run(n.loop);
	stop(&n);
	loop_free(n.loop);
	return n.exit_status;
}

static const struct flag flags[] = {
    {"data-dir", "DIR", CLUSTER_DATA_DIR, "Directory that holds images, volumes and logs."},
    {"run-dir", "DIR", NULL, "Directory for what does not survive a reboot; below /run/proa if never given."},
    {"kubeconfig", "FILE", NULL,
     "How to reach a server elsewhere; if not given, the server of the same data directory."},
    {"pki-dir", "DIR", NULL,
     "Where kubelet.crt, kubelet.key and ca.crt are; DATA-DIR/server/pki without --kubeconfig."},
    {"kubelet-listen", "ADDR:PORT", NULL, "Address of the node's own API; port 10250, or a free one when it is taken."},
    {"node-name", "NAME", NULL, "Name of this node; the host name if never given."},
    {"node-ip", "ADDR", NULL, "Address of this node; found by itself if not given."},
    {"max-pods", "N", NULL, "How many pods this node runs at most; 110 if never given."},
    READY_FLAG,
    {0},
};

const struct command command_agent = {
    .name = "agent",
    .summary = "Run the node agent only",
    .about = "Run the node agent: pods, images, volumes, probes and the pod network of this machine.\n\n"
	     " Pods keep running when the agent ends; the next one takes them over.",
    .example = "  # Join the server on this machine\n  proa agent\n\n"
	       "  # Join a server elsewhere\n  proa agent --kubeconfig=node-2.kubeconfig --node-name=node-2",
    .operands = "",
    .flags = flags,
    .run = run,
};
