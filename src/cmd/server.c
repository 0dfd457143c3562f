/* SPDX-License-Identifier: Apache-2.0 */
/* proa server: the control plane as a process of its own. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/csr.h"
#include "api/resource.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "client/client.h"
#include "client/informer.h"
#include "cmd/cluster.h"
#include "cmd/command.h"
#include "cmd/credentials.h"
#include "cmd/ready.h"
#include "cmd/server_options.h"
#include "controllers/controllers.h"
#include "io/loop.h"
#include "io/tls.h"
#include "scheduler/scheduler.h"
#include "server/audit.h"
#include "server/authn.h"
#include "server/authz.h"
#include "server/encryption.h"
#include "server/jwt.h"
#include "server/oidc.h"
#include "server/pki.h"
#include "server/rbac_install.h"
#include "server/registry.h"
#include "server/sandbox.h"
#include "server/server.h"
#include "store/store.h"

#define RENEW_MS (12LL * 3600 * 1000) /* certificates last a year: twice a day is plenty */
#define TRIM_MS 60000		      /* give freed memory back, as glibc does not by itself */
#define DRAIN_MS 2000		      /* what running requests get at the end */
#define ISSUER "https://kubernetes.default.svc.cluster.local"

struct control_plane {
	struct cluster cluster;
	struct server_options options;
	struct audit *audit;
	struct oidc *oidc;
	struct loop *loop;
	struct pki *pki;
	struct store *store;
	struct authn *authn;
	struct authz *authz;
	struct auth auth;
	struct certificate_authority ca;
	struct token_signer token_signer;
	struct registry *registry;
	struct server *server;
	struct tls_context *tls, *node_tls;
	struct client *controller_client, *scheduler_client;
	struct controllers *controllers;
	struct scheduler *scheduler;
	struct loop_timer *renew, *trim;
	struct loop_signal *terminate, *interrupt;
	int ready_fd, exit_status;
};

/* ---- TLS ---- */

static int tls_from(struct control_plane *p, const char *name, bool server, struct tls_context **at, struct status *err)
{
	static const char *const alpn[] = {"h2", "http/1.1", NULL};
	_cleanup_free_ char *cert = NULL, *key = NULL;
	char why[256];

	if (pki_load(p->pki, name, &cert, &key, err) < 0)
		return -1;
	struct tls_config c = {.server = server,
			       .cert_pem = cert,
			       .key_pem = key,
			       .ca_pem = pki_ca_pem(p->pki),
			       .request_client_cert = server,
			       .alpn = server ? alpn : NULL};
	int r = *at ? tls_context_reload(*at, &c, why, sizeof(why)) : tls_context_new(&c, at, why, sizeof(why));
	return r < 0 ? status_set(err, 500, "TLS: %s", why) : 0;
}

static int load_tls(struct control_plane *p, struct status *err)
{
	return tls_from(p, "apiserver", true, &p->tls, err) < 0
		   ? -1
		   : tls_from(p, "kubelet-client", false, &p->node_tls, err);
}

static void on_renew(void *arg)
{
	struct control_plane *p = arg;
	_cleanup_status_ struct status err = STATUS_INIT;

	int issued = credentials_ensure(p->pki, &p->cluster, &err);
	if (issued > 0)
		issued = load_tls(p, &err) < 0 ? -1 : issued;
	if (issued < 0)
		log_error("certificates could not be renewed error=\"%s\"", err.message);
	else if (issued > 0)
		log_info("certificates renewed count=%d", issued);
	loop_timer_start(p->renew, RENEW_MS);
}

static void on_trim(void *arg)
{
	struct control_plane *p = arg;

	malloc_trim(0);
	loop_timer_start(p->trim, TRIM_MS);
}

/* ---- start ---- */

static void fail(struct control_plane *p, const struct status *err)
{
	log_error("the control plane cannot start error=\"%s\"", err->message);
	p->exit_status = 1;
	loop_stop(p->loop);
}

static void on_roles_installed(void *arg, const struct status *err)
{
	struct control_plane *p = arg;

	if (err) {
		fail(p, err);
		return;
	}
	server_set_ready(p->server, true);
	ready_tell(&p->ready_fd, server_address(p->server));
	log_info("serving address=%s", server_address(p->server));
	malloc_trim(0);
}

static void on_bootstrapped(void *arg, const struct status *err)
{
	struct control_plane *p = arg;

	if (err) {
		fail(p, err);
		return;
	}
	struct controllers_config c = {
	    .client = p->controller_client,
	    .cluster_cidr = p->cluster.cluster_cidr,
	    .node_cidr_bits = cluster_node_cidr_bits(&p->cluster),
	    .root_ca_pem = pki_ca_pem(p->pki),
	    .ca = &p->ca,
	    .token_signer = &p->token_signer,
	};
	p->controllers = controllers_start(&c);
	p->scheduler = scheduler_start(&(struct scheduler_config){.client = p->scheduler_client});
	rbac_install(p->registry, on_roles_installed, p);
}

