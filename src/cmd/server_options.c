/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/server_options.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "cmd/command.h"
#include "server/audit_policy.h"
#include "server/encryption.h"

#define AUDIT_MIB_MAX 102400	/* 100 GiB */
#define AUDIT_BACKUPS_MAX 10000 /* files in one directory */
#define OIDC_REQUIRED_MAX 32	/* --oidc-required-claim on one command line */

const char *const server_option_names[] = {"audit-policy-file",
					   "audit-log-path",
					   "audit-log-maxsize",
					   "audit-log-maxbackup",
					   "encryption-provider-config",
					   "authentication-config",
					   "anonymous-auth",
					   "oidc-issuer-url",
					   "oidc-client-id",
					   "oidc-username-claim",
					   "oidc-username-prefix",
					   "oidc-groups-claim",
					   "oidc-groups-prefix",
					   "oidc-required-claim",
					   "oidc-signing-algs",
					   "oidc-ca-file",
					   NULL};

static int read_file(const char *flag, const char *path, size_t max, struct buf *ret, struct status *err)
{
	int r = fs_read(path, max, ret);
	return r < 0 ? status_set(err, 400, "--%s: %s cannot be read: %s", flag, path, strerror(-r)) : 0;
}

static int load_audit(const struct args *a, struct server_options *o, struct status *err)
{
	const char *policy = args_value(a, "audit-policy-file"), *path = args_value(a, "audit-log-path");
	_cleanup_buf_ struct buf text = BUF_INIT;
	int64_t mib, backups;

	if (!policy && !path)
		return 0;
	if (!policy || !path)
		return status_set(err, 400, "--audit-policy-file and --audit-log-path belong together");
	if (*path != '/')
		return status_set(err, 400, "--audit-log-path: %s is not an absolute path", path);
	if (parse_int_range(args_value(a, "audit-log-maxsize"), 1, AUDIT_MIB_MAX, &mib) < 0)
		return status_set(err, 400, "--audit-log-maxsize must be 1 to %d", AUDIT_MIB_MAX);
	if (parse_int_range(args_value(a, "audit-log-maxbackup"), 0, AUDIT_BACKUPS_MAX, &backups) < 0)
		return status_set(err, 400, "--audit-log-maxbackup must be 0 to %d", AUDIT_BACKUPS_MAX);
	if (read_file("audit-policy-file", policy, AUDIT_POLICY_FILE_MAX, &text, err) < 0 ||
	    audit_policy_parse(buf_str(&text), text.len, &o->policy, err) < 0)
		return -1;
	_cleanup_free_ char *copy = xstrdup(path);
	o->audit_path = xstrdup(path);
	o->audit_dir = xstrdup(dirname(copy));
	o->audit_bytes_max = (uint64_t)mib << 20;
	o->audit_backups_max = (unsigned)backups;
	return 0;
}

static bool oidc_given(const struct args *a)
{
	for (const char *const *name = server_option_names; *name; name++)
		if (str_has_prefix(*name, "oidc-") && args_given(a, *name))
			return true;
	return false;
}

static int load_oidc(const struct args *a, const char *own_issuer, struct authn_options *o, struct status *err)
{
	const char *required[OIDC_REQUIRED_MAX + 1] = {NULL}, *ca = args_value(a, "oidc-ca-file");
	_cleanup_buf_ struct buf pem = BUF_INIT;

	for (int i = 0; i < OIDC_REQUIRED_MAX; i++)
		required[i] = args_each(a, "oidc-required-claim", i);
	if (ca && read_file("oidc-ca-file", ca, AUTHN_OPTIONS_FILE_MAX, &pem, err) < 0)
		return -1;
	struct oidc_flags f = {.issuer_url = args_value(a, "oidc-issuer-url"),
			       .client_id = args_value(a, "oidc-client-id"),
			       .username_claim = args_value(a, "oidc-username-claim"),
			       .username_prefix = args_value(a, "oidc-username-prefix"),
			       .groups_claim = args_value(a, "oidc-groups-claim"),
			       .groups_prefix = args_value(a, "oidc-groups-prefix"),
			       .signing_algs = args_value(a, "oidc-signing-algs"),
			       .ca_pem = ca ? buf_str(&pem) : NULL,
			       .required = required};
	return authn_options_from_flags(&f, own_issuer, o, err);
}

static int load_authn(const struct args *a, const char *own_issuer, struct authn_options *o, struct status *err)
{
	const char *file = args_value(a, "authentication-config"), *anonymous = args_value(a, "anonymous-auth");
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r;

	if (anonymous && strcmp(anonymous, "true") != 0 && strcmp(anonymous, "false") != 0)
		return status_set(err, 400, "--anonymous-auth must be true or false");
	if (file && (oidc_given(a) || anonymous))
		return status_set(err, 400,
				  "--authentication-config says all of it: no --oidc-… flag and no "
				  "--anonymous-auth may be given besides it");
	if (!file) {
		r = load_oidc(a, own_issuer, o, err);
		o->anonymous = !anonymous || strcmp(anonymous, "true") == 0;
		return r;
	}
	r = read_file("authentication-config", file, AUTHN_OPTIONS_FILE_MAX, &text, err);
	return r < 0 ? r : authn_options_parse(buf_str(&text), text.len, own_issuer, o, err);
}

int server_options_load(const struct args *a, const char *own_issuer, struct server_options *o, struct status *err)
{
	const char *encryption = args_value(a, "encryption-provider-config");
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (load_audit(a, o, err) < 0 || load_authn(a, own_issuer, &o->authn, err) < 0)
		return -1;
	if (!encryption)
		return 0;
	int r = read_file("encryption-provider-config", encryption, ENCRYPTION_FILE_MAX, &text, err);
	if (r == 0)
		r = encryption_parse(buf_str(&text), text.len, &o->encryption, err);
	explicit_bzero(text.data, text.len);
	return r;
}

void server_options_release(struct server_options *o)
{
	audit_policy_free(o->policy);
	encryption_free(o->encryption);
	authn_options_release(&o->authn);
	free(o->audit_path);
	free(o->audit_dir);
}