static int open_store(struct control_plane *p, struct status *err)
{
	char why[256] = "";
	struct store_config c = {.loop = p->loop,
				 .dir = cluster_path(&p->cluster, p->cluster.data_dir, "server/store"),
				 .resource_of_key = resource_of_key,
				 .codec = p->options.encryption ? encryption_codec(p->options.encryption) : NULL};
	int r = store_open(&c, &p->store, why, sizeof(why));

	if (r == -EBUSY)
		return status_set(err, 409, "another server is using %s", c.dir);
	return r < 0 ? status_set(err, 500, "the store in %s cannot be opened: %s", c.dir, *why ? why : strerror(-r))
		     : 0;
}

static int open_audit(struct control_plane *p, struct status *err)
{
	const struct server_options *o = &p->options;

	if (!o->policy)
		return 0;
	return audit_new(&(struct audit_config){.loop = p->loop,
						.policy = o->policy,
						.path = o->audit_path,
						.file_bytes_max = o->audit_bytes_max,
						.backups_max = o->audit_backups_max},
			 &p->audit, err);
}

static char *sign_token(void *self, struct arena *a, const struct json *claims)
{
	return jwt_sign(a, &pki_token_keys(self)->at[0], claims);
}

static int start(struct control_plane *p, struct status *err)
{
	struct cluster *c = &p->cluster;

	p->ca = pki_authority(p->pki);
	p->token_signer = (struct token_signer){p->pki, sign_token};

	if (open_store(p, err) < 0)
		return -1;
	if (open_audit(p, err) < 0)
		return -1;
	p->authn = authn_new(&(struct authn_config){
	    .pki = p->pki, .store = p->store, .issuer = ISSUER, .options = &p->options.authn, .oidc = p->oidc});
	oidc_start(p->oidc, p->loop);
	p->authz = authz_new(p->store);
	p->auth = (struct auth){&authn_ops, p->authn, &authz_ops, p->authz};
	struct registry_config rc = {.loop = p->loop,
				     .store = p->store,
				     .auth = &p->auth,
				     .ca = &p->ca,
				     .service_cidr = c->service_cidr,
				     .trust_domain = "cluster.local"};
	if (registry_new(&rc, &p->registry, err) < 0)
		return -1;
	struct server_config sc = {.loop = p->loop,
				   .store = p->store,
				   .address = c->listen,
				   .tls = p->tls,
				   .auth = p->auth,
				   .registry = p->registry,
				   .node_tls = p->node_tls,
				   .advertise_address = str_has_prefix(c->node_ip, "127.") ? NULL : c->node_ip,
				   .advertise_port = cluster_port(c),
				   .audit = p->audit,
				   .client_ca_pem = pki_ca_pem(p->pki)};
	if (server_new(&sc, &p->server, err) < 0)
		return -1;
	p->controller_client = local_client_new(p->registry, "system:kube-controller-manager", "proa-controllers");
	p->scheduler_client = local_client_new(p->registry, "system:kube-scheduler", "proa-scheduler");
	local_client_record(p->controller_client, p->audit);
	local_client_record(p->scheduler_client, p->audit);
	server_bootstrap(p->server, on_bootstrapped, p);
	return 0;
}

/* ---- end ---- */

static void on_drained(void *arg)
{
	loop_stop(((struct control_plane *)arg)->loop);
}

static void on_terminate(void *arg)
{
	struct control_plane *p = arg;

	log_info("stopping");
	loop_signal_free(TAKE_PTR(p->terminate));
	loop_signal_free(TAKE_PTR(p->interrupt));
	if (p->server)
		server_drain(p->server, DRAIN_MS, on_drained, p);
	else
		loop_stop(p->loop);
}

static void stop(struct control_plane *p)
{
	scheduler_stop(p->scheduler);
	controllers_stop(p->controllers);
	if (p->scheduler_client)
		client_free(p->scheduler_client);
	if (p->controller_client)
		client_free(p->controller_client);
	/* Who waits for keys, or a commit, is answered while there is a server. */
	oidc_stop(p->oidc);
	if (p->registry)
		registry_settle(p->registry);
	server_free(p->server);
	registry_free(p->registry);
	authz_free(p->authz);
	authn_free(p->authn);
	if (p->store)
		store_close(p->store);
	audit_free(p->audit); /* the last writes are recorded */
	tls_context_free(p->tls);
	tls_context_free(p->node_tls);
	pki_free(p->pki);
	oidc_free(p->oidc);
	server_options_release(&p->options);
	cluster_release(&p->cluster);
}

/* The audit log's directory is the server's, who makes and removes files there: never one that others use, too. */
static int own_log_dir(const char *dir, uid_t uid, gid_t gid, struct status *err)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(dir, &st) == 0)
		return st.st_uid == uid
			   ? 0
			   : status_set(err, 400,
					"the audit log needs a directory of its own: %s belongs to user %u, "
					"not to the server's %u",
					dir, st.st_uid, uid);
	int r = fs_mkdir_p(dir, 0700);
	if (r == 0 && chown(dir, uid, gid) < 0)
		r = -errno;
	return r < 0 ? status_set(err, 500, "cannot create %s: %s", dir, strerror(-r)) : 0;
}

/* Everything that needs root: directories, certificates, the kubeconfig. Then the sandbox. */
static int prepare(struct control_plane *p, struct status *err)
{
	struct cluster *c = &p->cluster;
	const char *server_dir = cluster_path(c, c->data_dir, "server");
	uid_t uid;
	gid_t gid;

	int r = fs_mkdir_p(c->data_dir, 0755);
	if (r == 0)
		r = fs_mkdir_p(server_dir, 0700);
	if (r < 0)
		return status_set(err, 500, "cannot create %s: %s", server_dir, strerror(-r));
	if (!c->existed && cluster_save(c, err) < 0)
		return -1;
	if (pki_open(cluster_path(c, server_dir, "pki"), &p->pki, err) < 0 || credentials_ensure(p->pki, c, err) < 0 ||
	    credentials_write_kubeconfig(p->pki, c, err) < 0)
		return -1;
	sandbox_account(&uid, &gid);
	r = geteuid() == 0 ? sandbox_own_tree(server_dir, uid, gid) : 0;
	if (r < 0)
		return status_set(err, 500, "cannot give %s to its user: %s", server_dir, strerror(-r));
	if (p->options.audit_dir && own_log_dir(p->options.audit_dir, uid, gid, err) < 0)
		return -1;
	return sandbox_enter(server_dir, p->options.audit_dir, uid, gid, err);
}

static int run(const struct args *a)
{
	struct control_plane p = {.ready_fd = ready_fd_of(a)};
	_cleanup_status_ struct status err = STATUS_INIT;
	struct cluster_flags f = {.data_dir = args_value(a, "data-dir"),
				  .kubeconfig = args_value(a, "kubeconfig"),
				  .listen = args_value(a, "listen"),
				  .node_name = args_value(a, "node-name"),
				  .node_ip = args_value(a, "node-ip")};

	mallopt(M_ARENA_MAX, 2);
	fs_raise_file_limit();
	if (server_options_load(a, ISSUER, &p.options, &err) < 0 || oidc_new(&p.options.authn, &p.oidc, &err) < 0 ||
	    cluster_load(&f, &p.cluster, &err) < 0 || prepare(&p, &err) < 0 || load_tls(&p, &err) < 0)
		return command_fail("%s", err.message);
	if (loop_new(&p.loop) < 0)
		return command_fail("the event loop cannot be created");
	p.terminate = loop_signal_new(p.loop, SIGTERM, on_terminate, &p);
	p.interrupt = loop_signal_new(p.loop, SIGINT, on_terminate, &p);
	p.renew = loop_timer_new(p.loop, on_renew, &p);
	loop_timer_start(p.renew, RENEW_MS);
	p.trim = loop_timer_new(p.loop, on_trim, &p);
	loop_timer_start(p.trim, TRIM_MS);
	if (start(&p, &err) < 0) {
		command_fail("%s", err.message);
		p.exit_status = 1;
	} else {
		loop_run(p.loop);
	}
	loop_timer_free(p.renew);
	loop_timer_free(p.trim);
	if (p.terminate)
		loop_signal_free(p.terminate);
	if (p.interrupt)
		loop_signal_free(p.interrupt);
	stop(&p);
	loop_free(p.loop);
	return p.exit_status;
}

static const struct flag flags[] = {
    {"data-dir", "DIR", CLUSTER_DATA_DIR, "Directory that holds the cluster's state."},
    {"kubeconfig", "FILE", NULL, "Where to write the admin kubeconfig; DATA-DIR/admin.kubeconfig if not given."},
    {"listen", "ADDR:PORT", NULL, "Address to serve the API on; " CLUSTER_LISTEN " if never given."},
    {"node-name", "NAME", NULL,
     "Name of the node on this machine, for its certificates; the host name if never given."},
    {"node-ip", "ADDR", NULL, "Address of this machine, for certificates and endpoints; found by itself if not given."},
    SERVER_OPTION_FLAGS,
    READY_FLAG,
    {0},
};

const struct command command_server = {
    .name = "server",
    .summary = "Run the control plane only",
    .about = "Run the control plane: API server, store, controllers and scheduler, in one unprivileged process.\n\n"
	     " Started as root it prepares its directories, then gives up root for good.",
    .example = "  # Serve on the default address, with state in the default directory\n  proa server\n\n"
	       "  # Another cluster on the same machine\n  proa server --data-dir=/srv/two --listen=127.0.0.1:7443",
    .operands = "",
    .flags = flags,
    .run = run,
};
